"""The one place that imports pyqtgraph and sets it up.

It stands apart from the package's `__init__` because the import takes a quarter of a second, which the
hand-painted widgets (tokens, bars, thumbnails) should not have to wait for.
"""

import os
from typing import Any

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QWidget

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

import pyqtgraph as pg

# Arrays are [row, column] everywhere in the project; pyqtgraph's default is the transpose.
pg.setConfigOptions(imageAxisOrder="row-major", antialias=True)


class Canvas(pg.GraphicsView):
    """The view that holds a drawing; tells where the pointer is, in its own coordinates."""

    pointed = Signal(QPointF)
    left = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the widget around it takes the keys

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self.pointed.emit(event.position())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.left.emit()


class CellBox(pg.ViewBox):
    """Zoom and pan; `pressed(place in the canvas, double)` for a click that was no drag."""

    pressed = Signal(QPointF, bool)

    def __init__(self, **options: Any) -> None:
        super().__init__(border=None, enableMenu=False, defaultPadding=0, **options)

    def mouseClickEvent(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            event.accept()
            self.pressed.emit(QPointF(event.scenePos()), event.double())


__all__ = ["Canvas", "CellBox", "pg"]
