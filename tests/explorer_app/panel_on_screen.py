"""One panel with its session and an engine in this process, for tests of what a person sees and does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytestqt.qtbot import QtBot

from explorer_app.panels import PANELS, Panel, load_panels
from explorer_app.session import SITES, Session
from model_core.queries import Query, Scene
from tests.explorer_app.local_engine import LocalEngine

PROMPT = "The cat saw the dog and the dog saw it"


@dataclass
class OnScreen:
    """answered: every query that the engine has answered, in order."""

    qtbot: QtBot
    session: Session
    panel: Panel
    engine: LocalEngine
    answered: list[Query]

    def settle(self) -> None:
        """Wait until everything that was asked for is answered and drawn."""
        self.qtbot.waitUntil(lambda: not self.engine.busy and not self.panel._soon.isActive(), timeout=60_000)

    def change(self, **fields: object) -> None:
        self.session.change(**fields)
        self.settle()

    def select(self, **fields: object) -> None:
        self.session.select(**fields)
        self.settle()


@contextmanager
def on_screen(
    qtbot: QtBot, name: str, model: str, prompt: str = PROMPT, edits: tuple[str, ...] = ()
) -> Iterator[OnScreen]:
    """The panel of that name, 900 x 600, when it has drawn a scene."""
    load_panels()
    session = Session(Scene(model, prompt, edits=edits))
    panel = PANELS[name].build(session)
    qtbot.addWidget(panel)
    engine = LocalEngine(session, lambda: [*panel.wanted(), SITES])
    panel.asks.connect(engine.ask)
    answered: list[Query] = []
    session.answered.connect(answered.append)
    shown = OnScreen(qtbot, session, panel, engine, answered)
    panel.resize(900, 600)
    panel.show()
    engine.start()
    shown.settle()
    try:
        yield shown
    finally:
        engine.close()
        panel.detach()
