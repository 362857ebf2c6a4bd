"""One panel with its session and an engine in this process, for tests of what a person sees and does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from pytestqt.qtbot import QtBot

from explorer_app.panel.base import Panel
from explorer_app.state.session import Session
from explorer_app.state.store import SITES
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine

PROMPT = "The cat saw the dog and the dog saw it"

P = TypeVar("P", bound=Panel)


@dataclass
class OnScreen(Generic[P]):
    """answered: every query that the engine has answered, in order."""

    qtbot: QtBot
    session: Session
    panel: P
    engine: LocalEngine
    answered: list[Query]

    def settle(self) -> None:
        """Wait until everything that was asked for is answered and drawn."""
        self.qtbot.waitUntil(lambda: not self.engine.busy and not self.panel.drawing, timeout=60_000)

    def change(self, **fields: object) -> None:
        self.session.change(**fields)
        self.settle()

    def select(self, **fields: object) -> None:
        self.session.select(**fields)
        self.settle()


@contextmanager
def on_screen(
    qtbot: QtBot, kind: type[P], model: str, prompt: str = PROMPT, *, size: tuple[int, int] = (900, 600)
) -> Iterator[OnScreen[P]]:
    """A panel of that kind when it has drawn a scene, for as long as the `with` lasts."""
    session = Session(Scene(model, prompt))
    panel = kind(session)
    engine = LocalEngine(session, lambda: [*panel.wanted(), *panel.wishes(), SITES])
    panel.asks.connect(engine.ask)
    answered: list[Query] = []
    session.answered.connect(answered.append)
    shown = OnScreen(qtbot, session, panel, engine, answered)
    panel.resize(*size)
    panel.show()
    engine.start()
    shown.settle()
    try:
        yield shown
    finally:
        engine.close()
        panel.detach()
        panel.close()
        panel.deleteLater()
