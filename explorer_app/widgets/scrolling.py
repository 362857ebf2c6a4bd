"""How far a drawing that is larger than its window can be scrolled, and when a press becomes a drag."""

import math

from PySide6.QtCore import QPointF
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QScrollBar


def scroll_over(bar: QScrollBar, whole: float, shown: int, step: float) -> None:
    """Give a bar its range: `shown` of the `whole` is in sight, and an arrow goes a `step` further."""
    bar.setPageStep(shown)
    bar.setSingleStep(math.ceil(step))
    bar.setRange(0, max(0, math.ceil(whole) - shown))


def went_far(start: QPointF, place: QPointF) -> bool:
    """Whether the pointer has gone so far from where it was pressed that it is no click any more."""
    return (place - start).manhattanLength() >= QGuiApplication.styleHints().startDragDistance()
