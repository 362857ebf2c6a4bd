"""A picture of what is on screen, as a file."""

from pathlib import Path

from model_core.errors import InputError
from model_core.writing import write_bytes
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QPixmap

SUFFIX = ".png"


def png_path(path: str) -> Path:
    """The name of a picture that somebody gave, with the suffix that says what it is."""
    named = Path(path)
    return named if named.suffix.lower() == SUFFIX else Path(f"{path}{SUFFIX}")


def save_png(picture: QPixmap, path: Path) -> None:
    """Write a picture, whole. InputError, with what was there before as it was, where it cannot be written."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not picture.save(buffer, "PNG"):
        raise InputError(f"{path} cannot be written: there is no picture of that size")
    write_bytes(path, bytes(buffer.data().data()))
