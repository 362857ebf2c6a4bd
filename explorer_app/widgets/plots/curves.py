"""Curves over numbers that grow, such as losses over the steps of a training; each has places of its own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QPen
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.widgets.arrows import SIDEWAYS
from explorer_app.widgets.plain import RichLabel
from explorer_app.widgets.plots.plotting import (
    Canvas,
    Drawing,
    Frame,
    Signs,
    legend_entry,
    pg,
    value_ends,
    view_box,
)
from explorer_app.widgets.readout import Readout
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

_SIGNS = {"o": "●", "s": "■"}
_FEW = 60
"""With no more points than this each has a sign; with more they would only make the line thicker."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One named line through (x[n], y[n]), x growing; `role` names its colour in the theme."""

    name: str
    x: ArrayLike
    y: ArrayLike
    role: str = "query"


class CurvePlot(Drawing):
    """Curves that may be many or few points long, told apart by colour and sign; hovering reads them all.

    Either axis can be made logarithmic where its numbers are all positive.
    """

    own_keys = SIDEWAYS

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: list[tuple[Curve, Floats, Floats]] = []
        self._describe: Callable[[float], str] | None = None
        self._hover: float | None = None
        self._legend = RichLabel()
        self.log_x = QCheckBox()
        self.log_y = QCheckBox()
        self._canvas = Canvas(self)
        self._canvas.setAccessibleName(tr("Curves"))
        self._box = view_box()
        self._box.setMouseEnabled(x=False, y=False)
        self._frame = Frame(self._box, below=True)
        self._canvas.setCentralItem(self._frame)
        self._items: list[pg.GraphicsObject] = []
        self._line = pg.InfiniteLine(angle=90)
        self._line.hide()
        self._box.addItem(self._line, ignoreBounds=True)
        self._readout = Readout(tr("Values under the pointer"))
        self._readout.setFixedHeight(math.ceil(QFontMetricsF(self.font()).height() * 1.4))
        head = QHBoxLayout()
        head.addWidget(self._legend, 1)
        head.setSpacing(math.ceil(QFontMetricsF(self.font()).height() * 0.6))
        head.addWidget(self.log_x)
        head.addWidget(self.log_y)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._canvas, 1)
        column.addWidget(self._readout)
        for box in (self.log_x, self.log_y):
            box.checkStateChanged.connect(self._draw)
        self._canvas.pointed.connect(self._point)
        self._canvas.left.connect(self._leave)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Curves"))
        self._draw()

    def show_curves(
        self,
        curves: Sequence[Curve],
        *,
        x_title: str,
        y_title: str,
        describe: Callable[[float], str] | None = None,
    ) -> None:
        """Show the curves. A title may have a unit after a comma.

        `describe(x)` says in the readout what is known of a place; without it, its number does.
        """
        found = []
        for one in curves:
            x, y = np.asarray(one.x, np.float64), np.asarray(one.y, np.float64)
            if x.shape != y.shape or x.ndim != 1:
                raise ValueError(f"{one.name}: places {x.shape} and values {y.shape} are to be as many")
            finite = np.isfinite(x) & np.isfinite(y)
            found.append((one, x[finite], y[finite]))
        self._curves, self._describe = found, describe
        self.log_x.setText(tr("log {axis}").format(axis=x_title))
        self.log_y.setText(tr("log {axis}").format(axis=y_title.partition(",")[0]))
        self._frame.name("left", y_title)
        self._frame.name("bottom", x_title)
        self.setAccessibleName(tr("{what} over {axis}").format(what=y_title, axis=x_title))
        self._draw()

    def drawn(self, name: str) -> tuple[Floats, Floats]:
        """Places and values of a curve as drawn."""
        return next((x, y) for one, x, y in self._curves if one.name == name)

    def painted_limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The numbers at the ends of the horizontal and of the vertical axis."""
        ranges = self._box.viewRange()
        logs = (self._logarithmic(self.log_x), self._logarithmic(self.log_y))
        return tuple(  # type: ignore[return-value]
            tuple(10.0**end if log else float(end) for end in ends)
            for ends, log in zip(ranges, logs, strict=True)
        )

    def readout(self) -> str:
        """The line below the plot."""
        return self._readout.text()

    def position(self, x: float) -> QPointF:
        """A place in this widget at which the pointer means this x."""
        area = self._area()
        first, last = self._box.viewRange()[0]
        at = math.log10(x) if self._logarithmic(self.log_x) else x
        place = QPointF(area.x() + (at - first) / (last - first) * area.width(), area.center().y())
        return place + QPointF(self._canvas.pos())

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 34), math.ceil(line * 18))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 16), math.ceil(line * 9))

    # Painting

    def _logarithmic(self, box: QCheckBox) -> bool:
        return box.isChecked() and not box.isHidden()

    def wear(self) -> None:
        self._draw()

    def _draw(self, _: object = None) -> None:
        colours = theme.current()
        line = QFontMetricsF(self.font()).height()
        every = [np.concatenate([one[axis] for one in self._curves] or [np.zeros(0)]) for axis in (1, 2)]
        logs = []
        for box, values, axis in zip((self.log_x, self.log_y), every, ("bottom", "left"), strict=True):
            box.setVisible(values.size > 0 and bool(values.min() > 0))
            logs.append(self._logarithmic(box))
            self._frame.axes[axis].setLogMode(logs[-1], logs[-1])
            self._frame.axes[axis].setGrid(40)
            # Each line of the grid takes its time.
            self._frame.axes[axis].setStyle(maxTickLevel=int(logs[-1]))
        self._canvas.setBackground(QColor(colours.panel))
        self._frame.wear(colours, self.font())
        for item in self._items:
            self._box.removeItem(item)
        self._items, legend = [], []
        for number, (one, *places) in enumerate(self._curves):
            colour = QColor(getattr(colours, one.role))
            symbol, sign = list(_SIGNS.items())[number % len(_SIGNS)]
            pen = QPen(colour, line * 0.1)
            pen.setCosmetic(True)
            x, y = (np.log10(at) if log else at for at, log in zip(places, logs, strict=True))
            if x.size:
                self._items.append(pg.PlotCurveItem(x, y, pen=pen))
            if 0 < x.size <= _FEW:
                self._items.append(Signs(x, y, symbol=symbol, size=line * 0.4, brush=colour, pen=None))
            legend.append(legend_entry(sign, colour, one.name))
        for item in self._items:
            self._box.addItem(item, ignoreBounds=True)
        self._legend.setText("&nbsp; ".join(legend))
        ranges = [value_ends(values, log) for values, log in zip(every, logs, strict=True)]
        self._box.setRange(xRange=ranges[0], padding=0.01)
        self._box.setRange(yRange=ranges[1], padding=0.06)
        self._line.setPen(QPen(QColor(colours.text), 0))
        self._mark()

    def _mark(self) -> None:
        at = self._hover
        self._line.setVisible(at is not None)
        if at is None:
            self._readout.say("")
            return
        self._line.setValue(math.log10(at) if self._logarithmic(self.log_x) else at)
        parts = [self._describe(at) if self._describe else short_number(at, 6)]
        for one, x, y in self._curves:
            if np.any(same := x == at):
                parts.append(f"{one.name} {short_number(float(y[same][-1]), 5)}")
        self._readout.say("  ".join(parts))

    # Pointing

    def _area(self) -> "pg.QtCore.QRectF":
        return self._canvas.mapFromScene(self._box.sceneBoundingRect()).boundingRect()

    def _places(self) -> Floats:
        return np.unique(np.concatenate([x for _, x, _ in self._curves] or [np.zeros(0)]))

    def _point(self, place: QPointF) -> None:
        area, places = self._area(), self._places()
        if not places.size or not area.contains(place.toPoint()):
            self._leave()
            return
        first, last = self._box.viewRange()[0]
        at = first + (place.x() - area.x()) / area.width() * (last - first)
        drawn = np.log10(places) if self._logarithmic(self.log_x) else places
        self._hover = float(places[np.abs(drawn - at).argmin()])
        self._mark()

    def _leave(self) -> None:
        if self._hover is not None:
            self._hover = None
            self._mark()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The arrows walk from point to point."""
        step, places = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key())), self._places()
        if step is None or not places.size:
            super().keyPressEvent(event)
            return
        if self._hover is None:
            self._hover = float(places[-1])
        else:
            index = int(np.searchsorted(places, self._hover)) + step
            self._hover = float(places[min(max(index, 0), places.size - 1)])
        self._mark()
