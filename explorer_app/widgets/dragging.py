"""A press that becomes a drag, told apart from a click."""

from PySide6.QtCore import QPointF
from PySide6.QtGui import QGuiApplication


def went_far(start: QPointF, place: QPointF) -> bool:
    """Whether the pointer has gone so far from where it was pressed that it is no click any more."""
    return (place - start).manhattanLength() >= QGuiApplication.styleHints().startDragDistance()
