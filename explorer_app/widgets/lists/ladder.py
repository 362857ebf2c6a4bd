"""Rows of bricks over the same columns: how the pieces of a word are joined, step by step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.lists.pointing import PaintedItems
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.text import tr


@dataclass(frozen=True)
class Rung:
    """One row. A piece is a brick over as many columns as its width says; all rows have as many columns.

    label, value  what stands before the bricks, e.g. "3" and "709"
    made          the brick that is new in this row
    chosen        the brick that is the query token
    notes         a short text below each brick; `noted` says what these are
    """

    pieces: tuple[str, ...]
    widths: tuple[int, ...]
    label: str = ""
    value: str = ""
    made: int | None = None
    chosen: int | None = None
    notes: tuple[str, ...] = ()
    noted: str = ""
    tip: str = ""

    @property
    def edges(self) -> list[int]:
        """The columns at which the bricks begin, and where the last ends."""
        return list(accumulate(self.widths, initial=0))


class Ladder(PaintedItems):
    """Rungs from the top, with titles over the labels and the values; scrolls both ways where they do not fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rungs: list[Rung] = []
        self._titles = ("", "")
        self._columns: list[float] = [0.0]
        self.setAccessibleName(tr("Steps"))

    def show_rungs(self, rungs: Sequence[Rung], titles: tuple[str, str]) -> None:
        """Show the rows; `titles` are those of the labels and the values."""
        self._rungs, self._titles = list(rungs), titles
        self._hover = None
        self.setAccessibleDescription(
            "\n".join(" ".join((rung.label, rung.value, *rung.pieces)) for rung in self._rungs)
        )
        self.measure()
        self.fit_scroll()
        self.viewport().update()

    def rungs(self) -> list[Rung]:
        """The rows that are shown."""
        return list(self._rungs)

    def item_rect(self, index: int) -> QRectF:
        top = self._top(index) - self.verticalScrollBar().value()
        return QRectF(0, top, self.viewport().width(), self._top(index + 1) - self._top(index))

    def item_at(self, point: QPointF) -> int | None:
        rows = (row for row in range(len(self._rungs)) if self.item_rect(row).contains(point))
        return next(rows, None) if point.y() > self._line() * 1.4 else None

    def tip(self, index: int) -> str:
        return self._rungs[index].tip

    def sizeHint(self) -> QSize:
        return QSize(math.ceil(self._line() * 24), math.ceil(self._line() * 12))

    def minimumSizeHint(self) -> QSize:
        return QSize(math.ceil(self._line() * 10), math.ceil(self._line() * 4))

    # Geometry

    def _line(self) -> float:
        return QFontMetricsF(self.font()).height()

    def _note_font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.8)
        return font

    def _row_height(self, rung: Rung) -> float:
        return self._line() * (2.6 if any(rung.notes) else 1.75)

    def _top(self, row: int) -> float:
        return self._line() * 1.5 + sum(map(self._row_height, self._rungs[:row]))

    def _gutter(self) -> tuple[float, float]:
        """Where labels end and where values end; the bricks begin a little later."""
        text, line = QFontMetricsF(self.font()), self._line()
        labels = [self._titles[0], *(rung.label for rung in self._rungs)]
        values = [self._titles[1], *(text for rung in self._rungs for text in (rung.value, rung.noted))]
        first = line * 0.4 + max(map(text.horizontalAdvance, labels))
        return first, first + line * 0.9 + max(map(text.horizontalAdvance, values))

    def measure(self) -> None:
        """Columns just wide enough for every brick's text and note."""
        mono, small = QFontMetricsF(theme.mono_font()), QFontMetricsF(self._note_font())
        pad = self._line() * 0.7
        columns = [self._line() * 1.1] * (sum(self._rungs[0].widths) if self._rungs else 0)
        for rung in self._rungs:
            notes = rung.notes or ("",) * len(rung.pieces)
            for piece, note, start, width in zip(rung.pieces, notes, rung.edges, rung.widths, strict=False):
                wide = max(mono.horizontalAdvance(visible_blanks(piece)), small.horizontalAdvance(note)) + pad
                lacks = wide - sum(columns[start : start + width])
                for column in range(start, start + width):
                    columns[column] += max(0.0, lacks) / width
        self._columns = list(accumulate(columns, initial=0.0))

    def whole(self) -> QSizeF:
        width = self._gutter()[1] + self._line() * 1.4 + self._columns[-1]
        return QSizeF(width, self._top(len(self._rungs)) + self._line() * 0.5)

    def step(self) -> float:
        return self._line() * 2

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, line = theme.current(), self._line()
        painter.translate(-self.horizontalScrollBar().value(), 0)
        first, second = self._gutter()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for row, rung in enumerate(self._rungs):
            box = self.item_rect(row)
            if box.bottom() < 0 or box.top() > self.viewport().height():
                continue
            if row == self._hover:
                whole = QRectF(
                    0, box.top(), max(self.viewport().width(), second + self._columns[-1]), box.height()
                )
                painter.fillRect(whole, QColor(colours.hover))
            height = line * 1.75
            painter.setFont(self.font())
            painter.setPen(QColor(colours.muted))
            painter.drawText(QRectF(0, box.top(), first, height), right, rung.label)
            painter.setPen(QColor(colours.text))
            painter.drawText(QRectF(first, box.top(), second - first, height), right, rung.value)
            if rung.noted:
                painter.setFont(self._note_font())
                painter.setPen(QColor(colours.muted))
                below = QRectF(first, box.top() + line * 1.6, second - first, line * 0.9)
                painter.drawText(below, right, rung.noted)
            for place in range(len(rung.pieces)):
                self._paint_brick(painter, rung, place, second + line * 0.9, box.top())
        painter.fillRect(
            QRectF(0, 0, max(self._columns[-1] + second + line * 2, self.viewport().width()), line * 1.4),
            QColor(colours.panel),
        )
        painter.setFont(self.font())
        painter.setPen(QColor(colours.muted))
        painter.drawText(QRectF(0, 0, first, line * 1.4), right, self._titles[0])
        painter.drawText(QRectF(first, 0, second - first, line * 1.4), right, self._titles[1])

    def _paint_brick(self, painter: QPainter, rung: Rung, place: int, left: float, top: float) -> None:
        colours, line = theme.current(), self._line()
        start, end = rung.edges[place : place + 2]
        box = QRectF(
            left + self._columns[start] + line * 0.08,
            top + line * 0.2,
            self._columns[end] - self._columns[start] - line * 0.16,
            line * 1.4,
        )
        role = colours.query if place == rung.chosen else colours.accent if place == rung.made else None
        fill, border = QColor(colours.raised), QColor(role or colours.edge)
        if role is not None:
            fill = QColor(role)
            fill.setAlphaF(theme.TINT)
        painter.setBrush(fill)
        painter.setPen(QPen(border, line * (0.12 if role else 0.06)))
        painter.drawRoundedRect(box, line * 0.25, line * 0.25)
        centre = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine
        painter.setFont(theme.mono_font())
        painter.setPen(QColor(role if place == rung.chosen and role else colours.text))
        painter.drawText(box, centre, visible_blanks(rung.pieces[place]))
        if rung.notes:
            painter.setFont(self._note_font())
            painter.setPen(QColor(colours.muted))
            painter.drawText(
                QRectF(box.left(), box.bottom(), box.width(), line * 0.9), centre, rung.notes[place]
            )
