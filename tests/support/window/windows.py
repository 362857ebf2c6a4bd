"""Windows with an engine in this process, and what is in their menus and docks."""

from contextlib import ExitStack

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from explorer_app.state.session import Session
from explorer_app.state.settings import Settings
from explorer_app.window.dock import PanelDock
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine
from tests.support.window.window_on_screen import at_rest

PROMPT = "The cat saw the dog"


class Windows:
    """Opens windows and closes them all at the end of a test."""

    def __init__(self, qtbot: QtBot, model: str, stack: ExitStack) -> None:
        self.qtbot, self.model, self.stack = qtbot, model, stack

    def open(self, settings: Settings | None = None) -> MainWindow:
        """A window on screen whose scene is answered and drawn."""
        window = MainWindow(Session(Scene(self.model, PROMPT)), settings, LocalEngine)
        self.stack.enter_context(closing(window))
        window.show()
        window.client.start()
        self.settle(window)
        return window

    def settle(self, window: MainWindow) -> None:
        QApplication.processEvents()
        self.qtbot.waitUntil(lambda: at_rest(window) and window.session.run is not None, timeout=60_000)
        QApplication.processEvents()


def action(window: MainWindow, text: str) -> QAction:
    """The menu entry that begins with a text."""
    entries = [entry for menu in window.menuBar().findChildren(QMenu) for entry in menu.actions()]
    return next(entry for entry in entries if entry.text().replace("&", "").startswith(text))


def offered(window: MainWindow) -> list[PanelDock]:
    """The docks that have something to show of the model on screen."""
    return [dock for dock in window.docks.values() if dock.panel.applies(window.session.run)]
