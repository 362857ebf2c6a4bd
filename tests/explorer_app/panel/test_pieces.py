"""When a panel draws: late answers, a picture in pieces, a fault in the middle."""

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.panel.base import Answers, Panel
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.veil import AFTER_MS
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text, sites
from tests.support.window.windows import PROMPT

pytestmark = pytest.mark.process


class Patient(Panel):
    """Draws without what it wants, and again when that has come."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.drawn: list[bool] = []

    def besides(self) -> list[Query]:
        return [SITES]

    def draw(self, answers: Answers) -> None:
        self.drawn.append(self.session.answer(SITES) is not None)


def test_what_comes_late_is_drawn_when_it_comes(qtbot: QtBot) -> None:
    scene = Scene("tales-llama", PROMPT)
    panel = Patient(Session(scene))
    qtbot.addWidget(panel)
    panel.show()
    panel.session.take(scene, RUN, one_text(1, layers=1, heads=1))
    qtbot.waitUntil(lambda: panel.drawn == [False])
    panel.session.take(scene, SITES, sites("embed.out"))
    qtbot.waitUntil(lambda: panel.drawn == [False, True])
    panel.detach()


class Piecewise(Panel):
    """Draws each token in a turn of its own."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.drawn: list[tuple[int, int]] = []
        self.pointed: list[tuple[int, int | None]] = []

    def preview(self, query: int | None, key: int | None) -> None:
        self.pointed.append((len(self.drawn), query))

    def draw(self, answers: Answers) -> Iterator[None]:
        count = len(answers[RUN]["tokens"])
        for token in range(count):
            self.drawn.append((count, token))
            yield

    def draw_first(self, scene: Scene, tokens: int) -> None:
        """The first piece of a picture of so many tokens, and none of the others yet."""
        self.session.scene = scene
        self.session.take(scene, RUN, one_text(tokens, layers=1, heads=1))
        while (tokens, 0) not in self.drawn:
            QApplication.processEvents()


@pytest.fixture
def piecewise(qtbot: QtBot) -> Iterator[Piecewise]:
    panel = Piecewise(Session(Scene("tales-llama", PROMPT)))
    qtbot.addWidget(panel)
    panel.show()
    yield panel
    panel.detach()


def test_a_picture_in_pieces_is_drawing_until_the_last_of_them(piecewise: Piecewise, qtbot: QtBot) -> None:
    piecewise.draw_first(piecewise.session.scene, 4)
    assert piecewise.drawn == [(4, 0)]
    assert piecewise.drawing
    qtbot.waitUntil(lambda: not piecewise.drawing)
    assert piecewise.drawn == [(4, 0), (4, 1), (4, 2), (4, 3)]


def test_a_picture_that_was_begun_is_finished_before_a_newer_one_is(
    piecewise: Piecewise, qtbot: QtBot
) -> None:
    piecewise.draw_first(piecewise.session.scene, 4)
    piecewise.draw_first(Scene("tales-llama", "Other"), 2)
    qtbot.waitUntil(lambda: not piecewise.drawing)
    assert piecewise.drawn == [(4, 0), (4, 1), (4, 2), (4, 3), (2, 0), (2, 1)]


def test_what_is_pointed_at_between_two_pieces_is_shown_after_the_last(
    piecewise: Piecewise, qtbot: QtBot
) -> None:
    piecewise.draw_first(piecewise.session.scene, 4)
    piecewise.session.hover(2, None)
    assert piecewise.pointed == []
    qtbot.waitUntil(lambda: not piecewise.drawing)
    assert piecewise.pointed == [(4, 2)]


def test_a_picture_that_is_whole_is_not_dimmed_for_what_was_waited_for_meanwhile(
    piecewise: Piecewise, qtbot: QtBot
) -> None:
    session, veil = piecewise.session, piecewise.veil
    piecewise.draw_first(session.scene, 1)
    qtbot.waitUntil(lambda: not piecewise.drawing)
    session.set_progress("running", 0.5)
    piecewise.draw_first(Scene("tales-llama", "Other"), 4)
    session.set_progress("running", 1.0)
    qtbot.waitUntil(lambda: not piecewise.drawing)
    qtbot.wait(AFTER_MS + 100)
    assert not veil.isVisible()


class Faulty(Panel):
    """Ends the drawing of a prompt of two tokens by a fault, in its first or second piece."""

    def __init__(self, session: Session, at: int) -> None:
        super().__init__(session)
        self.at = at

    def draw(self, answers: Answers) -> Iterator[None]:
        for piece in range(2):
            if len(answers[RUN]["tokens"]) == 2 and piece == self.at:
                raise RuntimeError("a fault of ours")
            yield


@pytest.mark.parametrize("at", [0, 1])
def test_a_picture_that_a_fault_ended_is_not_called_that_of_the_scene(at: int, qtbot: QtBot) -> None:
    session = Session(Scene("tales-llama", PROMPT))
    panel = Faulty(session, at)
    qtbot.addWidget(panel)
    panel.show()
    session.take(session.scene, RUN, one_text(3, layers=1, heads=1))
    qtbot.waitUntil(lambda: not panel.drawing)
    assert panel._drawn_of == session.shown
    session.scene = Scene("tales-llama", "Other")
    with qtbot.capture_exceptions() as faults:
        session.take(session.scene, RUN, one_text(2, layers=1, heads=1))
        qtbot.waitUntil(lambda: not panel.drawing)
        session.answered.emit(SITES)  # it looks again whether there is anything new
        qtbot.waitUntil(lambda: not panel.drawing)
    assert len(faults) == 1
    session.tell("Something went wrong in the window.")
    assert panel._drawn_of != session.shown
    qtbot.waitUntil(panel.veil.isVisible)
    session.scene = Scene("tales-llama", "Third")
    session.take(session.scene, RUN, one_text(3, layers=1, heads=1))
    qtbot.waitUntil(lambda: panel._drawn_of == session.shown)
    assert not panel.veil.isVisible()
    panel.detach()
