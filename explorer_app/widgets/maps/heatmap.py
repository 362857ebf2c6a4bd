"""A matrix as coloured cells: one row a query, one column a key, every cell a number of the model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.arrows import ARROWS, stepped
from explorer_app.widgets.labels import LabelAxis
from explorer_app.widgets.maps.colourbar import ColourBar
from explorer_app.widgets.maps.colours import Colours, Floats, Limits, colour_limits, colour_map
from explorer_app.widgets.maps.hatching import Hatching
from explorer_app.widgets.maps.overlay import Marked, Overlay, cell_text
from explorer_app.widgets.maps.pixels import rgb
from explorer_app.widgets.plots.plotting import Canvas, Drawing, pg, view_box
from explorer_app.widgets.readout import Readout
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

_WIDEST_CELL = 2.5
"""A cell is at most this many times wider than high, and as many times higher than wide."""


class Margins(NamedTuple):
    """The room beside the cells: for the labels of rows and columns, and for the colour bar."""

    left: int
    top: int
    right: int


class Heatmap(Drawing):
    """Cells, their labels on both sides, and a colour bar with real limits.

    Masked cells (-inf) are hatched grey, NaN an X, +inf an infinity sign; clipped cells have a marked
    corner, upper or lower. The wheel zooms, a drag moves, a double click on the labels shows everything again.
    Pointing at a cell previews it, a click asks to lock it; the arrow keys walk from the locked cell.
    """

    hovered = Signal(int, int)
    left = Signal()
    own_keys = frozenset(ARROWS)
    clicked = Signal(int, int)
    double_clicked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: Floats = np.zeros((0, 0), np.float32)
        self._colours: Colours = "sequential"
        self._limits: Limits = (0.0, 1.0)
        self._describe: Callable[[int, int], str] | None = None
        self._stretch = False
        self._reserved = Margins(0, 0, 0)
        self._marked = Marked()

        self._row_axis = LabelAxis("left", "query", self)
        self._col_axis = LabelAxis("top", "key", self)
        self._bar = ColourBar(self)
        self._readout = Readout(tr("Value under the pointer"), self)
        self._canvas = Canvas(self)
        self._box = view_box(invertY=True)
        self._canvas.setCentralItem(self._box)
        self._hatching = Hatching(self)
        self._image = pg.ImageItem()
        self._broken = pg.ImageItem()
        self._overlay = Overlay(self)
        for layer, item in enumerate((self._hatching, self._image, self._broken, self._overlay)):
            item.setZValue(layer)
            self._box.addItem(item, ignoreBounds=True)

        self._box.sigRangeChanged.connect(self._follow_zoom)
        self._canvas.pressed.connect(self._press)
        self._canvas.pointed.connect(self._point)
        self._canvas.left.connect(self._leave)
        for axis in (self._row_axis, self._col_axis):
            axis.reset_asked.connect(self.show_all)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Heatmap"))
        self.wear()

    # What it shows

    def show_matrix(
        self,
        values: NDArray[Any],
        rows: Sequence[str],
        cols: Sequence[str],
        *,
        colours: Colours = "sequential",
        limits: Limits | None = None,
        row_title: str = "",
        col_title: str = "",
        describe: Callable[[int, int], str] | None = None,
        bar: bool = True,
        stretch: bool = False,
        roles: tuple[str, str] = ("query", "key"),
    ) -> None:
        """Show `values` [rows, columns]; -inf means masked.

        `limits` are the values of the two ends of the colour bar; None takes them from the values.
        `bar` False leaves the colour bar out, where cells are either masked or not and their colour says nothing.
        `describe(row, column)` is the line that is shown while a cell is pointed at.
        `roles` name the colours of the row and column titles in the theme.
        `stretch`: the cells fill the room there is, whatever shape that gives them.
        The zoom stays as long as the shape does.
        """
        values = np.array(values, np.float32)
        if values.shape != (len(rows), len(cols)):
            raise ValueError(f"a matrix of {values.shape} has {len(rows)} row and {len(cols)} column labels")
        reshaped = values.shape != self._values.shape
        self._values, self._colours, self._describe, self._stretch = values, colours, describe, stretch
        self._limits = colour_limits(values, colours, limits)
        self._bar.setVisible(bar)
        self._row_axis.set_labels(rows, row_title, roles[0])
        self._col_axis.set_labels(cols, col_title, roles[1])
        if row_title or col_title:
            name = tr("Heatmap: {rows} by {columns}").format(rows=row_title, columns=col_title)
            self.setAccessibleName(name)
        if reshaped:
            self._light(None)
        self._place()
        self._paint_cells()
        if reshaped:
            self._bound_zoom()
        self._say()

    def set_cursor(self, row: int | None, col: int | None) -> None:
        """Draw the locked row, column or cell; None draws none.

        One that moves is read in the place of the cell that the pointer rests on.
        """
        if (row, col) != self._marked.cursor:
            self._mark(cursor=(row, col))
            self._light(None)
            self._row_axis.set_locked(row)
            self._col_axis.set_locked(col)
            self._say()

    def preview(self, row: int | None, col: int | None) -> None:
        """Light a row, a column or a cell that is pointed at elsewhere; None lights none."""
        rows, cols = self._values.shape
        row = row if row is not None and row < rows else None
        col = col if col is not None and col < cols else None
        if self._marked.hover is None and (row, col) != self._marked.preview:
            self._mark(preview=(row, col))
            self._row_axis.set_lit(row)
            self._col_axis.set_lit(col)
            self._bar.set_mark(None if row is None or col is None else float(self._values[row, col]))
            self._say()

    def set_readout(self, shown: bool) -> None:
        """Whether there is a line below the cells; without it somebody else says what is pointed at."""
        self._readout.setVisible(shown)
        self._place()

    def margins(self) -> Margins:
        """The room beside the cells that this map takes, or was told to."""
        return Margins(
            max(self._row_axis.thickness(self.width() * 0.3), self._reserved.left),
            max(self._col_axis.thickness(self.height() * 0.3), self._reserved.top),
            max(
                math.ceil(QFontMetricsF(self.font()).height())
                if self._bar.isHidden()
                else self._bar.sizeHint().width(),
                self._reserved.right,
            ),
        )

    def reserve(self, margins: Margins) -> None:
        """Leave at least so much room beside the cells, so that they stand in line with those of another map."""
        if margins != self._reserved:
            self._reserved = margins
            self._place()

    def show_all(self) -> None:
        """Zoom out to the whole matrix."""
        rows, cols = self._values.shape
        self._box.setRange(xRange=(0, max(cols, 1)), yRange=(0, max(rows, 1)), padding=0)

    def zoom_to(self, rows: tuple[float, float], cols: tuple[float, float]) -> None:
        """Show the cells from and to these edges, row 0 beginning at 0.0."""
        self._box.setRange(xRange=cols, yRange=rows, padding=0)

    # What can be read back

    def image_values(self) -> Floats:
        """[rows, columns]: the very array that the image item draws; NaN where a cell is masked."""
        image = self._image.image
        return np.zeros((0, 0), np.float32) if image is None else image

    def cell_text(self, row: int, col: int, digits: int = 2) -> str:
        """What a large enough cell says."""
        return cell_text(float(self._values[row, col]), digits)

    def cursor_cell(self) -> tuple[int | None, int | None]:
        """The locked row and column."""
        return self._marked.cursor

    def painted_limits(self) -> Limits:
        """The values that the two ends of the colours stand for."""
        low, high = self._image.getLevels()
        return float(low), float(high)

    def readout(self) -> str:
        """The line below the cells."""
        return self._readout.text()

    def visible_range(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(rows, columns) from edge to edge, as zoomed."""
        (x0, x1), (y0, y1) = self._box.viewRange()
        return (y0, y1), (x0, x1)

    def cell_centre(self, row: int, col: int) -> QPointF:
        """Where a cell is, in this widget's coordinates."""
        (top, bottom), (first, last) = self.visible_range()
        area = self._canvas.geometry()
        x = area.x() + (col + 0.5 - first) / (last - first) * area.width()
        y = area.y() + (row + 0.5 - top) / (bottom - top) * area.height()
        return QPointF(x, y)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """(row, column) of the cell at a place in this widget; None outside of the cells."""
        area = QRectF(self._canvas.geometry())
        if not area.contains(point):
            return None
        (top, bottom), (first, last) = self.visible_range()
        row = math.floor(top + (point.y() - area.y()) / area.height() * (bottom - top))
        col = math.floor(first + (point.x() - area.x()) / area.width() * (last - first))
        rows, cols = self._values.shape
        return (row, col) if 0 <= row < rows and 0 <= col < cols else None

    def sizeHint(self) -> QSize:
        unit = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(unit * 32), math.ceil(unit * 26))

    def minimumSizeHint(self) -> QSize:
        unit = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(unit * 14), math.ceil(unit * 12))

    # Painting

    def wear(self) -> None:
        self._canvas.setBackground(QColor(theme.current().panel))
        self._paint_cells()

    def _paint_cells(self) -> None:
        values = self._values
        rows, cols = values.shape
        empty = values.size == 0
        for item in (self._hatching, self._image, self._overlay):
            item.setVisible(not empty)
        if empty:
            self._image.clear()
            self._broken.setVisible(False)
            return
        # The one place where -inf becomes NaN: pyqtgraph leaves NaN unpainted, the hatching shows through.
        masked = np.isneginf(values)
        lut = colour_map(self._colours, self._limits)
        whole = QRectF(0, 0, cols, rows)
        self._image.setImage(np.where(masked, np.float32(np.nan), values), levels=self._limits, lut=lut)
        self._image.setRect(whole)

        broken = np.isnan(values) | np.isposinf(values)
        self._broken.setVisible(bool(broken.any()))
        if broken.any():
            rgba = np.zeros((rows, cols, 4), np.uint8)
            rgba[broken] = (*rgb(theme.current().error), 255)
            self._broken.setImage(rgba, levels=None)
            self._broken.setRect(whole)

        finite = values[np.isfinite(values)]
        low, high = self._limits
        clipped = (bool((finite < low).any()), bool((finite > high).any()))
        self._bar.show_limits(lut, self._limits, clipped, bool(masked.any()))
        self._hatching.set_rect(whole)
        self._overlay.set_matrix(values, self._limits, lut)

    def _place(self) -> None:
        """Lay out by hand: the labels and the cells share edges, and cells keep a sensible shape."""
        rows, cols = self._values.shape
        line = QFontMetricsF(self.font()).height()
        width, height = self.width(), self.height()
        foot = math.ceil(line / 2) if self._readout.isHidden() else math.ceil(line * 1.5)
        left, _, bar = self.margins()
        room_across = max(1, width - left - bar)
        margin = math.ceil(line / 2)
        for axis in (self._row_axis, self._col_axis):
            axis.set_margin(margin)
        self._col_axis.resize(room_across + 2 * margin, 1)  # its length decides whether texts must turn
        top = self.margins().top
        room_down = max(1, height - top - foot)
        across, down = room_across, room_down
        if rows and cols and not self._stretch:
            cell_w, cell_h = room_across / cols, room_down / rows
            across = min(room_across, max(1, round(cols * cell_h * _WIDEST_CELL)))
            down = min(room_down, max(1, round(rows * cell_w * _WIDEST_CELL)))
        self._canvas.setGeometry(left, top, across, down)
        self._row_axis.setGeometry(0, top - margin, left, down + 2 * margin)
        self._col_axis.setGeometry(left - margin, 0, across + 2 * margin, top)
        self._bar.setGeometry(left + across, top, bar, max(down, min(room_down, round(line * 6))))
        self._readout.setGeometry(0, height - foot, width, foot)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()
        self._say()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.FontChange:
            self._place()
        super().changeEvent(event)

    def _bound_zoom(self) -> None:
        rows, cols = (max(n, 1) for n in self._values.shape)
        self._box.setLimits(
            xMin=0, xMax=cols, yMin=0, yMax=rows,
            minXRange=min(cols, 2), maxXRange=cols, minYRange=min(rows, 2), maxYRange=rows,
        )  # fmt: skip
        self.show_all()

    def _follow_zoom(self) -> None:
        (top, bottom), (first, last) = self.visible_range()
        self._row_axis.set_span(top, bottom)
        self._col_axis.set_span(first, last)
        self._overlay.update()

    # Pointing and pressing

    def _light(self, cell: tuple[int, int] | None) -> None:
        self._mark(hover=cell, preview=(None, None))
        self._row_axis.set_lit(None if cell is None else cell[0])
        self._col_axis.set_lit(None if cell is None else cell[1])
        self._bar.set_mark(None if cell is None else float(self._values[cell]))
        self._say()

    def _mark(self, **fields: Any) -> None:
        self._marked = replace(self._marked, **fields)
        self._overlay.mark(self._marked)

    def _point(self, place: QPointF) -> None:
        cell = self.cell_at(place + QPointF(self._canvas.pos()))
        if cell == self._marked.hover:
            return
        if cell is None:
            self._leave()
        else:
            self._light(cell)
            self.hovered.emit(*cell)

    def _leave(self) -> None:
        if self._marked.hover is not None:
            self._light(None)
            self.left.emit()

    def _press(self, place: QPointF, double: bool) -> None:
        cell = self.cell_at(place + QPointF(self._canvas.pos()))
        if cell is not None:
            (self.double_clicked if double else self.clicked).emit(*cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        row, col = self._marked.cursor
        start = (row or 0, col or 0)
        cell = stepped(event, start, self._values.shape)
        if cell is None:
            super().keyPressEvent(event)
        else:
            self.clicked.emit(*(start if row is None or col is None else cell))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Only the frame that says: the keyboard is here."""
        super().paintEvent(event)
        if self.hasFocus():
            painter = QPainter(self)
            painter.setPen(QPen(QColor(theme.current().accent), 0))
            painter.drawRect(self._canvas.geometry().adjusted(-1, -1, 0, 0))

    def _say(self) -> None:
        """Write the line below: the cell pointed at, else the locked one, else how to use the map."""
        rows, cols = self._values.shape
        cell = self._marked.hover
        for row, col in (self._marked.preview, self._marked.cursor):
            if cell is None and row is not None and col is not None and row < rows and col < cols:
                cell = (row, col)
        if cell is not None:
            text = self._describe(*cell) if self._describe else short_number(float(self._values[cell]), 6)
        elif not self._values.size:
            text = tr("Nothing to show yet")
        elif min(self._canvas.width() / max(cols, 1), self._canvas.height() / max(rows, 1)) < 1:
            text = tr("{rows} × {columns} cells, more than pixels here: zoom in with the wheel").format(
                rows=rows, columns=cols
            )
        else:
            text = tr("Point at a cell to read it, click to lock it; the wheel zooms")
        self._readout.say(text, hint=cell is None)
