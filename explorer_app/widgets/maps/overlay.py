"""What stands on a matrix of coloured cells: numbers, marked corners, cursors."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.maps.colours import Floats, Limits
from explorer_app.widgets.plots.plotting import pg
from explorer_app.words.numbers import short_number


@dataclass(frozen=True)
class Marked:
    """What stands out, as (row, column): locked, lit from elsewhere, and under the pointer."""

    cursor: tuple[int | None, int | None] = (None, None)
    preview: tuple[int | None, int | None] = (None, None)
    hover: tuple[int, int] | None = None


def cell_text(value: float, digits: int = 2) -> str:
    """What a large enough cell says; empty for a masked one, which the hatching explains."""
    if math.isnan(value):
        return "X"
    return "" if value == -math.inf else short_number(value, digits)


class Overlay(pg.GraphicsObject):
    """What stands on the cells: numbers where they fit, the cell pointed at, the locked row and column."""

    def __init__(self, owner: QWidget) -> None:
        """`owner` has the font."""
        super().__init__()
        self._owner = owner
        self._marked = Marked()
        self._values: Floats = np.zeros((0, 0), np.float32)
        self._limits: Limits = (0.0, 1.0)
        self._ink_is_white = np.zeros(256, bool)

    def set_matrix(self, values: Floats, limits: Limits, lut: theme.Lut) -> None:
        self.prepareGeometryChange()
        self._values, self._limits = values, limits
        self._ink_is_white = theme.white_is_read_on(lut)
        self.update()

    def mark(self, marked: Marked) -> None:
        if marked != self._marked:
            self._marked = marked
            self.update()

    def boundingRect(self) -> QRectF:
        rows, cols = self._values.shape
        return QRectF(0, 0, cols, rows)

    def paint(self, painter: QPainter, *args: object) -> None:
        to_screen = painter.worldTransform()
        painter.resetTransform()
        metrics = QFontMetricsF(self._owner.font())
        cell = to_screen.mapRect(QRectF(0, 0, 1, 1))
        if min(cell.width(), cell.height()) >= metrics.height() * 0.6:
            self._paint_clipped(painter, to_screen.mapRect, metrics.height() * 0.5)
        if cell.height() >= metrics.height() and cell.width() >= metrics.horizontalAdvance("0.00") * 1.2:
            self._paint_texts(painter, to_screen.mapRect, cell.size().width())
        self._paint_cursor(painter, to_screen.mapRect, metrics.height())

    def fitting_texts(self, width: float) -> tuple[QFont, dict[tuple[int, int], str]]:
        """What the cells in sight say, all of them in one precision and font, and that font.

        The most digits that fit cells of this width; none at all where even one digit does not.
        """
        cells, font = list(self._in_sight()), QFont(self._owner.font())
        for digits in (2, 1):
            for size in (0.9, 0.75):
                font.setPointSizeF(self._owner.font().pointSizeF() * size)
                metrics = QFontMetricsF(font)
                texts = {cell: cell_text(float(self._values[cell]), digits) for cell in cells}
                if all(metrics.horizontalAdvance(text) <= width for text in texts.values()):
                    return font, texts
        return font, {}

    def _paint_texts(self, painter: QPainter, place: Callable[[QRectF], QRectF], width: float) -> None:
        font, texts = self.fitting_texts(width)
        painter.setFont(font)
        low, high = self._limits
        broken = QColor(theme.current().panel)
        for (row, col), text in texts.items():
            value = float(self._values[row, col])
            if math.isfinite(value):
                share = min(1.0, max(0.0, (value - low) / (high - low)))
                painter.setPen(self._ink(share))
            else:
                painter.setPen(broken)
            painter.drawText(place(QRectF(col, row, 1, 1)), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_clipped(self, painter: QPainter, place: Callable[[QRectF], QRectF], size: float) -> None:
        """A corner in the cells that are more (upper right) or less (lower right) than their colour says."""
        painter.setPen(Qt.PenStyle.NoPen)
        low, high = self._limits
        outside = np.isfinite(self._values) & ((self._values < low) | (self._values > high))
        for row, col in self._in_sight():
            if outside[row, col]:
                box = place(QRectF(col, row, 1, 1))
                above = bool(self._values[row, col] > high)
                painter.setBrush(self._ink(1.0 if above else 0.0))
                corner = box.topRight() if above else box.bottomRight()
                down = QPointF(0, size if above else -size)
                painter.drawPolygon(QPolygonF([corner, corner - QPointF(size, 0), corner + down]))

    def _ink(self, share: float) -> QColor:
        """The colour to write in on a cell, by its place on the colour bar (0 to 1)."""
        return QColor("#ffffff" if self._ink_is_white[round(share * 255)] else "#000000")

    def _in_sight(self) -> Iterator[tuple[int, int]]:
        """The cells (row, column) that the zoom shows."""
        rows, cols = self._values.shape
        (first, last), (top, bottom) = self.getViewBox().viewRange()
        return product(
            range(max(0, math.floor(top)), min(rows, math.ceil(bottom))),
            range(max(0, math.floor(first)), min(cols, math.ceil(last))),
        )

    def _paint_cursor(self, painter: QPainter, place: Callable[[QRectF], QRectF], line: float) -> None:
        colours = theme.current()
        rows, cols = self._values.shape
        row, col = self._marked.cursor
        thin, thick = line * 0.08, line * 0.15
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if row is not None and row < rows:
            painter.setPen(QPen(QColor(colours.query), thin))
            painter.drawRect(place(QRectF(0, row, cols, 1)))
        if col is not None and col < cols:
            painter.setPen(QPen(QColor(colours.key), thin))
            painter.drawRect(place(QRectF(col, 0, 1, rows)))
        if row is not None and col is not None and row < rows and col < cols:
            painter.setPen(QPen(QColor(colours.accent), thick))
            painter.drawRect(place(QRectF(col, row, 1, 1)))
        row, col = self._marked.preview
        painter.setPen(QPen(QColor(colours.text), thin, Qt.PenStyle.DotLine))
        if row is not None:
            painter.drawRect(place(QRectF(0, row, cols, 1)))
        if col is not None:
            painter.drawRect(place(QRectF(col, 0, 1, rows)))
        hover = self._marked.hover
        if hover is not None:
            painter.setPen(QPen(QColor(colours.text), thin))
            painter.drawRect(place(QRectF(hover[1], hover[0], 1, 1)))
