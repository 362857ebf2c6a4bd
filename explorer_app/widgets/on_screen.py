"""A window that lies on its screen as a whole, its frame included."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QFrame, QScrollArea, QWidget

FRAME = (1, 2.5)
"""How wide and high a frame may be, in lines of text, where the system has not said yet."""


def fitted(window: QRect, room: QRect) -> QRect:
    """A rectangle made small enough for the room, and moved into it where it is not."""
    size = window.size().boundedTo(room.size())
    left = min(max(window.left(), room.left()), room.right() + 1 - size.width())
    top = min(max(window.top(), room.top()), room.bottom() + 1 - size.height())
    return QRect(left, top, size.width(), size.height())


def fit(window: QWidget) -> None:
    """Make a window small enough for its screen, and move it there if nothing has placed it yet or it lies outside.

    Before it is on screen nobody knows its frame, which is then taken to be thick.
    """
    hidden = window.testAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    if hidden or window.isMaximized() or window.isFullScreen():
        return
    inner, outer = window.geometry(), window.frameGeometry()
    across, down = outer.width() - inner.width(), outer.height() - inner.height()
    if not down:
        line = window.fontMetrics().height()
        across, down = round(FRAME[0] * line), round(FRAME[1] * line)
        outer = inner.adjusted(0, 0, across, down)
    wanted = fitted(outer, window.screen().availableGeometry())
    if wanted.size() != outer.size():
        window.resize(wanted.width() - across, wanted.height() - down)
    if wanted.topLeft() != outer.topLeft():
        window.move(wanted.topLeft())


class FittingDialog(QDialog):
    """A dialog that is no larger than its screen."""

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        fit(self)


class Scrolled(QScrollArea):
    """What scrolls where the screen has no room for all of it, and would like to have that room.

    name  what it says it is to a screen reader
    """

    def __init__(self, inside: QWidget, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self._inside = inside
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inside)

    def sizeHint(self) -> QSize:
        return self._with_bar(self._inside.sizeHint())

    def minimumSizeHint(self) -> QSize:
        line = self.fontMetrics().height()
        return QSize(self._with_bar(self._inside.minimumSizeHint()).width(), line * 6)

    def _with_bar(self, size: QSize) -> QSize:
        return size + QSize(self.verticalScrollBar().sizeHint().width(), 0)
