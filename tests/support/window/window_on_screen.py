"""The whole window with an engine in this process, for tests of what its panels do together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer_app.panel.base import still_drawing
from explorer_app.state.session import Session
from explorer_app.window.snapshot import closing, settle
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine


@contextmanager
def window_on_screen(model: str, prompt: str) -> Iterator[MainWindow]:
    """A window when it has drawn a scene, for as long as the `with` lasts."""
    window = MainWindow(Session(Scene(model, prompt)), connect=LocalEngine)
    with closing(window):
        window.show()
        window.client.start()
        settle(window.client)
        yield window


@contextmanager
def whole_window(model: str, prompt: str) -> Iterator[MainWindow]:
    """A window whose panels are all built, each of them seen once."""
    with window_on_screen(model, prompt) as window:
        panels = [dock.panel for dock in window.docks.values()]
        QApplication.processEvents()
        for dock, panel in zip(window.docks.values(), panels, strict=True):
            if panel.applies(window.session.run):
                dock.raise_()
                wait(lambda panel=panel: panel.seen, f"{dock.objectName()} in front")
                settle(window.client)
        yield window


def at_rest(window: MainWindow) -> bool:
    """True when all that is wanted is answered and drawn."""
    return not window.client.busy and not still_drawing(window)


def wait(true: Callable[[], bool], what: str) -> None:
    for _ in range(500):
        if true():
            return
        QTest.qWait(10)
    raise AssertionError(f"waited in vain for {what}")
