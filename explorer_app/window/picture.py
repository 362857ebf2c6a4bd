"""A picture of what is on screen, as a file."""

from pathlib import Path

from model_core.api.errors import InputError
from model_core.api.files.regular_file import is_there
from model_core.api.files.writing import write_bytes
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFileDialog, QWidget

from explorer_app.widgets.plain import Message
from explorer_app.words.text import tr

SUFFIX = ".png"


def save_picture(window: QWidget) -> None:
    """Have a name chosen, and write what a window shows there. InputError where it cannot be written."""
    path, _ = QFileDialog.getSaveFileName(
        window, tr("Save picture"), f"layerscope{SUFFIX}", tr("Pictures (*.png)")
    )
    if not path:
        return
    named = Path(path)
    target = named if named.suffix.lower() == SUFFIX else Path(f"{path}{SUFFIX}")
    # The dialog has asked about the name that it was given.
    if target == named or not is_there(target) or may_replace(window, target):
        write_bytes(target, png(window.grab()))


def may_replace(window: QWidget, file: Path) -> bool:
    """Whether a file that is there already is to go."""
    asked = tr("{file} is there already. Replace it?").format(file=file.name)
    box = Message(window, tr("Save picture"), asked)
    box.setIcon(Message.Icon.Question)
    replace = box.addButton(tr("Replace"), Message.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(Message.StandardButton.Cancel))
    box.exec()
    box.deleteLater()
    return box.clickedButton() == replace


def png(picture: QPixmap) -> bytes:
    """A picture in PNG. InputError where there is none."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not picture.save(buffer, "PNG"):
        raise InputError("there is no picture of that size: make it smaller")
    return bytes(buffer.data().data())
