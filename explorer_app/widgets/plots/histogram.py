"""How many values fall where: counts over the edges that they were counted in."""

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QPointF, QSize, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.widgets.plots.plotting import Canvas, Drawing, Frame, pg, view_box
from explorer_app.widgets.readout import Readout
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr


class Histogram(Drawing):
    """Bars from edge to edge; the axis ends where the values end, and hovering reads a bar's count."""

    hovered = Signal(int)
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._edges: NDArray[np.float64] = np.zeros(1)
        self._role = "query"
        self._hover: int | None = None
        self._canvas = Canvas(self)
        self._canvas.setAccessibleName(tr("Bars"))
        self._box = view_box()
        self._frame = Frame(self._box, below=True)
        self._box.setMouseEnabled(x=False, y=False)
        self._frame.name("left", tr("count"))
        self._canvas.setCentralItem(self._frame)
        self._bars: pg.BarGraphItem | None = None
        self._readout = Readout(tr("Count under the pointer"), self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._canvas, 1)
        column.addWidget(self._readout)
        self._canvas.pointed.connect(self._point)
        self._canvas.left.connect(self._leave)
        self.setAccessibleName(tr("Histogram"))
        self._draw()

    def show_counts(
        self, counts: ArrayLike, edges: ArrayLike, *, x_title: str = "", role: str = "query"
    ) -> None:
        """Show `counts` [n] over `edges` [n + 1], as numpy.histogram gives them; `role` names the colour."""
        self._counts, self._edges = np.array(counts, np.int64), np.array(edges, np.float64)
        if self._edges.shape != (len(self._counts) + 1,):
            raise ValueError(f"{len(self._counts)} counts need one edge more, got {len(self._edges)}")
        self._role, self._hover = role, None
        self._frame.name("bottom", x_title)
        if x_title:
            self.setAccessibleName(tr("Histogram of {what}").format(what=x_title))
        self._draw()

    def painted_limits(self) -> tuple[float, float]:
        """The values at both ends of the axis."""
        low, high = self._box.viewRange()[0]
        return float(low), float(high)

    def readout(self) -> str:
        """The line below the bars."""
        return self._readout.text()

    def position(self, bar: int) -> QPointF:
        """A place in this widget that lies over the bar."""
        area = self._canvas.mapFromScene(self._box.sceneBoundingRect()).boundingRect()
        low, high = self.painted_limits()
        middle = (self._edges[bar] + self._edges[bar + 1]) / 2
        x = area.x() + (middle - low) / (high - low) * area.width()
        return QPointF(self._canvas.x() + x, self._canvas.y() + area.center().y())

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 22), math.ceil(line * 12))

    def wear(self) -> None:
        self._draw()

    def _draw(self) -> None:
        colours = theme.current()
        self._canvas.setBackground(QColor(colours.panel))
        self._frame.wear(colours, self.font())
        if self._bars is not None:
            self._box.removeItem(self._bars)
            self._bars = None
        if self._counts.size:
            brush, lit = QColor(getattr(colours, self._role)), QColor(colours.accent)
            brushes = [lit if bar == self._hover else brush for bar in range(len(self._counts))]
            self._bars = pg.BarGraphItem(
                x0=self._edges[:-1], x1=self._edges[1:], y0=0, height=self._counts,
                brushes=brushes, pen=QPen(QColor(colours.panel), 0),
            )  # fmt: skip
            self._box.addItem(self._bars, ignoreBounds=True)
            top = max(1, int(self._counts.max()))
            self._box.setRange(xRange=(self._edges[0], self._edges[-1]), yRange=(0, top * 1.05), padding=0)
        self._say()

    def _say(self) -> None:
        total = int(self._counts.sum())
        if not self._counts.size:
            text = tr("Nothing to show yet")
        elif not total:
            text = tr("No finite value to count")
        elif self._hover is None:
            text = tr("{count} values from {low} to {high}").format(
                count=f"{total:,}", low=short_number(self._edges[0], 6), high=short_number(self._edges[-1], 6)
            )
        else:
            text = tr("{low} to {high}: {count} of {total} values ({share})").format(
                low=short_number(self._edges[self._hover], 6),
                high=short_number(self._edges[self._hover + 1], 6),
                count=f"{self._counts[self._hover]:,}",
                total=f"{total:,}",
                share=f"{self._counts[self._hover] / max(1, total):.2%}",
            )
        self._readout.say(text, hint=self._hover is None)

    def _point(self, place: QPointF) -> None:
        area = self._canvas.mapFromScene(self._box.sceneBoundingRect()).boundingRect()
        bar: int | None = None
        if self._counts.size and area.contains(place.toPoint()):
            low, high = self.painted_limits()
            value = low + (place.x() - area.x()) / area.width() * (high - low)
            bar = min(max(bisect_right(self._edges.tolist(), value) - 1, 0), len(self._counts) - 1)
        if bar == self._hover:
            return
        if bar is None:
            self._leave()
            return
        self._hover = bar
        self._draw()
        self.hovered.emit(bar)

    def _leave(self) -> None:
        if self._hover is not None:
            self._hover = None
            self._draw()
            self.left.emit()
