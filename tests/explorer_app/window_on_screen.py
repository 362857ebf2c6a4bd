"""The whole window with an engine in this process, for tests of what its panels do together."""

from collections.abc import Iterator
from contextlib import contextmanager

from explorer_app.session import Session
from explorer_app.snapshot import closing, settle
from explorer_app.window import MainWindow
from model_core.queries import Scene
from tests.explorer_app.local_engine import LocalEngine


@contextmanager
def window_on_screen(model: str, prompt: str) -> Iterator[MainWindow]:
    """A window when it has drawn a scene, for as long as the `with` lasts."""
    window = MainWindow(Session(Scene(model, prompt)), connect=LocalEngine)
    with closing(window):
        window.show()
        window.client.start()
        settle(window.client)
        yield window
