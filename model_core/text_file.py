"""Reading a text that somebody else wrote."""

from pathlib import Path

from model_core.errors import InputError
from model_core.regular_file import read_regular

MOST_BYTES = 1 << 30  # of a text to learn from; it is held in memory whole


def read_text(path: Path, limit: int = MOST_BYTES) -> str:
    """The UTF-8 text of a file, line ends as they are. InputError where it cannot be read, or is not UTF-8."""
    try:
        return read_regular(path, limit).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from None
