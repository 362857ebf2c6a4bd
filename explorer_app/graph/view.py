"""A laid-out graph to look at: boxes that fold, lines between them, zoom and pan. It knows places, not models."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from explorer_app import theme
from explorer_app.graph.labels import free_spans
from explorer_app.graph.layout import GAP, HEAD, Box, Layout, Line
from explorer_app.widgets.plain import show_tip
from explorer_app.words.text import tr

MARGIN = 6.0
"""Around the drawing, in its own units."""
ZOOM_STEP = 1.2
WIDEST_FIT = 1.35
"""Fitting to the width makes nothing larger than this."""
LEAST, MOST = 0.15, 6.0
SHAPES_FROM = 1.5
"""The zoom from which shapes are written wherever they fit."""


@dataclass(frozen=True)
class Look:
    """What is known of a box: its role's colour in the theme, a note at its right, its shape, and a tooltip."""

    role: str = ""
    note: str = ""
    shape: str = ""
    tip: str = ""
    constant: bool = False


class GraphView(QAbstractScrollArea):
    """Boxes and lines as they were laid out.

    The wheel zooms around the pointer, a drag pans; keys: 0 fits, + and - zoom, up and down ask for the step before
    and after, Enter folds and unfolds. A click on a box tells which; its sign or a double click asks to fold or unfold.
    """

    clicked = Signal(str)
    fold_asked = Signal(str, bool)
    """(path, True to unfold)"""
    hovered = Signal(str)
    left = Signal()
    step_asked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout = Layout((), (), 1.0, 1.0)
        self._look_of: Callable[[str], Look] = lambda path: Look()
        self._boxes: dict[str, Box] = {}
        self._spans: dict[str, tuple[float, float]] = {}
        self._shares: dict[str, tuple[float, float]] = {}
        self._lit = ""
        self._step = ""
        self._hover = ""
        self._zoom = 1.0
        self._fits = True
        self._pressed: tuple[QPointF, Box | None] | None = None
        self._dragged: QPointF | None = None
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Always there: were it to come and go, the width to fit would change with what fits.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.viewport().setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Model graph"))
        theme.notifier.changed.connect(self.viewport().update)

    # What it shows

    def show_layout(self, layout: Layout, look: Callable[[str], Look]) -> None:
        """Show boxes and lines; `look` says by path how. Zoom and place stay."""
        self._look_of = look
        if layout is not self._layout:
            still = self._still()
            self._layout = layout
            self._boxes = {box.path: box for box in layout.boxes}
            self._spans, self._shares = free_spans(layout, shared=False), free_spans(layout, shared=True)
            if self._hover not in self._boxes:
                self._hover = ""
            self._fit_scroll()
            path = next((path for path in still if path in self._boxes), None)
            if path is not None:
                bar = self.verticalScrollBar()
                bar.setValue(bar.value() + round(self.box_rect(path).top() - still[path]))
        self.viewport().update()

    def set_lit(self, path: str, step: str) -> None:
        """Light the box of the present step; `step` is its site, which differs where the box is folded."""
        if (path, step) != (self._lit, self._step):
            self._lit, self._step = path, step
            self.setAccessibleDescription(tr("Step: {site}").format(site=step))
            self.viewport().update()

    def reveal(self, path: str) -> None:
        """Scroll so that a box is in sight, with the module around it where that fits; not where it is already."""
        box = self._boxes.get(path)
        if box is None or QRectF(self.viewport().rect()).contains(self._shown_rect(box)):
            return
        height, width = self.viewport().height(), self.viewport().width()
        margin = min(height / 4, 3 * GAP * self._zoom)
        wider = [outer for outer in self._boxes.values() if outer.kind == "open" and _inside(box, outer)]
        fitting = [outer for outer in wider if outer.height * self._zoom + 2 * margin <= height]
        rect = self.box_rect((fitting or [box])[0].path)
        down, across = self.verticalScrollBar(), self.horizontalScrollBar()
        if rect.top() < margin or rect.height() + 2 * margin > height:
            down.setValue(down.value() + math.floor(rect.top() - margin))
        elif rect.bottom() > height - margin:
            down.setValue(down.value() + math.ceil(rect.bottom() - height + margin))
        if rect.left() < 0 or rect.right() > width:
            across.setValue(across.value() + math.floor(rect.center().x() - width / 2))

    def _still(self) -> dict[str, float]:
        """Where boxes in sight begin, before others fold or unfold: the first that is still there keeps its place."""
        area = QRectF(self.viewport().rect())
        seen = [box for box in self._layout.boxes if area.intersects(self._shown_rect(box))]
        pointed = [box for box in seen if box.path == self._hover]
        return {box.path: self.box_rect(box.path).top() for box in (*pointed, *seen)}

    def _shown_rect(self, box: Box) -> QRectF:
        """What of a box has to be in sight for it to be: of an open module its title."""
        height = HEAD if box.kind == "open" else box.height
        return self._to_view(QRectF(box.x, box.y, box.width, height))

    # What can be read back

    def boxes(self) -> list[Box]:
        """The boxes that are shown, outer ones first."""
        return list(self._layout.boxes)

    def lit(self) -> str:
        """The path of the box that is lit."""
        return self._lit

    def look(self, path: str) -> Look:
        """What a box says besides its name."""
        return self._look_of(path)

    def zoom(self) -> float:
        """1.0 where the text has the size of the application's."""
        return self._zoom

    def box_rect(self, path: str) -> QRectF:
        """Where a box is, in the viewport."""
        box = self._boxes[path]
        return self._to_view(QRectF(box.x, box.y, box.width, box.height))

    def sign_rect(self, path: str) -> QRectF:
        """Where the sign that folds a module is, in the viewport."""
        return self._to_view(_sign(self._boxes[path]))

    def box_at(self, point: QPointF) -> Box | None:
        """The leaf, folded module or title at a place in the viewport."""
        place = (point - self._origin()) / self._zoom
        for box in reversed(self._layout.boxes):
            if QRectF(box.x, box.y, box.width, HEAD if box.kind == "open" else box.height).contains(place):
                return box
        return None

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 19), math.ceil(line * 40))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 10), math.ceil(line * 10))

    # Zoom and place

    def fit(self) -> None:
        """Fit the drawing to the width, now and whenever the width changes."""
        self._fits = True
        self._fit_scroll()

    def zoom_by(self, factor: float, around: QPointF | None = None) -> None:
        """Zoom; the place under `around` (the middle by default) stays where it is."""
        around = QPointF(self.viewport().rect().center()) if around is None else around
        place = (around - self._origin()) / self._zoom
        self._fits = False
        self._zoom = min(max(self._zoom * factor, LEAST), MOST)
        self._fit_scroll()
        drift = self._origin() + place * self._zoom - around
        self.horizontalScrollBar().setValue(round(self.horizontalScrollBar().value() + drift.x()))
        self.verticalScrollBar().setValue(round(self.verticalScrollBar().value() + drift.y()))

    def _fit_scroll(self) -> None:
        area = self.viewport().size()
        if self._fits:
            fitting = area.width() / (self._layout.width + 2 * MARGIN)
            self._zoom = min(max(fitting, LEAST), WIDEST_FIT)
        for bar, shown, size in (
            (self.horizontalScrollBar(), area.width(), self._layout.width),
            (self.verticalScrollBar(), area.height(), self._layout.height),
        ):
            bar.setPageStep(shown)
            bar.setSingleStep(math.ceil(GAP * 2))
            bar.setRange(0, max(0, math.ceil((size + 2 * MARGIN) * self._zoom) - shown))
        self.viewport().update()

    def _origin(self) -> QPointF:
        """Where the drawing's (0, 0) is in the viewport; a drawing that is narrower stands in the middle."""
        spare = max(0.0, (self.viewport().width() - (self._layout.width + 2 * MARGIN) * self._zoom) / 2)
        corner = QPointF(spare - self.horizontalScrollBar().value(), -self.verticalScrollBar().value())
        return corner + QPointF(MARGIN, MARGIN) * self._zoom

    def _to_view(self, rect: QRectF) -> QRectF:
        return QRectF(self._origin() + rect.topLeft() * self._zoom, rect.size() * self._zoom)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_scroll()
        super().resizeEvent(event)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        painter.fillRect(self.viewport().rect(), QColor(colours.panel))
        if not self._layout.boxes:
            painter.setPen(QColor(colours.muted))
            painter.drawText(self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, tr("Nothing to show yet"))
            return
        painter.save()
        painter.translate(self._origin())
        painter.scale(self._zoom, self._zoom)
        corner = -self._origin() / self._zoom
        seen = QRectF(corner.x(), corner.y(), self.width() / self._zoom, self.height() / self._zoom)
        boxes = [b for b in self._layout.boxes if seen.intersects(QRectF(b.x, b.y, b.width, b.height))]
        for box in boxes:
            if box.kind == "open":
                self._paint_ground(painter, box)
        near = [line for line in self._layout.lines if line.y1 < seen.bottom() and line.y2 > seen.top()]
        for line in sorted(near, key=self._rank):
            self._paint_line(painter, line)
        for box in boxes:
            self._paint_box(painter, box)
        painter.restore()
        self._paint_shapes(painter, boxes)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(self.viewport().rect().adjusted(0, 0, -1, -1))

    def _paint_ground(self, painter: QPainter, box: Box) -> None:
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
        return self._step == line.source or self._step in line.targets

    def _paint_line(self, painter: QPainter, line: Line) -> None:
        colours = theme.current()
        look = self.look(line.source)
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

    def _paint_box(self, painter: QPainter, box: Box) -> None:
        colours = theme.current()
        look = self.look(box.path)
        rect = QRectF(box.x, box.y, box.width, box.height)
        lit, hover = box.path == self._lit, box.path == self._hover
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
        sign = _sign(box)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink if lit else QColor(colours.text if hover else colours.muted), 1.2))
        painter.drawRoundedRect(sign, 2, 2)
        centre, arm = sign.center(), sign.width() * 0.28
        painter.drawLine(centre - QPointF(arm, 0), centre + QPointF(arm, 0))
        if box.kind == "folded":
            painter.drawLine(centre - QPointF(0, arm), centre + QPointF(0, arm))
        painter.setPen(ink if lit else QColor(colours.text))
        start = sign.right() + 5
        room = QRectF(start, box.y, box.right - start, HEAD if box.kind == "open" else box.height)
        painter.drawText(room, middle, box.label)
        if box.kind == "folded" and look.note:
            start += QFontMetricsF(self.font()).horizontalAdvance(box.label) + 10
            place = QRectF(start, box.y, box.right - 6 - start, box.height)
            text = QFontMetricsF(self.font()).elidedText(
                look.note, Qt.TextElideMode.ElideRight, place.width()
            )
            painter.setPen(ink if lit else QColor(colours.muted))
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | middle, text)

    def _paint_shapes(self, painter: QPainter, boxes: list[Box]) -> None:
        """The shape of what leaves a leaf, beside its line: where it fits, and always at the step and the pointer."""
        for box, place in self.shape_places(boxes):
            colours = theme.current()
            ahead = box.path in (self._lit, self._hover)
            ground = QColor(colours.panel)
            ground.setAlphaF(0.85)
            painter.fillRect(place, ground)
            painter.setPen(
                QColor(
                    (colours.accent if box.path == self._lit else colours.text) if ahead else colours.muted
                )
            )
            text = QFontMetricsF(self.font()).elidedText(
                self.look(box.path).shape, Qt.TextElideMode.ElideRight, place.width() + 1
            )
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine, text)

    def shape_places(self, boxes: list[Box] | None = None) -> list[tuple[Box, QRectF]]:
        """Which boxes have their shape written below them, and where in the viewport."""
        metrics, origin, zoom = QFontMetricsF(self.font()), self._origin(), self._zoom
        height = metrics.height()
        leaves = [b for b in boxes or self._layout.boxes if b.kind == "site" and self.look(b.path).shape]
        ahead = [b for b in leaves if b.path == self._lit] + [
            b for b in leaves if b.path == self._hover != self._lit
        ]
        others = (b for b in leaves if b not in ahead) if zoom >= SHAPES_FROM else ()
        places: list[tuple[Box, QRectF]] = []
        for box in [*ahead, *others]:
            always = box in ahead
            low, high = (self._spans if always else self._shares)[box.path]
            reach = MARGIN if always else -1
            low, high = (v * zoom + origin.x() for v in (low - reach, high + reach))
            width = metrics.horizontalAdvance(self.look(box.path).shape) + 4
            if not always and width > high - low:
                continue
            width = min(width, high - low)
            middle, bottom = box.x + box.width / 2, box.y + box.height
            start = min(max(origin.x() + middle * zoom + 3, low), high - width)
            top = origin.y() + bottom * zoom + (GAP * zoom - height) / 2
            place = QRectF(start, top, width, height)
            if not any(place.intersects(other) for _, other in places):
                places.append((box, place))
        return places

    # Pointing and pressing

    def _point(self, box: Box | None) -> None:
        path = "" if box is None else box.path
        if path != self._hover:
            self._hover = path
            self.viewport().setCursor(
                Qt.CursorShape.PointingHandCursor if path else Qt.CursorShape.ArrowCursor
            )
            self.viewport().update()
            if path:
                self.hovered.emit(path)
            else:
                self.left.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position(), self.box_at(event.position())
            self._dragged = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = event.position()
        if self._pressed is None or not event.buttons() & Qt.MouseButton.LeftButton:
            self._point(self.box_at(place))
            return
        start = self._pressed[0]
        far = (place - start).manhattanLength() >= QGuiApplication.styleHints().startDragDistance()
        if self._dragged is None and far:
            self._dragged = start
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        if self._dragged is not None:
            move = place - self._dragged
            self.horizontalScrollBar().setValue(round(self.horizontalScrollBar().value() - move.x()))
            self.verticalScrollBar().setValue(round(self.verticalScrollBar().value() - move.y()))
            self._dragged = place

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None or event.button() != Qt.MouseButton.LeftButton:
            return
        box = self._pressed[1]
        if self._dragged is not None:
            self._dragged = None
            self._pressed = None
            self.viewport().unsetCursor()
        elif box is not None and box.path in self._boxes:
            if box.kind != "site" and self.sign_rect(box.path).adjusted(-3, -3, 3, 3).contains(
                event.position()
            ):
                self.fold_asked.emit(box.path, box.kind == "folded")
            else:
                self.clicked.emit(box.path)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        # The first click may have unfolded the box already: what counts is how it was then.
        box = self._pressed[1] if self._pressed is not None else None
        if event.button() == Qt.MouseButton.LeftButton and box is not None and box.kind != "site":
            self.fold_asked.emit(box.path, box.kind == "folded")
        self._pressed = None

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom_by(ZOOM_STEP ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match Qt.Key(event.key()):
            case Qt.Key.Key_0:
                self.fit()
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom_by(ZOOM_STEP)
            case Qt.Key.Key_Minus:
                self.zoom_by(1 / ZOOM_STEP)
            case Qt.Key.Key_Up:
                self.step_asked.emit(-1)
            case Qt.Key.Key_Down:
                self.step_asked.emit(1)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._fold_lit()
            case _:
                super().keyPressEvent(event)

    def _fold_lit(self) -> None:
        lit = self._boxes.get(self._lit)
        if lit is not None and lit.kind == "folded":
            self.fold_asked.emit(lit.path, True)
        elif lit is not None:
            around = [box for box in self._layout.boxes if box.kind == "open" and _inside(lit, box)]
            if around:
                self.fold_asked.emit(around[-1].path, False)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            box = self.box_at(QPointF(event.pos()))
            text = "" if box is None else self.look(box.path).tip
            area = None if box is None else self.box_rect(box.path).toAlignedRect()
            show_tip(event.globalPos(), text, self.viewport(), area)
            return True
        return super().viewportEvent(event)


def _sign(box: Box) -> QRectF:
    """The square with + or - at the left of a title."""
    size = HEAD * 0.55
    height = HEAD if box.kind == "open" else box.height
    return QRectF(box.title_x, box.y + (height - size) / 2, size, size)


def _inside(box: Box, outer: Box) -> bool:
    return (
        outer is not box
        and outer.x <= box.x
        and outer.y <= box.y
        and outer.right >= box.right
        and outer.bottom >= box.bottom
    )
