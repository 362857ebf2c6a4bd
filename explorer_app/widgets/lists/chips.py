"""The tokens of a text as a strip of chips: what the model reads, blanks drawn, ids below."""

import math
from bisect import bisect_right
from collections.abc import Collection, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.lists.pointing import PaintedItems
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.text import tr

MOST_IN_TIP = 1000


class TokenStrip(PaintedItems):
    """One line of token chips, painted by hand so that thousands cost no more than those in sight.

    The query token is blue and the key token red, as everywhere. With Shift, left and right walk the query token. A
    token that stands for no text, such as BOS, has a dashed border and slanted letters.
    """

    walked = Signal(int)
    """The query token that a key leads to."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens: list[str] = []
        self._texts: list[str] = []
        self._ids: list[int] = []
        self._special: frozenset[int] = frozenset()
        self._edges: list[float] = [0.0]
        self._height = 0.0
        self._query: int | None = None
        self._key: int | None = None
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("Tokens"))

    def show_tokens(self, tokens: Sequence[str], ids: Sequence[int], special: Collection[int] = ()) -> None:
        """Show the token strings as the tokenizer gives them, with their ids; `special` are positions."""
        if len(tokens) != len(ids):
            raise ValueError(f"each token needs its id, got {len(tokens)} tokens and {len(ids)} ids")
        self._tokens, self._ids, self._special = list(tokens), list(ids), frozenset(special)
        self._texts = [visible_blanks(token) for token in self._tokens]
        self._hover = None
        self.measure()
        self.setAccessibleDescription(" ".join(self._texts[:200]))
        self.fit_scroll()
        self.reveal()
        self.viewport().update()

    def set_cursor(self, query: int | None, key: int | None = None) -> None:
        """Colour the query token blue and the key token red, and keep the query token in sight."""
        if (query, key) != (self._query, self._key):
            moved = query != self._query
            self._query, self._key = query, key
            if moved:
                self.reveal()
            self.viewport().update()

    def item_rect(self, index: int) -> QRectF:
        gap = self._gap()
        left = self._edges[index] - self.horizontalScrollBar().value()
        return QRectF(left, gap / 2, self._edges[index + 1] - self._edges[index] - gap, self._height)

    def item_at(self, point: QPointF) -> int | None:
        x = point.x() + self.horizontalScrollBar().value()
        index = bisect_right(self._edges, x) - 1
        return index if 0 <= index < len(self._tokens) and self.item_rect(index).contains(point) else None

    def tip(self, index: int) -> str:
        words = tr("“{token}”, id {id}, position {position} of {count}").format(
            token=visible_blanks(self._tokens[index], MOST_IN_TIP),
            id=self._ids[index],
            position=index,
            count=len(self._tokens),
        )
        return words + (tr("; a special token, which stands for no text") if index in self._special else "")

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 40), self.minimumSizeHint().height())

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        scroll = self.horizontalScrollBar().sizeHint().height()
        return QSize(math.ceil(line * 8), math.ceil(self._chip_height() + self._gap() + scroll))

    # Geometry

    def _gap(self) -> float:
        return QFontMetricsF(self.font()).height() * 0.25

    def _id_font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.75)
        return font

    def _chip_height(self) -> float:
        above, below = QFontMetricsF(theme.mono_font()).height(), QFontMetricsF(self._id_font()).height()
        return (above + below) * 1.15

    def measure(self) -> None:
        text, number = QFontMetricsF(theme.mono_font()), QFontMetricsF(self._id_font())
        digit = number.horizontalAdvance("0")
        gap = self._gap()
        edges = [gap / 2]
        for shown, token_id in zip(self._texts, self._ids, strict=True):
            width = max(text.horizontalAdvance(shown), digit * len(str(token_id))) + gap * 2
            edges.append(edges[-1] + width + gap)
        self._edges = edges
        self._height = self._chip_height()

    def whole(self) -> QSizeF:
        return QSizeF(self._edges[-1], 0)

    def step(self) -> float:
        return QFontMetricsF(self.font()).height() * 3

    def reveal(self) -> None:
        """Scroll so that the query token and a little of its neighbours are in sight."""
        index = self._query
        if index is None or not 0 <= index < len(self._tokens):
            return
        bar, width = self.horizontalScrollBar(), self.viewport().width()
        margin = min(width / 4, QFontMetricsF(self.font()).height() * 4)
        first, last = self._edges[index] - margin, self._edges[index + 1] + margin
        if first < bar.value():
            bar.setValue(math.floor(first))
        elif last > bar.value() + width:
            bar.setValue(math.ceil(last - width))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        if not self._tokens:
            painter.setPen(QColor(colours.muted))
            place = self.viewport().rect()
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, tr("Type a prompt to see its tokens"))
            return
        mono, small = theme.mono_font(), self._id_font()
        slanted = QFont(mono)
        slanted.setItalic(True)
        line = QFontMetricsF(mono).height()
        centre = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine
        offset = self.horizontalScrollBar().value()
        first = max(0, bisect_right(self._edges, offset) - 1)
        for index in range(first, len(self._tokens)):
            if self._edges[index] > offset + self.viewport().width():
                break
            box = self.item_rect(index)
            role = self._colour_of(index)
            border = role or QColor(colours.text if index == self._hover else colours.edge)
            fill = QColor(colours.hover if index == self._hover else colours.raised)
            if role is not None:
                tint = QColor(role)
                tint.setAlphaF(theme.TINT)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(tint)
                painter.drawRoundedRect(box, line * 0.25, line * 0.25)
            else:
                painter.setBrush(fill)
            if role is not None:
                painter.setBrush(Qt.BrushStyle.NoBrush)
            focused = index == self._query and self.hasFocus()
            pen = QPen(border, line * (0.2 if focused else 0.12 if role is not None else 0.06))
            if index in self._special:
                pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawRoundedRect(box, line * 0.25, line * 0.25)
            top = QRectF(box.left(), box.top(), box.width(), box.height() * 0.6)
            painter.setFont(slanted if index in self._special else mono)
            painter.setPen(role or QColor(colours.text))
            painter.drawText(top, centre, self._texts[index])
            below = QRectF(box.left(), box.top() + box.height() * 0.55, box.width(), box.height() * 0.42)
            painter.setFont(small)
            painter.setPen(QColor(colours.muted))
            painter.drawText(below, centre, str(self._ids[index]))

    def _colour_of(self, index: int) -> QColor | None:
        colours = theme.current()
        if index == self._query:
            return QColor(colours.query)
        return QColor(colours.key) if index == self._key else None

    # Wheel and keys

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A plain wheel scrolls sideways: there is no other direction."""
        turn = event.angleDelta()
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (turn.x() or turn.y()))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Plain keys walk the forward pass, here as elsewhere."""
        if not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            super().keyPressEvent(event)
            return
        last = len(self._tokens) - 1
        at = 0 if self._query is None else self._query
        target = {
            Qt.Key.Key_Left: at - 1,
            Qt.Key.Key_Right: at + 1,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }.get(Qt.Key(event.key()))
        if target is None or last < 0:
            super().keyPressEvent(event)
            return
        target = min(max(target, 0), last)
        if target != self._query:
            self.walked.emit(target)
