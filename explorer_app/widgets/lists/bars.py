"""A list of bars: what is likely next and how likely, with what it was before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.lists.pointing import PaintedItems
from explorer_app.words.numbers import percent
from explorer_app.words.text import tr


@dataclass(frozen=True)
class Bar:
    """One row: a label, a bar of `value` (0..1), and a text at the right, e.g. "62.1 %"."""

    label: str
    value: float
    text: str
    before: float | None = None
    """What the value was (0..1), drawn as a thin bar below."""
    climbed: int | None = None
    """By how many ranks it rose (negative: fell); None draws no arrow."""
    tip: str = ""
    colour: str | None = None
    """Of the bar, where its role's will not do."""


class BarList(PaintedItems):
    """Rows of label, bar and text; scrolls when they do not fit."""

    activated = Signal(int)
    """A double click, or Return on the chosen row."""

    def __init__(self, role: str = "query", parent: QWidget | None = None) -> None:
        """`role` names the colour of the bars in the theme."""
        super().__init__(parent)
        self._bars: list[Bar] = []
        self._empty = tr("Nothing to show yet")
        self._role = role
        self._chosen: int | None = None
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("Bars"))

    def show_bars(self, bars: Sequence[Bar], empty: str = "") -> None:
        """`empty` says why there are none, where there are none."""
        self._bars = list(bars)
        self._empty = empty or tr("Nothing to show yet")
        self._hover = None
        if self._chosen is not None and self._chosen >= len(self._bars):
            self._chosen = None
        rows = (f"{bar.label} {bar.text}" for bar in self._bars)
        self.setAccessibleDescription("\n".join(rows) if self._bars else self._empty)
        self.fit_scroll()
        self.viewport().update()

    def bars(self) -> list[Bar]:
        """The rows that are shown."""
        return list(self._bars)

    def empty(self) -> str:
        """What is said where there are no rows."""
        return self._empty

    def set_chosen(self, index: int | None) -> None:
        """Mark one row and bring it in sight; None marks none."""
        if index != self._chosen:
            self._chosen = index
            self.reveal()
            self.viewport().update()

    def item_rect(self, index: int) -> QRectF:
        height = self._row_height()
        return QRectF(0, index * height - self.verticalScrollBar().value(), self.viewport().width(), height)

    def item_at(self, point: QPointF) -> int | None:
        row = math.floor((point.y() + self.verticalScrollBar().value()) / self._row_height())
        return row if 0 <= row < len(self._bars) else None

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 18), self._row_height() * max(3, min(10, len(self._bars))))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 10), self._row_height() * 3)

    def _row_height(self) -> int:
        return math.ceil(QFontMetricsF(self.font()).height() * 1.45)

    def whole(self) -> QSizeF:
        return QSizeF(0, len(self._bars) * self._row_height())

    def step(self) -> float:
        return self._row_height()

    def reveal(self) -> None:
        if self._chosen is None or self._chosen >= len(self._bars):
            return
        row, scroll = self.item_rect(self._chosen), self.verticalScrollBar()
        if row.top() < 0:
            scroll.setValue(scroll.value() + math.floor(row.top()))
        elif row.bottom() > self.viewport().height():
            scroll.setValue(scroll.value() + math.ceil(row.bottom() - self.viewport().height()))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        painter.fillRect(self.viewport().rect(), QColor(colours.panel))
        if not self._bars:
            painter.setPen(QColor(colours.muted))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.viewport().rect(), flags, self._empty)
            return
        font, mono_font = self.font(), theme.mono_font()
        plain, mono = QFontMetricsF(font), QFontMetricsF(mono_font)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        right = Qt.AlignmentFlag.AlignRight | middle
        pad = plain.height() * 0.4
        total = self.viewport().width()
        labels = min(max(mono.horizontalAdvance(bar.label) for bar in self._bars), total * 0.4)
        texts = max(plain.horizontalAdvance(bar.text) for bar in self._bars)
        arrows = max(plain.horizontalAdvance(_arrow(bar)) for bar in self._bars)
        start = pad + labels + pad
        end = total - pad - texts - (pad + arrows if arrows else 0) - pad
        height, above = self._row_height(), self.verticalScrollBar().value()
        first, last = above // height, (above + self.viewport().height()) // height
        for index, bar in list(enumerate(self._bars))[first : last + 1]:
            row = QRectF(0, index * height - above, total, height)
            if index in (self._hover, self._chosen):
                painter.fillRect(row, QColor(colours.hover))
            if index == self._chosen:
                painter.fillRect(QRectF(0, row.top(), pad * 0.4, row.height()), QColor(colours.accent))
            painter.setPen(QColor(colours.text))
            painter.setFont(mono_font)
            label = mono.elidedText(bar.label, Qt.TextElideMode.ElideRight, labels + 1)
            painter.drawText(QRectF(pad, row.top(), labels + 1, row.height()), middle, label)
            self._paint_bar(painter, bar, QRectF(start, row.top(), max(0.0, end - start), row.height()))
            painter.setFont(font)
            painter.setPen(QColor(colours.text))
            painter.drawText(QRectF(end + pad, row.top(), texts, row.height()), right, bar.text)
            if bar.climbed:
                painter.setPen(QColor(colours.value if bar.climbed > 0 else colours.key))
                place = QRectF(end + pad + texts + pad, row.top(), arrows, row.height())
                painter.drawText(place, middle, _arrow(bar))

    def _paint_bar(self, painter: QPainter, bar: Bar, room: QRectF) -> None:
        colours = theme.current()
        thick = room.height() * (0.42 if bar.before is None else 0.34)
        top = room.center().y() - (thick / 2 if bar.before is None else thick * 0.75)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.hover))
        painter.drawRoundedRect(QRectF(room.left(), top, room.width(), thick), thick / 4, thick / 4)
        painter.setBrush(QColor(bar.colour or getattr(colours, self._role)))
        length = room.width() * min(1.0, max(0.0, bar.value))
        painter.drawRoundedRect(QRectF(room.left(), top, length, thick), thick / 4, thick / 4)
        if bar.before is not None:
            length = room.width() * min(1.0, max(0.0, bar.before))
            ghost = QRectF(room.left(), top + thick * 1.2, length, thick * 0.35)
            painter.fillRect(ghost, QColor(colours.muted))

    # Double clicks and keys

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        row = self.item_at(event.position())
        if row is not None and event.button() == Qt.MouseButton.LeftButton:
            self.activated.emit(row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._chosen is not None:
            self.activated.emit(self._chosen)
            return
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is None or not self._bars:
            super().keyPressEvent(event)
            return
        at = 0 if self._chosen is None else min(max(self._chosen + step, 0), len(self._bars) - 1)
        self.set_chosen(at)
        self.clicked.emit(at)

    def tip(self, index: int) -> str:
        bar = self._bars[index]
        lines = [bar.tip or f"{bar.label}  {bar.text}"]
        if bar.before is not None:
            lines.append(tr("before: {value}").format(value=percent(bar.before)))
        return "\n".join(lines)


def _arrow(bar: Bar) -> str:
    if not bar.climbed:
        return ""
    return f"↑{bar.climbed}" if bar.climbed > 0 else f"↓{-bar.climbed}"
