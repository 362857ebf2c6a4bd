"""Dials: pairs of numbers as arrows in the plane, before and after a turn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.words.text import tr


@dataclass(frozen=True)
class Hand:
    """One arrow on every dial: `before` and `after` [P] complex, `role` names its colour in the theme."""

    name: str
    role: str
    before: NDArray[Any]
    after: NDArray[Any]

    @property
    def reach(self) -> float:
        """The length that touches the rim: the longest of all dials that is finite."""
        lengths = np.abs(np.concatenate([self.before, self.after]))
        return float(lengths[np.isfinite(lengths)].max(initial=0))

    def is_drawn(self, index: int) -> bool:
        """Whether both arrows of a dial are numbers."""
        return bool(np.isfinite(self.before[index]) and np.isfinite(self.after[index]))


class Dials(QWidget):
    """One dial a pair, x to the right and y up; a thin arrow before, a bold one after.

    Each hand keeps one scale over all dials, so that long and short pairs can be compared.
    """

    hovered = Signal(int)
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hands: list[Hand] = []
        self._names: list[str] = []
        self._hover: int | None = None
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Dials"))
        theme.notifier.changed.connect(self.update)

    def show_hands(self, hands: Sequence[Hand], names: Sequence[str], describe: Callable[[int], str]) -> None:
        """Show the hands, one dial for each name; `describe(dial)` is read out by assistive technology."""
        for hand in hands:
            if hand.before.shape != (len(names),) or hand.after.shape != (len(names),):
                raise ValueError(
                    f"{hand.name}: {len(names)} dials need as many arrows, got {hand.after.shape}"
                )
        self._hands, self._names = list(hands), list(names)
        self._hover = None
        self.setAccessibleDescription("\n".join(describe(i) for i in range(len(names))))
        self.update()

    def hands(self) -> list[Hand]:
        """What is shown."""
        return list(self._hands)

    def dial_rect(self, index: int) -> QRectF:
        """The square of a dial, its name above it included."""
        columns, side, head = self._grid()
        row, column = divmod(index, columns)
        left = (self.width() - min(columns, len(self._names)) * side) / 2
        top = (self.height() - math.ceil(len(self._names) / columns) * (side + head)) / 2
        return QRectF(left + column * side, top + row * (side + head), side, side + head)

    def dial_at(self, point: QPointF) -> int | None:
        """The dial at a place in this widget."""
        return next((i for i in range(len(self._names)) if self.dial_rect(i).contains(point)), None)

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 30), math.ceil(line * 14))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 12), math.ceil(line * 7))

    def _grid(self) -> tuple[int, float, float]:
        """(columns, side of a dial, room for its name): the largest dials that fit."""
        count = max(1, len(self._names))
        head = QFontMetricsF(self.font()).height()
        best = (1, 1.0)
        for columns in range(1, count + 1):
            rows = math.ceil(count / columns)
            side = min(self.width() / columns, self.height() / rows - head)
            if side > best[1]:
                best = (columns, side)
        return best[0], best[1], head

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        _, side, head = self._grid()
        for index, name in enumerate(self._names):
            place = self.dial_rect(index)
            painter.setPen(QColor(colours.text if index == self._hover else colours.muted))
            row = QRectF(place.left(), place.top(), side, head)
            painter.drawText(row, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine, name)
            centre = QPointF(place.center().x(), place.top() + head + side / 2)
            radius = side * 0.44
            painter.setPen(QPen(QColor(colours.text if index == self._hover else colours.edge), 1))
            painter.setBrush(QColor(colours.panel))
            painter.drawEllipse(centre, radius, radius)
            painter.setPen(QPen(QColor(colours.hover), 1))
            painter.drawLine(centre - QPointF(radius, 0), centre + QPointF(radius, 0))
            painter.drawLine(centre - QPointF(0, radius), centre + QPointF(0, radius))
            if not all(hand.is_drawn(index) for hand in self._hands):
                painter.setPen(QColor(colours.error))
                painter.drawText(place.adjusted(0, head, 0, 0), Qt.AlignmentFlag.AlignCenter, "NaN")
            for hand in self._hands:
                if not hand.is_drawn(index):
                    continue
                reach = hand.reach or 1.0
                colour = QColor(getattr(colours, hand.role))
                self._paint_arrow(painter, centre, hand.before[index] / reach * radius, colour, 1.0)
                self._paint_arrow(painter, centre, hand.after[index] / reach * radius, colour, 2.6)

    def _paint_arrow(
        self, painter: QPainter, centre: QPointF, to: complex, colour: QColor, width: float
    ) -> None:
        length = abs(to)
        if length < 0.5:
            return
        # The screen's y runs downwards, the plane's upwards.
        along = QPointF(to.real, -to.imag) / length
        across = QPointF(-along.y(), along.x())
        tip, head = centre + along * length, min(length, 3 + width * 1.6)
        pen = QPen(colour, width)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawLine(centre, tip - along * head * 0.8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        base = tip - along * head
        painter.drawPolygon(QPolygonF([tip, base + across * head * 0.45, base - across * head * 0.45]))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point(self.dial_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)

    def _point(self, index: int | None) -> None:
        if index != self._hover:
            self._hover = index
            self.update()
            if index is None:
                self.left.emit()
            else:
                self.hovered.emit(index)
