"""How the boxes and lines of a graph are painted, at 100 %."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QPolygonF

from explorer_app import theme
from explorer_app.graph.layout import HEAD, Box, Layout, Line


@dataclass(frozen=True)
class Look:
    """What is known of a box: its role's colour in the theme, a note at its right, its shape, and a tooltip."""

    role: str = ""
    note: str = ""
    shape: str = ""
    tip: str = ""
    constant: bool = False


LookOf = Callable[[str], Look]
"""By path, how a box looks."""


@dataclass(frozen=True)
class Lit:
    """What stands out: the box of the present step, that step's own site, and the box pointed at."""

    box: str = ""
    step: str = ""
    hover: str = ""


def sign_of(box: Box) -> QRectF:
    """The square with + or - at the left of a title."""
    size = HEAD * 0.55
    return QRectF(box.title_x, box.y + (box.front - size) / 2, size, size)


class Painting:
    """One picture of a graph: what it is painted with, and what it shows."""

    def __init__(self, painter: QPainter, look: LookOf, lit: Lit, font: QFont) -> None:
        self._painter = painter
        self._look = look
        self._lit = lit
        self._metrics = QFontMetricsF(font)

    def paint(self, layout: Layout, seen: QRectF) -> list[Box]:
        """Grounds, lines and boxes as far as they are in sight; returns these boxes."""
        boxes = [b for b in layout.boxes if seen.intersects(QRectF(b.x, b.y, b.width, b.height))]
        for box in boxes:
            if box.kind == "open":
                self._paint_ground(box)
        near = [line for line in layout.lines if line.y1 < seen.bottom() and line.y2 > seen.top()]
        for line in sorted(near, key=self._rank):
            self._paint_line(line)
        for box in boxes:
            self._paint_box(box)
        return boxes

    def _paint_ground(self, box: Box) -> None:
        painter = self._painter
        colours = theme.current()
        ground = QColor(colours.muted)
        ground.setAlphaF(0.07)
        painter.setBrush(ground)
        painter.setPen(QPen(QColor(colours.edge), 1))
        painter.drawRoundedRect(QRectF(box.x, box.y, box.width, box.height), 5, 5)

    def _rank(self, line: Line) -> int:
        """The order of painting: what is lit lies above."""
        return 2 if self._is_lit(line) else 1 if line.stream else 0

    def _is_lit(self, line: Line) -> bool:
        return self._lit.step == line.source or self._lit.step in line.targets

    def _paint_line(self, line: Line) -> None:
        painter = self._painter
        colours = theme.current()
        look = self._look(line.source)
        if self._is_lit(line):
            pen = QPen(QColor(colours.accent), 3 if line.stream else 2)
        elif line.stream:
            pen = QPen(QColor(colours.muted), 3)
        else:
            colour = QColor(getattr(colours, look.role) if look.role else colours.muted)
            colour.setAlphaF(0.75)
            pen = QPen(colour, 1.2)
        if look.constant:
            pen.setDashPattern([3, 2])
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        tip = line.y2 + (-4 if line.arrives else 0.4)  # pieces overlap a little, or a seam would show
        if line.x1 == line.x2:
            painter.drawLine(QPointF(line.x1, line.y1), QPointF(line.x1, tip))
        else:
            path = QPainterPath(QPointF(line.x1, line.y1))
            path.lineTo(line.x1, line.bend)
            middle = (line.bend + tip) / 2
            path.cubicTo(line.x1, middle, line.x2, middle, line.x2, tip)
            painter.drawPath(path)
        if line.arrives:
            half = 3.5 if line.stream else 2.8
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(pen.color())
            painter.drawPolygon(
                QPolygonF(
                    [
                        QPointF(line.x2, line.y2),
                        QPointF(line.x2 - half, line.y2 - 5),
                        QPointF(line.x2 + half, line.y2 - 5),
                    ]
                )
            )

    def _paint_box(self, box: Box) -> None:
        painter = self._painter
        colours = theme.current()
        look = self._look(box.path)
        rect = QRectF(box.x, box.y, box.width, box.height)
        lit, hover = box.path == self._lit.box, box.path == self._lit.hover
        ink = QColor(getattr(colours, look.role) if look.role else colours.text)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        if box.kind != "open":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent if lit else colours.hover if hover else colours.raised))
            painter.drawRoundedRect(rect, 4, 4)
            edge = QColor(ink if look.role else colours.text if hover else colours.edge)
            if look.role and not lit:
                edge.setAlphaF(theme.TINT)
                painter.setBrush(edge)
                edge = ink
            else:
                painter.setBrush(Qt.BrushStyle.NoBrush)
            pen = QPen(QColor(colours.accent) if lit else edge, 1)
            if look.constant:
                pen.setDashPattern([3, 2])
            painter.setPen(pen)
            painter.drawRoundedRect(rect, 4, 4)
        ink = QColor(colours.on_accent) if lit else ink
        painter.setPen(ink)
        if box.kind == "site":
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine, box.label)
            return
        sign = sign_of(box)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink if lit else QColor(colours.text if hover else colours.muted), 1.2))
        painter.drawRoundedRect(sign, 2, 2)
        centre, arm = sign.center(), sign.width() * 0.28
        painter.drawLine(centre - QPointF(arm, 0), centre + QPointF(arm, 0))
        if box.kind == "folded":
            painter.drawLine(centre - QPointF(0, arm), centre + QPointF(0, arm))
        painter.setPen(ink if lit else QColor(colours.text))
        start = sign.right() + 5
        room = QRectF(start, box.y, box.right - start, box.front)
        painter.drawText(room, middle, box.label)
        if box.kind == "folded" and look.note:
            start += self._metrics.horizontalAdvance(box.label) + 10
            place = QRectF(start, box.y, box.right - 6 - start, box.height)
            text = self._metrics.elidedText(look.note, Qt.TextElideMode.ElideRight, place.width())
            painter.setPen(ink if lit else QColor(colours.muted))
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | middle, text)

    def write_shapes(self, places: Sequence[tuple[Box, QRectF]]) -> None:
        """The shape of what leaves a leaf, beside its line, where places were found for them."""
        painter = self._painter
        for box, place in places:
            colours = theme.current()
            ahead = box.path in (self._lit.box, self._lit.hover)
            ground = QColor(colours.panel)
            ground.setAlphaF(0.85)
            painter.fillRect(place, ground)
            painter.setPen(
                QColor(
                    (colours.accent if box.path == self._lit.box else colours.text)
                    if ahead
                    else colours.muted
                )
            )
            text = self._metrics.elidedText(
                self._look(box.path).shape, Qt.TextElideMode.ElideRight, place.width() + 1
            )
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine, text)
