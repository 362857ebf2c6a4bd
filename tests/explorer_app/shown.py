"""One panel on screen with an engine in this process, for as long as a `with` lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pytestqt.qtbot import QtBot

from explorer_app.panels import Panel
from explorer_app.session import SITES, Session
from model_core.queries import Scene
from tests.explorer_app.local_engine import LocalEngine

P = TypeVar("P", bound=Panel)


@contextmanager
def panel_shown(
    qtbot: QtBot, kind: type[P], model: str, prompt: str, size: tuple[int, int] = (700, 560)
) -> Iterator[tuple[P, Session, Callable[[], None]]]:
    """The panel, its session, and a function that returns when all that was asked for is drawn."""
    session = Session(Scene(model, prompt))
    panel = kind(session)
    engine = LocalEngine(session, lambda: [*panel.wanted(), SITES])
    panel.asks.connect(engine.ask)

    def settle() -> None:
        qtbot.waitUntil(lambda: not engine.busy and not panel._soon.isActive(), timeout=20_000)

    panel.resize(*size)
    panel.show()
    engine.start()
    settle()
    try:
        yield panel, session, settle
    finally:
        engine.close()
        panel.detach()
        panel.close()
        panel.deleteLater()
