"""The prompt bar of a model with two texts."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.state.focus import Cursor
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.listening import detach
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine
from tests.support.window.two_stacks import SOURCE, TARGET

pytestmark = pytest.mark.unit


@pytest.fixture
def bar(qtbot: QtBot, two_stacks: str) -> Iterator[PromptBar]:
    """A bar on screen whose scene is answered."""
    session = Session(Scene(two_stacks, SOURCE, TARGET))
    bar = PromptBar(session, [])
    qtbot.addWidget(bar)
    engine = LocalEngine(session, lambda: [RUN, SITES])
    bar.resize(1200, 160)
    bar.show()
    engine.start()
    qtbot.waitUntil(lambda: session.run is not None and not engine.busy, timeout=60_000)
    yield bar
    engine.close()
    detach(bar)


def described(bar: PromptBar) -> list[str]:
    return [strip.accessibleDescription().replace(" ", "").replace("·", " ") for strip in bar.strips.strips]


def test_both_texts_can_be_typed_and_are_seen_as_tokens(bar: PromptBar, qtbot: QtBot) -> None:
    assert [bar.prompt.text(), bar.target.text()] == [SOURCE, TARGET]
    assert bar.target.isVisible()
    assert [name.text() for name in bar.reads if name.isVisible()] == ["Encoder reads", "Decoder reads"]
    assert described(bar) == [SOURCE, TARGET]
    qtbot.keyClicks(bar.target, " it")
    qtbot.waitUntil(lambda: bar.session.shown.target == TARGET + " it")
    assert described(bar) == [SOURCE, TARGET + " it"]


def test_a_decoder_that_is_given_nothing_reads_what_the_encoder_reads(bar: PromptBar, qtbot: QtBot) -> None:
    bar.target.clear()
    bar.target.textEdited.emit("")
    qtbot.waitUntil(lambda: bar.session.shown.target == "")
    assert described(bar) == [SOURCE, SOURCE]
    assert bar.target.placeholderText() == "the same as the encoder"


def test_a_decoder_only_model_has_one_field_and_one_strip_in_as_many_rows(
    bar: PromptBar, model: str, qtbot: QtBot
) -> None:
    two = bar.sizeHint().height()
    bar.session.change(model=model)
    qtbot.waitUntil(lambda: bar.session.shown.model == model)
    assert not bar.target.isVisible()
    assert not any(name.isVisible() for name in (*bar.reads, *bar.strips.names))
    assert [strip.isVisible() for strip in bar.strips.strips] == [True, False]
    assert bar.strips.sizeHint().height() == bar.strip.height()
    assert bar.sizeHint().height() == two


def click(
    qtbot: QtBot, bar: PromptBar, text: int, token: int, keys: Qt.KeyboardModifier | None = None
) -> None:
    strip = bar.strips.strips[text]
    place = strip.item_rect(token).center().toPoint()
    keys = keys or Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, keys, place)


def coloured(bar: PromptBar) -> list[tuple[int | None, int | None]]:
    return [(strip._query, strip._key) for strip in bar.strips.strips]


def test_in_cross_attention_a_click_on_either_text_locks_its_token(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.select(stack="cross")
    click(qtbot, bar, 1, 2)
    click(qtbot, bar, 0, 4)
    assert bar.session.selection.cursor == Cursor(2, 4, "cross")
    assert coloured(bar) == [(None, 4), (2, None)]
    click(qtbot, bar, 0, 4)
    assert bar.session.selection.cursor == Cursor(2, None, "cross")


def test_in_self_attention_the_tokens_of_the_other_text_move_the_focus(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.select(stack="encoder")
    click(qtbot, bar, 0, 3)
    click(qtbot, bar, 0, 1, Qt.KeyboardModifier.ShiftModifier)
    assert bar.session.selection.cursor == Cursor(3, 1, "encoder")
    assert coloured(bar) == [(3, 1), (None, None)]
    click(qtbot, bar, 1, 2)
    assert bar.session.selection.cursor == Cursor(2, None, "decoder")
    assert coloured(bar) == [(None, None), (2, None)]


def test_what_is_pointed_at_elsewhere_is_coloured_in_the_strip_of_its_text(bar: PromptBar) -> None:
    bar.session.hover(1, 5, "cross")
    assert coloured(bar) == [(None, 5), (1, None)]
    bar.session.hover(1, 5, "encoder")
    assert coloured(bar) == [(1, 5), (None, None)]
    bar.session.hover(None)
    assert coloured(bar) == [(None, None), (None, None)]


def test_a_target_that_is_too_long_can_be_cut(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.change(target="the cat " * 30)
    qtbot.waitUntil(lambda: bar.session.message != "")
    qtbot.mouseClick(bar.fix, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bar.session.shown == bar.session.scene)
    assert bar.session.scene.prompt == SOURCE
    assert len(bar.session.texts[1]["tokens"]) == 24


def test_what_a_decoder_was_to_read_is_nothing_to_a_model_without_one(
    bar: PromptBar, model: str, qtbot: QtBot
) -> None:
    bar.session.change(target="the cat " * 400)
    qtbot.waitUntil(lambda: "more than the context" in bar.session.message)
    bar.session.change(model=model)
    qtbot.waitUntil(lambda: bar.session.shown.model == model)
    assert bar.session.message == ""
