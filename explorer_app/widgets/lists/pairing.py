"""Which numbers of a head are turned together, in two orders of the same numbers, one above the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr


class Pairing(QWidget):
    """Two rows of cells, one for each number; arcs join what makes a pair, lines lead to the other order.

    hovered  the pair under the pointer
    """

    hovered = Signal(int)
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: NDArray[np.float64] = np.zeros(0)
        self._order: list[int] = []
        self._titles = ("", "")
        self._hover: int | None = None
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Pairs"))
        theme.notifier.changed.connect(self.update)

    def show_orders(self, values: NDArray[np.float64], order: Sequence[int], titles: tuple[str, str]) -> None:
        """Show `values` [D], neighbours in pairs, and below them values[order], where pairs are half of D apart."""
        if sorted(order) != list(range(len(values))):
            raise ValueError(f"an order of {len(values)} values, not {list(order)}")
        self._values, self._order, self._titles = np.asarray(values, np.float64), list(order), titles
        self._hover = None
        self.setAccessibleDescription("\n".join(self.words(pair) for pair in range(len(values) // 2)))
        self.update()

    def words(self, pair: int) -> str:
        """The places of a pair in both orders, and its numbers."""
        first, second = 2 * pair, 2 * pair + 1
        below = self._order.index(first), self._order.index(second)
        return tr("pair {pair}: {a} and {b} above, {c} and {d} below; ({x}, {y})").format(
            pair=pair,
            a=first,
            b=second,
            c=below[0],
            d=below[1],
            x=short_number(float(self._values[first])),
            y=short_number(float(self._values[second])),
        )

    def cell_rect(self, row: int, place: int) -> QRectF:
        """The cell of a place in the upper (0) or lower (1) row."""
        line = QFontMetricsF(self.font()).height()
        margin = line * 0.5
        side = (self.width() - 2 * margin) / max(1, len(self._values))
        height = line * 1.6
        top = self._top() if row == 0 else self.height() - self._top() - height
        return QRectF(margin + place * side, top, side, height)

    def _top(self) -> float:
        """Room above the upper row, and below the lower, for a title and the arcs."""
        line = QFontMetricsF(self.font()).height()
        return line * 1.3 + max(line * 1.2, (self.height() - line * 7) * 0.28)

    def pair_at(self, point: QPointF) -> int | None:
        """The pair whose cell lies at a place in this widget."""
        for place, source in enumerate(self._order):
            if self.cell_rect(0, place).contains(point):
                return place // 2
            if self.cell_rect(1, place).contains(point):
                return source // 2
        return None

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(round(line * 36), round(line * 16))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(round(line * 16), round(line * 10))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        painter.fillRect(self.rect(), QColor(colours.panel))
        if not len(self._values):
            return
        line = QFontMetricsF(self.font()).height()
        painter.setPen(QColor(colours.muted))
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        room = QRectF(line * 0.5, line * 0.1, self.width() - line, line * 1.2)
        painter.drawText(room, middle, self._titles[0])
        room.moveBottom(self.height() - line * 0.1)
        painter.drawText(room, middle, self._titles[1])
        for pair in range(len(self._values) // 2):
            self._paint_pair(painter, pair)
        if self._hover is not None:
            self._paint_pair(painter, self._hover)

    def _paint_pair(self, painter: QPainter, pair: int) -> None:
        colours, count = theme.current(), len(self._values) // 2
        place = colours.cyclic[round(pair * 220 / max(1, count)) % 256]
        colour, ink = QColor(theme.hex_of(place)), theme.ink_on(place)
        chosen = pair == self._hover
        if self._hover is not None and not chosen:
            colour.setAlphaF(0.25)
            ink = colours.text
        places = ((2 * pair, 2 * pair + 1), tuple(self._order.index(2 * pair + i) for i in (0, 1)))
        wide = 2.2 if chosen else 1.1
        for above, below in zip(*places, strict=True):
            start, end = self.cell_rect(0, above), self.cell_rect(1, below)
            painter.setPen(QPen(colour, wide))
            painter.drawLine(
                QPointF(start.center().x(), start.bottom()), QPointF(end.center().x(), end.top())
            )
        for row, (one, other) in enumerate(places):
            self._paint_arc(painter, row, self.cell_rect(row, one), self.cell_rect(row, other), colour, wide)
            for number in (one, other):
                self._paint_cell(painter, self.cell_rect(row, number), number, colour, ink)

    def _paint_arc(
        self, painter: QPainter, row: int, one: QRectF, other: QRectF, colour: QColor, wide: float
    ) -> None:
        span = abs(other.center().x() - one.center().x()) / self.width()
        line = QFontMetricsF(self.font()).height()
        reach = (self._top() - line * 1.5) * min(1.0, 0.25 + 1.5 * span)
        edge, tip = (one.top(), one.top() - reach) if row == 0 else (one.bottom(), one.bottom() + reach)
        path = QPainterPath(QPointF(one.center().x(), edge))
        path.cubicTo(
            QPointF(one.center().x(), tip),
            QPointF(other.center().x(), tip),
            QPointF(other.center().x(), edge),
        )
        painter.setPen(QPen(colour, wide))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)

    def _paint_cell(self, painter: QPainter, cell: QRectF, place: int, colour: QColor, ink: str) -> None:
        painter.setPen(QPen(QColor(theme.current().panel), 1))
        painter.setBrush(colour)
        painter.drawRect(cell)
        metrics = QFontMetricsF(self.font())
        if metrics.horizontalAdvance(str(len(self._values))) < cell.width() * 0.9:
            painter.setPen(QColor(ink))
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, str(place))

    # Pointing

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point(self.pair_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)

    def _point(self, pair: int | None) -> None:
        if pair != self._hover:
            self._hover = pair
            self.update()
            if pair is None:
                self.left.emit()
            else:
                self.hovered.emit(pair)
