"""Reading a text that somebody else wrote."""

from pathlib import Path

from model_core.errors import InputError


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, line ends as they are. InputError where it cannot be read, or is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from None
