"""A picture of another scene than the one that is asked for looks it, and says why; a quick run changes nothing."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.panel import base as panels
from explorer_app.panel.base import Panel
from explorer_app.panel.registry import PANELS
from explorer_app.panels import load_panels
from explorer_app.panels.attention import Attention
from explorer_app.panels.three_views import ThreeViews
from explorer_app.state.session import Session
from explorer_app.widgets import veil as veil_
from model_core.api.scene import Scene
from tests.support.models.tiny import save
from tests.support.window.panel_on_screen import OnScreen, on_screen
from tests.support.window.window_on_screen import window_on_screen

pytestmark = pytest.mark.process

TOO_LONG = "the cat " * 400


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Attention]]:
    with on_screen(qtbot, Attention, model) as shown:
        yield shown


@pytest.fixture(scope="module")
def two_stacks(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("models") / "seq2seq", "seq2seq")


def test_a_prompt_that_is_refused_dims_what_stays_and_says_why(
    shown: OnScreen[Attention], qtbot: QtBot
) -> None:
    veil, session = shown.panel.veil, shown.session
    before = shown.panel.grab().toImage()
    shown.change(prompt=TOO_LONG)
    qtbot.waitUntil(veil.isVisible)
    assert veil.words.startswith("Out of date: The prompt has ")
    assert veil.geometry() == shown.panel.rect()
    assert shown.panel.grab().toImage() != before
    shown.panel.resize(700, 500)
    assert veil.geometry() == shown.panel.rect()
    session.change(prompt=TOO_LONG + "x")
    QApplication.processEvents()
    assert veil.isVisible()
    shown.change(prompt="The dog")
    assert not veil.isVisible()


def test_a_picture_that_is_out_of_date_stays_dimmed_wherever_one_looks_in_it(
    shown: OnScreen[Attention], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.select(layer=1, head=1)
    shown.select(layer=0, head=0)
    shown.change(prompt=TOO_LONG)
    qtbot.waitUntil(shown.panel.veil.isVisible)
    lifted: list[object] = []

    def lift(veil: veil_.Veil) -> None:
        lifted.append(veil)

    monkeypatch.setattr(veil_.Veil, "lift", lift)
    shown.session.select(layer=1, head=1)
    qtbot.waitUntil(lambda: not shown.panel.drawing)
    assert shown.panel.veil not in lifted


def test_the_heads_give_no_other_reason_than_the_panel_that_they_are_in(
    shown: OnScreen[Attention], qtbot: QtBot
) -> None:
    overview = shown.panel.overview.veil
    overview.cover("Out of date: Running")
    qtbot.waitUntil(overview.isVisible)
    shown.change(prompt=TOO_LONG)
    qtbot.waitUntil(shown.panel.veil.isVisible)
    assert not overview.isVisible()


def test_the_pointer_goes_through_to_what_is_dimmed(shown: OnScreen[Attention], qtbot: QtBot) -> None:
    shown.change(prompt=TOO_LONG)
    qtbot.waitUntil(shown.panel.veil.isVisible)
    place = shown.panel.grid.mapTo(shown.panel, shown.panel.grid.map_rect(1, 2).center().toPoint())
    assert shown.panel.childAt(place) is shown.panel.grid


def test_quick_runs_dim_nothing(
    shown: OnScreen[Attention], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallen: list[str] = []
    monkeypatch.setattr(veil_.Veil, "_fall", lambda veil: fallen.append(veil.words))
    for prompt in ("The", "The cat", "The cat sat", "The cat sat on"):
        shown.change(prompt=prompt)
    shown.select(layer=2, head=1)
    qtbot.wait(veil_.AFTER_MS + 50)
    assert fallen == []


def test_a_run_that_takes_long_dims_until_it_is_there(shown: OnScreen[Attention], qtbot: QtBot) -> None:
    session, veil = shown.session, shown.panel.veil
    session.scene = Scene(session.scene.model, "not answered yet")
    session.set_progress("running", 0.5)
    qtbot.waitUntil(veil.isVisible)
    assert "Running" in veil.words
    session.scene = session.shown
    session.set_progress("", 1.0)
    assert not veil.isVisible()


def test_a_view_that_cannot_be_had_dims_its_panel_alone(
    shown: OnScreen[Attention], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.panel._missing = True
    shown.session.tell("this view needs more memory than there is")
    qtbot.waitUntil(shown.panel.veil.isVisible)
    assert shown.session.stale == ""
    assert "this view needs more memory" in shown.panel.veil.words.lower()


def test_heads_of_another_run_than_the_map_are_dimmed_until_theirs_have_come(
    shown: OnScreen[Attention], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, panel = shown.session, shown.panel
    overview = next(asked for asked in panel.wishes() if asked.kind == "overview")
    answer = session.answer
    monkeypatch.setattr(session, "answer", lambda asked: None if asked == overview else answer(asked))
    session.set_progress("running", 0.5)
    panel.refresh()
    qtbot.waitUntil(panel.overview.veil.isVisible)
    assert "Running" in panel.overview.veil.words
    assert not panel.veil.isVisible()
    monkeypatch.undo()
    session.set_progress("", 1.0)
    panel.refresh()
    qtbot.waitUntil(lambda: not panel.overview.veil.isVisible())


def test_what_a_panel_only_wishes_for_waits_until_all_have_what_they_need(model: str) -> None:
    with window_on_screen(model, "The cat") as window:
        wanted = window.wanted()
        panels = [panel for panel in window.arrangement.panels if panel.seen]
        needed = {asked for panel in panels for asked in panel.wanted()}
        wished = {asked for panel in panels for asked in panel.wishes()} - needed
        assert wished
        assert max(map(wanted.index, needed)) < min(map(wanted.index, wished))


def test_the_tokens_of_another_run_are_dimmed_as_well(qtbot: QtBot, model: str) -> None:
    with window_on_screen(model, "The cat") as window:
        bar: PromptBar = window.prompt_bar
        window.session.change(prompt=TOO_LONG)
        qtbot.waitUntil(bar.strips.veil.isVisible)
        assert window.docks["attention"].panel.veil.words == bar_words(window.session)
        qtbot.waitUntil(window.docks["attention"].panel.veil.isVisible)
        assert not window.docks["edits"].panel.veil.isVisible()
        window.session.change(prompt="The cat")
        assert not bar.strips.veil.isVisible()


def bar_words(session: Session) -> str:
    return "Out of date: " + session.message[0].upper() + session.message[1:]


def test_every_panel_dims_unless_it_shows_no_run() -> None:
    load_panels()
    assert {name for name, registered in PANELS.items() if not registered.build.ages} == {"edits", "train"}


# A panel is given only what it applies to


def test_a_panel_draws_nothing_of_a_model_that_it_does_not_apply_to(
    qtbot: QtBot, two_stacks: str, model: str
) -> None:
    with on_screen(qtbot, ThreeViews, two_stacks, "The cat saw the dog") as shown:
        session, panel = shown.session, shown.panel
        session.hover(1, 1, "cross")
        shown.change(model=model)
        assert session.shown.model == model
        assert panel.seen
        session.hover(2, 1)
        session.select(query=1, key=0)
        shown.settle()
        assert panel.wanted() == [panels.RUN]
        shown.change(model=two_stacks)
        session.hover(1, 1, "cross")
        assert "of the source" in panel.told.text()


def test_tokens_that_are_pointed_at_are_those_of_what_is_drawn(
    shown: OnScreen[Attention], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int | None, int | None]] = []
    monkeypatch.setattr(Attention, "preview", lambda panel, query, key: seen.append((query, key)))
    shown.session.hover(1, 0)
    shown.session.change(prompt="The")
    shown.qtbot.waitUntil(lambda: shown.session.shown.prompt == "The")
    shown.panel._drawn_of = None
    shown.session.hover(5, 0)
    assert seen == [(1, 0)]


def test_a_panel_that_was_never_drawn_says_what_it_waits_for(qtbot: QtBot, model: str) -> None:
    session = Session(Scene(model, "The cat"))
    panel = Panel(session)
    qtbot.addWidget(panel)
    panel.show()
    session.tell("the engine did not start")
    qtbot.waitUntil(panel.veil.isVisible)
    assert panel.veil.words == "The engine did not start"
    assert panel.veil.testAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    panel.detach()
