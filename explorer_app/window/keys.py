"""Plain keys walk the forward pass, wherever in the window a person clicked last."""

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QWidget,
)
from shiboken6 import isValid

from explorer_app.widgets.arrows import SIDEWAYS


def plain_key(event: QEvent) -> Qt.Key | None:
    """The key of a press without modifiers."""
    if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
        return None
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    return None if modifiers else Qt.Key(event.key())


def writes(widget: QWidget) -> bool:
    """Whether what is typed there is text."""
    if isinstance(widget, QComboBox):
        return widget.isEditable()
    if isinstance(widget, (QTextEdit, QPlainTextEdit)):
        return not widget.isReadOnly()
    return isinstance(widget, (QLineEdit, QAbstractSpinBox))


class PlainKeys(QObject):
    """Gives the keys that the window has a use for to the window before the widget with the focus sees them.

    It leaves them to a text field; to a view that moves a cursor of its own with them, which says so in its
    `own_keys` or stands in one that does; and to a button, tab or slider that was reached by keyboard: who clicked it
    goes on with the forward pass, who reached it by Tab wants to use it.
    """

    def __init__(self, window: QWidget, keys: frozenset[Qt.Key]) -> None:
        super().__init__(window)
        self._window, self._keys = window, keys
        self._clicked = False
        self._app = QApplication.instance()
        assert isinstance(self._app, QApplication)
        self._app.focusChanged.connect(self._follow)

    def detach(self) -> None:
        """Stop following the focus."""
        assert isinstance(self._app, QApplication)
        self._app.focusChanged.disconnect(self._follow)

    def _follow(self, before: QWidget | None, now: QWidget | None) -> None:
        if before is not None and isValid(before):
            before.removeEventFilter(self)
        self._clicked = False
        # The window itself takes what nobody else does.
        if now is not None and now is not self._window and self._ours(now.window()):
            now.installEventFilter(self)

    def _ours(self, window: QWidget) -> bool:
        """The window, or a panel that floats in front of it."""
        floats = window.windowType() == Qt.WindowType.Tool and window.parentWidget() is self._window
        return window is self._window or floats

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress:
            self._clicked = True
        key = plain_key(event)
        if key not in self._keys or not isinstance(watched, QWidget) or self._keeps(watched, key):
            return False
        QApplication.sendEvent(self._window, event)
        return True

    def _keeps(self, widget: QWidget, key: Qt.Key) -> bool:
        views = [widget]
        while not views[-1].isWindow() and (view := views[-1].parentWidget()) is not None:
            views.append(view)
        if not all(getattr(view, "seen", True) for view in views):
            return False  # its panel went behind another
        if writes(widget) or any(key in getattr(view, "own_keys", ()) for view in views):
            return True
        if self._clicked:
            return False
        if isinstance(widget, QAbstractButton):
            return key == Qt.Key.Key_Space
        return isinstance(widget, (QTabBar, QAbstractSlider)) and key in SIDEWAYS
