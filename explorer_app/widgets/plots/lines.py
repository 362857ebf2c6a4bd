"""Values along the tokens as lines: norms, entropies, surprisal, one series or several."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QPen, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QCheckBox, QWidget

from explorer_app import theme
from explorer_app.widgets.arrows import SIDEWAYS
from explorer_app.widgets.labels import LabelAxis
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

_SIGNS = {"o": "●", "s": "■", "t1": "▲", "d": "◆"}
_DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
_MOST_SIGNS = 200
"""With more points than this a line is drawn without a sign on each: they would only be a thicker line."""


@dataclass(frozen=True)
class Series:
    """One named line; `values` [n] has one number a label, `role` names its colour in the theme."""

    name: str
    values: ArrayLike
    role: str = "query"


class SeriesPlot(Drawing):
    """Several series over the same labels, told apart by colour, sign and dash; hovering reads them all."""

    hovered = Signal(int)
    left = Signal()
    clicked = Signal(int)
    own_keys = SIDEWAYS

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._series: list[tuple[Series, NDArray[np.float64]]] = []
        self._finite = np.zeros(0)
        self._limits: tuple[float, float] | None = None
        self._labels: list[str] = []
        self._describe: Callable[[int], str] | None = None
        self._cursor: int | None = None
        self._hover: int | None = None

        self._legend = RichLabel(parent=self)
        self._legend.setWordWrap(True)
        self._log = QCheckBox(tr("log scale"), self)
        self._log.setAccessibleName(tr("Logarithmic scale"))
        self._log.hide()
        self._canvas = Canvas(self)
        self._canvas.setAccessibleName(tr("Lines"))
        self._box = view_box()
        self._frame = Frame(self._box, below=False)
        self._canvas.setCentralItem(self._frame)
        self._items: list[pg.GraphicsObject] = []
        self._cursor_line, self._hover_line = pg.InfiniteLine(angle=90), pg.InfiniteLine(angle=90)
        for line in (self._cursor_line, self._hover_line):
            self._box.addItem(line, ignoreBounds=True)
        self._box.setMouseEnabled(x=True, y=False)
        self._axis = LabelAxis("bottom", "query", self)
        self._readout = Readout(tr("Values under the pointer"), self)

        self._log.checkStateChanged.connect(self._draw)
        self._box.sigRangeChanged.connect(self._follow_zoom)
        self._box.sigResized.connect(self._align)
        self._canvas.pressed.connect(self._press)
        self._canvas.pointed.connect(self._point)
        self._canvas.left.connect(self._leave)
        self._axis.reset_asked.connect(self.show_all)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Plot over the tokens"))
        self._draw()

    def show_series(
        self,
        series: Sequence[Series],
        labels: Sequence[str],
        *,
        x_title: str = "",
        x_role: str = "query",
        y_title: str = "",
        log: bool | None = None,
        describe: Callable[[int], str] | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        """Show the series over the labels; `log` sets the scale, None leaves what the user chose.

        `limits` are the ends of the axis for values that have such, which are then shown in no other scale.

        `x_role` names the colour of the labels' title: "query" where they are tokens.
        `describe(index)` names a place in the readout; without it, its number and label do.
        A value that is not finite leaves a gap. A logarithmic scale is there where all others are positive.
        """
        arrays = [np.array(one.values, np.float64) for one in series]
        for one, values in zip(series, arrays, strict=True):
            if values.shape != (len(labels),):
                raise ValueError(f"{one.name}: {len(labels)} labels need as many values, got {values.shape}")
        count = max(1, len(labels))
        recount = len(labels) != len(self._labels)
        self._series = list(zip(series, arrays, strict=True))
        self._labels = list(labels)
        self._describe = describe
        self._finite = np.concatenate([values[np.isfinite(values)] for values in arrays] or [np.zeros(0)])
        self._limits = limits
        self._log.setVisible(limits is None and self._finite.size > 0 and bool(self._finite.min() > 0))
        self._frame.name("left", y_title)
        self._axis.set_labels(labels, x_title, x_role)
        if y_title:
            self.setAccessibleName(tr("{what} over the tokens").format(what=y_title))
        if recount:
            self._hover = None
            self._box.setLimits(xMin=0, xMax=count, minXRange=min(2, count), maxXRange=count)
            self.show_all()
        if log is not None:
            self._log.setChecked(log)
        self._draw()
        self._place()

    def set_cursor(self, index: int | None) -> None:
        """Draw the locked position; None draws none.

        One that moves is read in the place of the position that the pointer rests on.
        """
        if index != self._cursor:
            self._cursor, self._hover = index, None
            self._axis.set_lit(None)
            self._axis.set_locked(index)
            self._mark()

    def show_all(self) -> None:
        """Zoom out to all labels."""
        self._box.setRange(xRange=(0, max(1, len(self._labels))), padding=0)

    def drawn_values(self, name: str) -> NDArray[np.float64]:
        """[n]: the values of a series as drawn; NaN where it has a gap."""
        for one, values in self._series:
            if one.name == name:
                return np.where(np.isfinite(values), values, np.nan)
        raise KeyError(name)

    def painted_limits(self) -> tuple[float, float]:
        """The values at the lower and upper end of the axis."""
        low, high = self._box.viewRange()[1]
        return (10.0**low, 10.0**high) if self._is_log() else (float(low), float(high))

    def readout(self) -> str:
        """The line below the plot."""
        return self._readout.text()

    def position(self, index: int) -> QPointF:
        """A place in this widget at which a click means this label."""
        area = self._canvas.mapFromScene(self._box.sceneBoundingRect()).boundingRect()
        first, last = self._box.viewRange()[0]
        x = area.x() + (index + 0.5 - first) / (last - first) * area.width()
        return QPointF(self._canvas.x() + x, self._canvas.y() + area.center().y())

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 30), math.ceil(line * 16))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 14), math.ceil(line * 9))

    # Painting

    def _is_log(self) -> bool:
        return self._log.isChecked() and not self._log.isHidden()

    def wear(self) -> None:
        self._draw()

    def _draw(self) -> None:
        colours = theme.current()
        log = self._is_log()
        line = QFontMetricsF(self.font()).height()
        self._canvas.setBackground(QColor(colours.panel))
        self._frame.wear(colours, self.font())
        axis = self._frame.axes["left"]
        axis.setGrid(40)
        axis.setStyle(maxTickLevel=int(log))  # each line of the grid takes its time
        axis.setLogMode(False, log)
        for item in self._items:
            self._box.removeItem(item)
        self._items = []
        legend = []
        for number, (one, values) in enumerate(self._series):
            colour = QColor(getattr(colours, one.role))
            symbol, sign = list(_SIGNS.items())[number % len(_SIGNS)]
            pen = QPen(colour, line * 0.1)
            pen.setStyle(_DASHES[number % len(_DASHES)])
            pen.setCosmetic(True)
            # pyqtgraph is given finite points alone: it warns, or worse, about bounds that it cannot find.
            (at,) = np.nonzero(np.isfinite(values))
            x, y = at + 0.5, np.log10(values[at]) if log else values[at]
            joined = np.append(np.diff(at) == 1, False)[: len(at)]
            alone = ~joined & ~np.insert(joined, 0, False)[: len(at)]
            signed = np.ones_like(alone) if len(values) <= _MOST_SIGNS else alone
            if len(at):
                curve = pg.PlotCurveItem(x, y, connect=joined.astype(np.int32), pen=pen)
                if pen.style() == Qt.PenStyle.SolidLine:
                    # A line drawn in one takes twice as long; dashes need it.
                    curve.setSegmentedLineMode("on")
                signs = Signs(x[signed], y[signed], symbol=symbol, size=line * 0.4, brush=colour, pen=None)
                self._items += [curve, signs] if signed.any() else [curve]
            legend.append(legend_entry(sign, colour, one.name))
        for item in self._items:
            self._box.addItem(item, ignoreBounds=True)
        self._legend.setText("&nbsp; ".join(legend))
        # What is drawn, with a little air above and below.
        self._box.setRange(yRange=self._limits or value_ends(self._finite, log), padding=0.06)
        self._cursor_line.setPen(QPen(QColor(colours.accent), 0))
        self._hover_line.setPen(QPen(QColor(colours.text), 0))
        self._mark()

    def _place(self) -> None:
        line = QFontMetricsF(self.font()).height()
        width, height = self.width(), self.height()
        foot = math.ceil(line * 1.5)
        switch = self._log.sizeHint()
        taken = 0 if self._log.isHidden() else switch.width() + math.ceil(line)
        room = max(1, width - taken)
        head = max(switch.height(), self._legend.heightForWidth(room), foot)
        self._legend.setGeometry(0, 0, room, head)
        self._log.setGeometry(width - switch.width(), 0, switch.width(), switch.height())
        self._axis.set_margin(foot // 2)
        below = self._axis.thickness(height * 0.3)
        self._canvas.setGeometry(0, head, max(1, width - foot // 2), max(1, height - head - foot - below))
        self._readout.setGeometry(0, height - foot, width, foot)
        self._align()

    def _align(self) -> None:
        """Put the labels under the drawing, wherever the axis at the left makes it begin."""
        area = self._canvas.mapFromScene(self._box.sceneBoundingRect()).boundingRect()
        line = QFontMetricsF(self.font()).height()
        margin = math.ceil(line * 1.5) // 2
        below = max(0, self._readout.y() - self._canvas.geometry().bottom() - 1)
        top = self._canvas.geometry().bottom() + 1
        self._axis.setGeometry(area.x() - margin, top, area.width() + 2 * margin, below)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()
        super().resizeEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        self._place()
        super().showEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.FontChange:
            self._place()
        super().changeEvent(event)

    def _follow_zoom(self) -> None:
        self._axis.set_span(*self._box.viewRange()[0])

    def _mark(self) -> None:
        count = len(self._labels)
        for item, index in ((self._cursor_line, self._cursor), (self._hover_line, self._hover)):
            item.setVisible(index is not None and index < count)
            if index is not None:
                item.setValue(index + 0.5)
        self._say()

    def _say(self) -> None:
        index = self._cursor if self._hover is None else self._hover
        if index is None or index >= len(self._labels):
            self._readout.say(self._gaps(), hint=True)
            return
        parts = [f"{one.name} {short_number(float(values[index]), 6)}" for one, values in self._series]
        place = self._describe(index) if self._describe else f"{index} {self._labels[index]}"
        self._readout.say(f"{place}:  " + ",  ".join(parts))

    def _gaps(self) -> str:
        """What is not drawn: how many values of which series are not finite; "" where all are drawn."""
        counts = {one.name: int((~np.isfinite(values)).sum()) for one, values in self._series}
        said = [
            tr("{name}: {count} of {all} values are NaN or infinite").format(
                name=name, count=count, all=len(self._labels)
            )
            for name, count in counts.items()
            if count
        ]
        return "; ".join(said)

    # Pointing and pressing

    def _index_at(self, place: QPointF) -> int | None:
        area = self._canvas.mapFromScene(self._box.sceneBoundingRect()).boundingRect()
        if not self._labels or not area.contains(place.toPoint()):
            return None
        first, last = self._box.viewRange()[0]
        index = math.floor(first + (place.x() - area.x()) / area.width() * (last - first))
        return min(max(index, 0), len(self._labels) - 1)

    def _point(self, place: QPointF) -> None:
        index = self._index_at(place)
        if index == self._hover:
            return
        if index is None:
            self._leave()
            return
        self._hover = index
        self._axis.set_lit(index)
        self._mark()
        self.hovered.emit(index)

    def _leave(self) -> None:
        if self._hover is not None:
            self._hover = None
            self._axis.set_lit(None)
            self._mark()
            self.left.emit()

    def _press(self, place: QPointF, double: bool) -> None:
        index = self._index_at(place)
        if index is not None and not double:
            self.clicked.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None or not self._labels:
            super().keyPressEvent(event)
            return
        self.clicked.emit(min(max((self._cursor or 0) + step, 0), len(self._labels) - 1))
