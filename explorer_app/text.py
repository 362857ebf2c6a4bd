"""tr(): every string that a user sees passes through here, so that one place can translate it."""

from PySide6.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The string in the user's language; the string itself where no translation is installed."""
    return QCoreApplication.translate("layerscope", text)
