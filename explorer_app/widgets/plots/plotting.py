"""The one place that imports pyqtgraph and sets it up.

It stands apart from the package's `__init__` because the import takes a quarter of a second, which the
hand-painted widgets (tokens, bars, thumbnails) should not have to wait for.
"""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPaintEvent, QPen
from PySide6.QtWidgets import QGraphicsGridLayout, QWidget

from explorer_app import theme
from explorer_app.widgets.plain import rich
from explorer_app.widgets.scrolling import went_far

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

import pyqtgraph as pg

# Arrays are [row, column] everywhere in the project; pyqtgraph's default is the transpose.
pg.setConfigOptions(imageAxisOrder="row-major", antialias=True)


class Canvas(pg.GraphicsView):
    """The view that holds a drawing; tells where the pointer is and where it clicks, in its own coordinates.

    Clicks are told apart from drags here and not by pyqtgraph, which prints an exception raised by whoever
    listens instead of passing it on.
    """

    pointed = Signal(QPointF)
    left = Signal()
    pressed = Signal(QPointF, bool)
    """The place, and whether it was the second click of a double one."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the widget around it takes the keys
        self._press: QPointF | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self._press = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self.pointed.emit(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self._press is not None:
            start, self._press = self._press, None
            if not went_far(start, event.position()):
                self.pressed.emit(event.position(), False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.pressed.emit(event.position(), True)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.left.emit()


class Signs(pg.ScatterPlotItem):
    """Points that are not clicked themselves: the canvas tells where a click was.

    pyqtgraph gives each point of a clicked plot an object that knows its row of an array of numpy's, and keeps it in
    that row. Python looks through no such array for garbage: the numbers and brushes of the plot would stay for ever.
    """

    def mouseClickEvent(self, event: Any) -> None:
        event.ignore()


class Drawing(QWidget):
    """A widget around a canvas, drawn in other colours when it is painted first after they changed.

    Of many drawings few are in sight when the theme changes.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worn = theme.current()
        theme.notifier.changed.connect(self.update)

    def wear(self) -> None:
        """Draw in the colours of the theme."""
        raise NotImplementedError

    def paintEvent(self, event: QPaintEvent) -> None:
        # All that lies in it is painted after it, and so in the colours that are given here.
        if self._worn is not theme.current():
            self._worn = theme.current()
            self.wear()
        super().paintEvent(event)


def view_box(**options: Any) -> pg.ViewBox:
    """Zoom by wheel and pan by drag, with nothing around the drawing and no menu of its own."""
    return pg.ViewBox(border=None, enableMenu=False, defaultPadding=0, **options)


def value_ends(values: NDArray[np.float64], log: bool) -> tuple[float, float]:
    """The ends of an axis: what the values, their logarithms where `log`, reach from and to; never the same twice."""
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if log:
        low, high = math.log10(low), math.log10(high)
    # A half to each side vanishes beside a gigantic value.
    margin = max(0.5, abs(low) / 2e6) if low == high else 0.0
    return low - margin, high + margin


def legend_entry(sign: str, colour: QColor, name: str) -> str:
    """A line of a plot in its legend, as rich text."""
    words = name.replace(" ", "\u00a0")
    return rich(
        '<span style="color:{colour}">{sign}</span>&nbsp;{words}',
        colour=colour.name(),
        sign=sign,
        words=words,
    )


class Frame(pg.GraphicsWidget):
    """A drawing with an axis of numbers at its left and, if wanted, below.

    pyqtgraph's own PlotItem is not used: each one makes seven menus that are windows without an owner.
    """

    def __init__(self, box: pg.ViewBox, *, below: bool) -> None:
        super().__init__()
        self.axes = {"left": pg.AxisItem("left")} | ({"bottom": pg.AxisItem("bottom")} if below else {})
        grid = QGraphicsGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addItem(box, 0, 1)
        grid.addItem(self.axes["left"], 0, 0)
        if below:
            grid.addItem(self.axes["bottom"], 1, 1)
        for axis in self.axes.values():
            axis.linkToView(box)

    def name(self, axis: str, text: str) -> None:
        """What an axis says; pyqtgraph takes it for HTML."""
        self.axes[axis].setLabel(rich("{text}", text=text))

    def wear(self, colours: theme.Theme, font: QFont) -> None:
        for axis in self.axes.values():
            axis.setPen(QPen(QColor(colours.edge), 0))
            axis.setTextPen(QColor(colours.muted))
            axis.setTickFont(font)


__all__ = ["Canvas", "Drawing", "Frame", "pg", "view_box"]
