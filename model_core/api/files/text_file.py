"""Reading a text that somebody else wrote."""

from collections.abc import Iterator
from pathlib import Path

from model_core.api.errors import InputError
from model_core.api.files.regular_file import open_regular, read_regular, why

MOST_BYTES = 1 << 30  # of a text to learn from; it is held in memory whole
LONGEST = 1 << 16  # bytes of a line


def read_text(path: Path, limit: int = MOST_BYTES) -> str:
    """The UTF-8 text of a file, line ends as they are. InputError where it cannot be read, or is not UTF-8."""
    try:
        return read_regular(path, limit).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from None


def lines_of(path: Path, limit: int) -> Iterator[str]:
    """The lines of a text, which is not held in memory; one that is longer than any should be comes in pieces.

    InputError where it cannot be read.
    """
    with open_regular(path, limit) as file:
        try:
            while line := file.readline(LONGEST):
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {why(error)}") from None
