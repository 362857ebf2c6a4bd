"""What menus are made of."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu


def entry(menu: QMenu, text: str, slot: Callable[[], object], *keys: str) -> QAction:
    """A new entry of a menu, with the keys that do the same."""
    action = menu.addAction(text)
    action.triggered.connect(lambda: slot())
    action.setShortcuts([QKeySequence(key) for key in keys])
    return action


def named(text: str, key: Qt.Key) -> str:
    """A menu's text with a key beside it that the menu itself does not catch."""
    return f"{text}\t{QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)}"
