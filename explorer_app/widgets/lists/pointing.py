"""A painting that scrolls, made of items that answer to the pointer: the chips of a text, the bars of a list."""

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from explorer_app import theme
from explorer_app.widgets.plain import show_tip


class PaintedItems(QAbstractScrollArea):
    """Numbered items painted by hand. A subclass paints them and says where each is and what its tooltip says."""

    hovered = Signal(int)
    left = Signal()
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hover: int | None = None
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.viewport().setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme.notifier.changed.connect(self.viewport().update)

    def item_rect(self, index: int) -> QRectF:
        """Where an item is, in the viewport."""
        raise NotImplementedError

    def item_at(self, point: QPointF) -> int | None:
        """The item at a place in the viewport."""
        raise NotImplementedError

    def tip(self, index: int) -> str:
        """The tooltip of an item."""
        raise NotImplementedError

    def _point(self, index: int | None) -> None:
        if index == self._hover:
            return
        self._hover = index
        self.viewport().update()
        if index is None:
            self.left.emit()
        else:
            self.hovered.emit(index)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point(self.item_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()  # the press was taken, so the release is too

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.item_at(event.position())
        if index is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(index)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            index = self.item_at(QPointF(event.pos()))
            text = "" if index is None else self.tip(index)
            area = None if index is None else self.item_rect(index).toAlignedRect()
            show_tip(event.globalPos(), text, self.viewport(), area)
            return True
        return super().viewportEvent(event)
