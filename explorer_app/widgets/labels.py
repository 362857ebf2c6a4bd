"""Labels along the side of a drawing: one a row or column, in lanes or thinned so that no two ever overlap."""

import math
from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from explorer_app import theme

Side = Literal["left", "top", "bottom"]
_STEPS = (1, 2, 5)
_MOST_LANES = 4
_WHOLE = 0.75
"""The share of the labels that a lane has to hold whole, so that the others may be elided."""


def label_step(pitch: float, extent: float) -> int:
    """Of labels `pitch` apart that take `extent` each, every 1st, 2nd, 5th, 10th, 20th ... fits: which."""
    if not pitch > 0:
        raise ValueError(f"the pitch of labels must be positive, got {pitch}")
    power = 1
    while True:
        for step in _STEPS:
            if step * power * pitch >= extent:
                return step * power
        power *= 10


def visible_labels(
    count: int, span: tuple[float, float], length: float, extent: float, keep: Sequence[int] = ()
) -> list[int]:
    """Which of `count` labels to draw, in the order of importance, so that no two overlap.

    Label i stands at i + 0.5; `span` (first, last) of that axis is stretched over `length` pixels, and a
    label takes `extent` pixels. Labels in `keep` (the hovered, the locked) come before the regular ones,
    and the earlier among them before the later.
    """
    first, last = span
    if count == 0 or length <= 0 or last <= first:
        return []
    pitch = length / (last - first)
    step = label_step(pitch, extent)
    shown = range(max(0, math.ceil(first - 0.5)), min(count, math.floor(last - 0.5) + 1))
    regular = (i for i in shown if i % step == 0)
    chosen: list[int] = []
    kept = [i for i in dict.fromkeys(keep) if i in shown]
    for i in kept:
        if all(abs(i - j) * pitch >= extent for j in chosen):
            chosen.append(i)
    forced = list(chosen)
    chosen += (i for i in regular if i not in forced and all(abs(i - j) * pitch >= extent for j in forced))
    return chosen


def _gap(font: QFont) -> float:
    """Pixels between a label and the drawing, and between two lanes."""
    return QFontMetricsF(font).height() * 0.3


