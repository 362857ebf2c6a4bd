"""A laid-out graph to look at: boxes that fold, lines between them, zoom and pan. It knows places, not models."""

import math
from dataclasses import replace

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.graph.labels import Labels
from explorer_app.graph.layout import GAP, Box, Layout
from explorer_app.graph.painting import Lit, Look, LookOf, Painting, sign_of
from explorer_app.graph.viewport import ZOOM_STEP, Viewport
from explorer_app.widgets.plain import show_tip
from explorer_app.words.text import tr


class GraphView(Viewport):
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
        self._labels = Labels(self._layout)
        self._look_of: LookOf = lambda path: Look()
        self._boxes: dict[str, Box] = {}
        self._lit = Lit()
        self._under: Box | None = None
        """The box that was pressed."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Model graph"))
        theme.notifier.changed.connect(self.viewport().update)

    # What it shows

    def show_layout(self, layout: Layout, look: LookOf) -> None:
        """Show boxes and lines; `look` says by path how. Zoom and place stay."""
        self._look_of = look
        if layout is not self._layout:
            still = self._still()
            self._layout, self._labels = layout, Labels(layout)
            self._boxes = {box.path: box for box in layout.boxes}
            if self._lit.hover not in self._boxes:
                self._lit = replace(self._lit, hover="")
            self.set_drawing(QSizeF(layout.width, layout.height))
            path = next((path for path in still if path in self._boxes), None)
            if path is not None:
                bar = self.verticalScrollBar()
                bar.setValue(bar.value() + round(self.box_rect(path).top() - still[path]))
        self.viewport().update()

    def set_lit(self, path: str, step: str) -> None:
        """Light the box of the present step; `step` is its site, which differs where the box is folded."""
        if (path, step) != (self._lit.box, self._lit.step):
            self._lit = Lit(path, step, self._lit.hover)
            self.setAccessibleDescription(tr("Step: {site}").format(site=step))
            self.viewport().update()

    def reveal(self, path: str) -> None:
        """Scroll so that a box is in sight, with the module around it where that fits; not where it is already."""
        box = self._boxes.get(path)
        if box is None or QRectF(self.viewport().rect()).contains(self._shown_rect(box)):
            return
        height, width = self.viewport().height(), self.viewport().width()
        margin = min(height / 4, 3 * GAP * self.zoom())
        wider = [outer for outer in self._boxes.values() if outer.kind == "open" and box.lies_in(outer)]
        fitting = [outer for outer in wider if outer.height * self.zoom() + 2 * margin <= height]
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
        pointed = [box for box in seen if box.path == self._lit.hover]
        return {box.path: self.box_rect(box.path).top() for box in (*pointed, *seen)}

    def _shown_rect(self, box: Box) -> QRectF:
        """What of a box has to be in sight for it to be: of an open module its title."""
        return self.to_view(QRectF(box.x, box.y, box.width, box.front))

    # What can be read back

    def boxes(self) -> list[Box]:
        """The boxes that are shown, outer ones first."""
        return list(self._layout.boxes)

    def lit(self) -> str:
        """The path of the box that is lit."""
        return self._lit.box

    def look(self, path: str) -> Look:
        """What a box says besides its name."""
        return self._look_of(path)

    def box_rect(self, path: str) -> QRectF:
        """Where a box is, in the viewport."""
        box = self._boxes[path]
        return self.to_view(QRectF(box.x, box.y, box.width, box.height))

    def sign_rect(self, path: str) -> QRectF:
        """Where the sign that folds a module is, in the viewport."""
        return self.to_view(sign_of(self._boxes[path]))

    def box_at(self, point: QPointF) -> Box | None:
        """The leaf, folded module or title at a place in the viewport."""
        place = self.to_drawing(point)
        for box in reversed(self._layout.boxes):
            if QRectF(box.x, box.y, box.width, box.front).contains(place):
                return box
        return None

    def shape_places(self, boxes: list[Box] | None = None) -> list[tuple[Box, QRectF]]:
        """Which boxes have their shape written below them, and where in the viewport."""
        return self._labels.places(
            boxes or self._layout.boxes,
            self.look,
            self._lit,
            QFontMetricsF(self.font()),
            self.origin(),
            self.zoom(),
        )

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 19), math.ceil(line * 40))

    def minimumSizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 10), math.ceil(line * 10))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        painter.fillRect(self.viewport().rect(), QColor(colours.panel))
        if not self._layout.boxes:
            painter.setPen(QColor(colours.muted))
            painter.drawText(self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, tr("Nothing to show yet"))
            return
        picture = Painting(painter, self.look, self._lit, self.font())
        painter.save()
        painter.translate(self.origin())
        painter.scale(self.zoom(), self.zoom())
        corner = self.to_drawing(QPointF())
        seen = QRectF(corner.x(), corner.y(), self.width() / self.zoom(), self.height() / self.zoom())
        boxes = picture.paint(self._layout, seen)
        painter.restore()
        picture.write_shapes(self.shape_places(boxes))
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(self.viewport().rect().adjusted(0, 0, -1, -1))

    # Pointing and pressing

    def point(self, place: QPointF) -> None:
        self._point(self.box_at(place))

    def _point(self, box: Box | None) -> None:
        path = "" if box is None else box.path
        if path != self._lit.hover:
            self._lit = replace(self._lit, hover=path)
            self.viewport().setCursor(
                Qt.CursorShape.PointingHandCursor if path else Qt.CursorShape.ArrowCursor
            )
            self.viewport().update()
            if path:
                self.hovered.emit(path)
            else:
                self.left.emit()

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self._under = self.box_at(event.position())

    def press(self, place: QPointF) -> None:
        box = self._under
        if box is None or box.path not in self._boxes:
            return
        if box.kind != "site" and self.sign_rect(box.path).adjusted(-3, -3, 3, 3).contains(place):
            self.fold_asked.emit(box.path, box.kind == "folded")
        else:
            self.clicked.emit(box.path)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        # The first click may have unfolded the box already: what counts is how it was then.
        box = self._under if self._pressed is not None else None
        if event.button() == Qt.MouseButton.LeftButton and box is not None and box.kind != "site":
            self.fold_asked.emit(box.path, box.kind == "folded")
        super().mouseDoubleClickEvent(event)

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
        lit = self._boxes.get(self._lit.box)
        if lit is not None and lit.kind == "folded":
            self.fold_asked.emit(lit.path, True)
        elif lit is not None:
            around = [box for box in self._layout.boxes if box.kind == "open" and lit.lies_in(box)]
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
