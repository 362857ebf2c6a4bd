"""tr(): every string that a user sees passes through here, so that one place can translate it."""

from PySide6.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The string in the user's language; the string itself where no translation is installed."""
    return QCoreApplication.translate("layerscope", text)


def sentence(message: str) -> str:
    """A message with a capital letter, unless it begins with a name."""
    first, _, rest = message.partition(" ")
    return f"{first.capitalize()} {rest}" if first.isalpha() and first.islower() and rest else message
