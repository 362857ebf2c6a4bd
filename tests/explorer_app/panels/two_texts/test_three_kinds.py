"""Attention and masks of a model with three kinds of attention."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app.panels.attention import Attention
from explorer_app.panels.attention.stages import head_marks
from explorer_app.panels.mask import Mask
from explorer_app.panels.mask.words import rule_words, switch_words
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.words.attention_text import kind_words, map_query, side_titles
from model_core.api.edits import AblateHead, MaskOff
from model_core.api.scene import Scene
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from tests.support.models.tiny import HEADS, LAYERS
from tests.support.window.fake_run import ONE_KIND, THREE_KINDS, two_texts
from tests.support.window.panel_on_screen import OnScreen, on_screen
from tests.support.window.two_stacks import SOURCE, TARGET

pytestmark = pytest.mark.unit


ENCODER, DECODER, CROSS = THREE_KINDS


@pytest.fixture
def attention(qtbot: QtBot, two_stacks: str) -> Iterator[OnScreen[Attention]]:
    with on_screen(qtbot, Attention, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        yield shown


@pytest.mark.process
def test_the_attention_panel_shows_each_kind_that_is_chosen(
    attention: OnScreen[Attention], two_stacks: str
) -> None:
    panel, session = attention.panel, attention.session
    loaded = open_model(two_stacks)
    run = Run(loaded.model, loaded.tokenizer.encode(SOURCE), target=loaded.tokenizer.encode(TARGET))
    assert [button.text() for button in panel.kinds.buttons.values()] == [kind_words(k) for k in THREE_KINDS]
    attention.select(layer=1, head=2)
    for stack, button in panel.kinds.buttons.items():
        attention.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        attention.settle()
        assert session.selection.stack == stack
        site = session.attention.site(1, "pattern")  # type: ignore[union-attr]
        np.testing.assert_allclose(panel.heatmap.image_values(), run.value(site)[0, 2].numpy(), atol=1e-6)
        assert kind_words(session.attention) in panel._title.text()  # type: ignore[arg-type]
        assert panel.grid._size == tuple(run.value(site).shape[-2:])
    assert "of the target" not in panel.heatmap.readout()
    assert side_titles(session.run, CROSS) == ("who looks (query): target", "at whom (key): source")  # type: ignore[arg-type]


def test_the_stepper_takes_the_attention_panel_to_cross_attention(attention: OnScreen[Attention]) -> None:
    attention.session.go_to("decoder.blocks.2.cross.scores")
    attention.settle()
    assert attention.panel.word == "scores"
    assert attention.panel.kinds.buttons["cross"].isChecked()
    assert attention.session.selection.layer == 2


@pytest.mark.process
def test_the_buttons_edit_the_kind_in_focus(attention: OnScreen[Attention]) -> None:
    panel = attention.panel
    attention.select(stack="cross", layer=1, head=2)
    assert not panel._mask_off.isEnabled()
    panel._ablate.click()
    attention.settle()
    attention.select(stack="decoder")
    assert panel._mask_off.isEnabled()
    panel._mask_off.click()
    attention.settle()
    assert attention.session.shown.edits == ("ablate cross L1H2", "mask off decoder L1H2")
    assert panel.grid.describe(1, 2) == "layer 1, head 2: mask off"
    attention.select(stack="cross")
    assert panel.grid.describe(1, 2) == "layer 1, head 2: ablated"


def test_a_mask_off_everywhere_is_no_news_where_there_is_none() -> None:
    assert head_marks([MaskOff()], CROSS) == ({}, {})
    assert len(head_marks([MaskOff()], DECODER)[1]) == 8
    assert head_marks([AblateHead(1, 1, "encoder")], CROSS) == ({}, {})


def test_one_kind_of_attention_needs_no_chooser(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, Attention, model, SOURCE) as shown:
        assert not shown.panel.kinds.isVisible()


def test_the_map_of_another_kind_of_attention_is_another_question() -> None:
    session = Session(Scene("model", "prompt"))
    session.take(session.scene, RUN, two_texts())
    session.select(stack="cross", layer=2)
    assert "decoder.blocks.2.cross.mask" in map_query(session, "mask").to_json()["arguments"]["site"]
    assert (
        "encoder.blocks.2.attn.mask"
        in map_query(session, "mask", kind=ENCODER).to_json()["arguments"]["site"]
    )


@pytest.mark.process
def test_where_there_is_no_mask_the_panel_says_so_and_offers_no_switch(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, Mask, two_stacks, SOURCE) as shown:
        for stack, reason in (("encoder", "reads the whole source at once"), ("cross", "known to its end")):
            shown.select(stack=stack)
            assert reason in shown.panel.rule.text()
            assert "all 49 cells allowed" in shown.panel._title.text()
            assert not any(part.isVisible() for part in (*shown.panel.switches, shown.panel.changed))
        shown.select(stack="decoder", layer=1)
        everywhere, layer, _ = shown.panel.switches
        assert layer.isVisible()
        layer.click()
        shown.settle()
        assert shown.session.shown.edits == ("mask off decoder L1",)
        assert f"Off in {HEADS} of {LAYERS * HEADS} heads" in shown.panel.in_force.text()
        everywhere.click()
        everywhere.click()
        shown.settle()
        assert shown.session.shown.edits == ("mask off",)


def test_a_switch_says_what_it_takes_away() -> None:
    window = replace(ONE_KIND, window=7)
    assert "Sliding window" in rule_words(window)
    assert "the last 7" in rule_words(window)
    assert "window of 7 tokens" in switch_words(window, MaskOff())
    assert "Sliding" not in rule_words(ONE_KIND)
    assert "window" not in switch_words(ONE_KIND, MaskOff())
    assert "nothing to switch" in rule_words(replace(ONE_KIND, causal=False))