class LabelAxis(QWidget):
    """Strings along one side of a drawing whose cells are one unit wide.

    Short ones that stand too close go side by side into lanes, each label at its own cell still; others are thinned,
    and a mark says which cells those belong to that are left.
    `set_span` follows the drawing's zoom, `set_lit` lights the label under the pointer, `set_locked` the
    locked one. A double click asks for the whole axis again (`reset_asked`).
    """

    reset_asked = Signal()

    def __init__(self, side: Side, role: str, parent: QWidget | None = None) -> None:
        """`role` names the colour in the theme that a lit label takes ("query", "key", ...)."""
        super().__init__(parent)
        self._side: Side = side
        self._role = role
        self._labels: list[str] = []
        self._title = ""
        self._span = (0.0, 1.0)
        self._lit: int | None = None
        self._locked: int | None = None
        self._widths: list[float] = []
        self._margin = 0
        theme.notifier.changed.connect(self.update)

    def set_labels(self, labels: Sequence[str], title: str, role: str | None = None) -> None:
        """`role` changes the colour; None keeps it."""
        self._role = role or self._role
        self._labels = list(labels)
        self._title = title
        self._measure()
        self.setAccessibleName(title)
        self.update()

    def set_span(self, first: float, last: float) -> None:
        if (first, last) != self._span:
            self._span = (first, last)
            self.update()

    def set_lit(self, index: int | None) -> None:
        if index != self._lit:
            self._lit = index
            self.update()

    def lit(self) -> int | None:
        """The label that is lit."""
        return self._lit

    def set_locked(self, index: int | None) -> None:
        if index != self._locked:
            self._locked = index
            self.update()

    def set_margin(self, margin: int) -> None:
        """How far the widget reaches past both ends of the drawing: the outermost labels are then whole."""
        self._margin = margin
        self.update()

    def thickness(self, limit: float) -> int:
        """Pixels across, for the widest label, no more than `limit`; longer labels are elided."""
        height = QFontMetricsF(self.font()).height()
        title = height * 1.4 if self._title else 0.0
        across = self._widest() if self._across_text() else height
        return math.ceil(min(across + height * 0.6 + title, max(limit, height * 3)))

    def drawn(self) -> list[tuple[int, QRectF]]:
        """The labels as they stand now: (index, rectangle in this widget)."""
        font, turned = self._fitted()
        length = self._length()
        extent = self._extent(font, turned)
        lanes = self._lanes(extent, turned)
        keep = [i for i in (self._lit, self._locked) if i is not None]
        across, gap = self._across(), _gap(self.font())
        return [
            (i, self._rect(self._centre(i), extent, i % lanes, lanes, across, gap))
            for i in visible_labels(len(self._labels), self._span, length, extent / lanes, keep)
        ]

    def sizeHint(self) -> QSize:
        unit = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(unit * 6), math.ceil(unit * 6))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.FontChange:
            self._measure()
        super().changeEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.reset_asked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        self._paint_title(painter, QColor(getattr(colours, self._role)))
        font, turned = self._fitted()
        bold = QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        drawn = self.drawn()
        first, last = self._span
        if len(drawn) < min(len(self._labels), math.ceil(last - 0.5)) - max(0, math.floor(first + 0.5)):
            painter.setPen(QColor(colours.muted))
            for index, _ in drawn:
                painter.drawLine(*self._mark(self._centre(index)))
        for index, rect in drawn:
            special = index in (self._lit, self._locked)
            painter.setFont(bold if special else font)
            painter.setPen(QColor(getattr(colours, self._role) if special else colours.text))
            self._paint_label(painter, rect, self._labels[index], turned)

    # Geometry: "along" is the direction in which labels follow one another, "across" the other one.

    def _vertical(self) -> bool:
        return self._side == "left"

    def _length(self) -> float:
        """Pixels that the span is stretched over."""
        return max(1.0, float(self.height() if self._vertical() else self.width()) - 2 * self._margin)

    def _pitch(self) -> float:
        return self._length() / (self._span[1] - self._span[0])

    def _centre(self, index: int) -> float:
        """Where a label stands along the axis."""
        return self._margin + (index + 0.5 - self._span[0]) * self._pitch()

    def _measure(self) -> None:
        metrics = QFontMetricsF(self.font())
        self._widths = [metrics.horizontalAdvance(label) for label in self._labels]

    def _widest(self) -> float:
        return max(self._widths, default=0.0)

    def _lanes(self, extent: float, turned: bool) -> int:
        """In how many lanes the labels stand: as many as leave room for all, where such lanes hold most of them."""
        needed = math.ceil(extent / self._pitch() - 1e-9)
        if needed > _MOST_LANES or not (turned or self._vertical()):
            return 1
        width = self._across() / max(1, needed) - _gap(self.font())
        whole = sum(label <= width for label in self._widths)
        return needed if needed > 1 and whole >= _WHOLE * len(self._widths) else 1

    def _across_text(self) -> bool:
        """Whether text runs across the axis (beside rows, or turned above narrow columns)."""
        if self._vertical():
            return True
        pitch = self._length() / max(1, len(self._labels))
        return self._widest() * 1.1 + QFontMetricsF(self.font()).height() * 0.3 > pitch

    def _fitted(self) -> tuple[QFont, bool]:
        """The font to draw in, and whether the text is turned. Smaller only where that shows every label."""
        font = QFont(self.font())
        pitch = self._pitch()
        height = QFontMetricsF(font).height()
        if not self._vertical() and self._widest() * 1.1 + height * 0.3 <= pitch:
            return font, False
        if 0.7 * height <= pitch < height:
            font.setPointSizeF(font.pointSizeF() * pitch / height)
        return font, not self._vertical()

    def _extent(self, font: QFont, turned: bool) -> float:
        metrics = QFontMetricsF(font)
        if self._vertical() or turned:
            # A shrunken font may round up by a hair: the pitch is then the truth.
            return min(metrics.height(), self._pitch()) if font != self.font() else metrics.height()
        return self._widest() * 1.1 + metrics.height() * 0.3

    def _across(self) -> float:
        """Pixels across that there are for labels, beside the title."""
        title = QFontMetricsF(self.font()).height() * 1.4 if self._title else 0.0
        return (self.width() if self._vertical() else self.height()) - title - _gap(self.font())

    def _rect(self, centre: float, extent: float, lane: int, lanes: int, across: float, gap: float) -> QRectF:
        """The place of a label; lane 0 is the one beside the drawing."""
        room = across / lanes
        far = gap + (lane + 1) * room
        size = room - (gap if lane < lanes - 1 else 0)
        if self._side == "left":
            return QRectF(self.width() - far + room - size, centre - extent / 2, size, extent)
        if self._side == "top":
            return QRectF(centre - extent / 2, self.height() - far + room - size, extent, size)
        return QRectF(centre - extent / 2, far - room, extent, size)

    def _mark(self, centre: float) -> tuple[QPointF, QPointF]:
        """The ends of the mark between a label and its cell."""
        size = _gap(self.font()) * 0.6
        if self._side == "left":
            return QPointF(self.width() - size, centre), QPointF(self.width(), centre)
        edge, inner = (self.height(), self.height() - size) if self._side == "top" else (0, size)
        return QPointF(centre, edge), QPointF(centre, inner)

    def _paint_label(self, painter: QPainter, rect: QRectF, label: str, turned: bool) -> None:
        flag = Qt.AlignmentFlag
        metrics = QFontMetricsF(painter.font())
        room = rect.height() if turned else rect.width()
        text = metrics.elidedText(label, Qt.TextElideMode.ElideRight, room) or "…"
        if not turned:
            along = flag.AlignRight if self._vertical() else flag.AlignHCenter
            across = {"left": flag.AlignVCenter, "top": flag.AlignBottom, "bottom": flag.AlignTop}[self._side]
            painter.drawText(rect, along | across | Qt.TextFlag.TextSingleLine, text)
            return
        painter.save()
        painter.translate(QPointF(rect.left(), rect.bottom()))
        painter.rotate(-90)
        start = flag.AlignLeft if self._side == "top" else flag.AlignRight
        box = QRectF(0, 0, rect.height(), rect.width())
        painter.drawText(box, start | flag.AlignVCenter | Qt.TextFlag.TextSingleLine, text)
        painter.restore()

    def _paint_title(self, painter: QPainter, colour: QColor) -> None:
        if not self._title:
            return
        metrics = QFontMetricsF(self.font())
        thick = metrics.height()
        painter.setFont(self.font())
        painter.setPen(colour)
        text = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, self._length() + 2 * self._margin)
        if self._vertical():
            painter.save()
            painter.translate(QPointF(0, self.height()))
            painter.rotate(-90)
            painter.drawText(QRectF(0, 0, self.height(), thick), Qt.AlignmentFlag.AlignCenter, text)
            painter.restore()
        else:
            top = 0.0 if self._side == "top" else self.height() - thick
            painter.drawText(QRectF(0, top, self.width(), thick), Qt.AlignmentFlag.AlignCenter, text)
