"""A painting that scrolls, made of items that answer to the pointer: the chips of a text, the bars of a list."""

from PySide6.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from explorer_app import theme
from explorer_app.widgets.plain import show_tip
from explorer_app.widgets.scrolling import scroll_over


class PaintedItems(QAbstractScrollArea):
    """Numbered items painted by hand; they scroll where they do not fit.

    A subclass paints them and says where each is, how large all of them are and what their tooltips say.
    """

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

    def whole(self) -> QSizeF:
        """The size of all items; 0 where they follow the size of the viewport."""
        raise NotImplementedError

    def step(self) -> float:
        """How far an arrow of a scroll bar goes."""
        raise NotImplementedError

    def measure(self) -> None:
        """Take the measure of what the font makes larger or smaller."""

    def reveal(self) -> None:
        """Bring in sight what is chosen."""

    def fit_scroll(self) -> None:
        """To be called when the size of the items has changed."""
        whole, shown = self.whole(), self.viewport().size()
        scroll_over(self.horizontalScrollBar(), whole.width(), shown.width(), self.step())
        scroll_over(self.verticalScrollBar(), whole.height(), shown.height(), self.step())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.fit_scroll()
        self.reveal()
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.FontChange:
            self.measure()
            self.fit_scroll()
        super().changeEvent(event)

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
