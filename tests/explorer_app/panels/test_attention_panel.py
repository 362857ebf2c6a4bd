"""The attention panel: its numbers, its sentences, its keys and its edits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from safetensors.numpy import load_file

from explorer_app.panels.attention import Attention
from explorer_app.panels.attention.stages import cell_sentence, head_marks
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.words.attention_text import (
    Sides,
    head_map,
    map_query,
    mask_is_off,
    overview_query,
    sharing,
    token_name,
)
from explorer_app.words.numbers import short_number
from model_core.api.edits import AblateHead, MaskOff
from model_core.api.queries.answer import Answer
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene
from model_core.cli import __main__ as cli
from tests.support.window.fake_run import ONE_KIND, one_text
from tests.support.window.local_engine import LLAMA
from tests.support.window.panel_on_screen import PROMPT, OnScreen, on_screen

pytestmark = pytest.mark.unit

LABELS = ["The", "·cat", "·saw", "·the", "·cat"]
SIDES = Sides(LABELS, LABELS)


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Attention]]:
    with on_screen(qtbot, Attention, model) as shown:
        yield shown


# The numbers


@pytest.mark.parametrize("word", ["scores", "masked", "pattern"])
@pytest.mark.process
def test_what_is_drawn_equals_what_the_command_line_traces(
    word: str, shown: OnScreen[Attention], model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.safetensors"
    site = f"blocks.1.attn.{word}"
    assert cli.main(["trace", "--model", model, "--prompt", PROMPT, "--sites", site, "--out", str(out)]) == 0
    traced = load_file(out)[site]
    shown.session.go_to(site)
    shown.settle()
    for head in range(LLAMA.heads):
        shown.select(head=head)
        drawn = shown.panel.heatmap.image_values()
        wanted = traced.reshape(LLAMA.heads, *drawn.shape)[head]
        np.testing.assert_array_equal(drawn, np.where(np.isneginf(wanted), np.nan, wanted))
        assert np.isnan(drawn).any() == (word == "masked")


def test_the_pattern_is_coloured_from_zero_to_its_largest_and_scores_keep_zero_neutral(
    shown: OnScreen[Attention],
) -> None:
    heatmap = shown.panel.heatmap
    assert heatmap.painted_limits() == (0.0, float(heatmap.image_values().max()))
    shown.session.go_to("blocks.0.attn.scores")
    shown.settle()
    low, high = heatmap.painted_limits()
    assert low <= 0 <= high
    assert (low, high) == (float(heatmap.image_values().min()), float(heatmap.image_values().max()))


def test_another_head_asks_the_engine_for_nothing_and_another_layer_for_one_answer(
    shown: OnScreen[Attention],
) -> None:
    shown.answered.clear()
    first = shown.panel.heatmap.image_values().copy()
    shown.select(head=2)
    assert shown.answered == []
    assert not np.array_equal(first, shown.panel.heatmap.image_values())
    shown.select(layer=2)
    assert shown.answered == [SiteValue(site="blocks.2.attn.pattern")]


def test_another_head_does_not_compose_the_thumbnails_again(shown: OnScreen[Attention]) -> None:
    grid = shown.panel.grid
    grid.grab()
    composed = grid.image()
    shown.select(layer=1, head=3)
    grid.grab()
    assert grid.image() is composed


def test_of_a_very_long_prompt_only_the_focused_head_crosses() -> None:
    session = Session(Scene("model", "prompt"))
    session.store.put(session.scene, RUN, one_text(2048, heads=12, layers=12))
    asked = map_query(session, "pattern")
    assert asked == SiteValue(site="blocks.0.attn.pattern", at={"H": 0})
    one = np.zeros((4, 4), np.float32)
    assert head_map(Answer({}, {"values": one}), 7) is one


def test_the_row_of_a_token_is_listed_from_the_largest_share_down(shown: OnScreen[Attention]) -> None:
    panel = shown.panel
    shown.select(query=4)
    row = np.sort(panel.heatmap.image_values()[4])[::-1]
    listed = [bar.value for bar in panel.row.bars()]
    np.testing.assert_array_equal(listed, row[row > 0])
    panel.row.clicked.emit(0)
    assert shown.session.selection.query == 4
    assert shown.session.selection.key == int(panel.heatmap.image_values()[4].argmax())


# The words


def test_a_cell_says_who_attends_how_much_to_whom() -> None:
    assert cell_sentence("pattern", 0.621, SIDES, 2, 0) == "“·saw” attends 62.1 % to “The”"
    assert cell_sentence("pattern", 1.0, SIDES, 0, 0) == "“The” attends 100.0 % to itself"
    assert cell_sentence("pattern", 0.25, SIDES, 0, 2) == "“The” attends 25.0 % to “·saw”, which comes later"
    assert cell_sentence("scores", 3.214, SIDES, 2, 0) == "“·saw” · “The”: score 3.214"
    hidden = cell_sentence("masked", -np.inf, SIDES, 0, 2)
    assert hidden == "“The” · “·saw”, which comes later: hidden by the mask"
    assert "not a number" in cell_sentence("pattern", np.nan, SIDES, 2, 0)


def test_a_token_that_stands_twice_is_named_with_its_place() -> None:
    assert token_name(LABELS, 1) == "“·cat” (1)"
    assert token_name(LABELS, 2) == "“·saw”"


def test_the_title_says_which_heads_share_keys_and_values(shown: OnScreen[Attention]) -> None:
    assert sharing(0, 6, 2) == "shares key/value head 0 with heads 1, 2"
    assert sharing(3, 4, 2) == "shares key/value head 1 with head 2"
    assert sharing(3, 4, 1) == "all heads share one key/value head"
    assert sharing(3, 4, 4) == ""
    shown.select(layer=1, head=3)
    title = shown.panel._title.text()
    assert "layer 1 · head 3" in title
    assert sharing(3, LLAMA.heads, LLAMA.kv_heads) in title


def test_a_token_pointed_at_elsewhere_is_read_here(shown: OnScreen[Attention]) -> None:
    panel = shown.panel
    shown.session.hover(3, 1)
    value = float(panel.heatmap.image_values()[3, 1])
    labels = [text.replace(" ", "·") for text in shown.session.run["strings"]]
    assert panel.heatmap.readout() == cell_sentence("pattern", value, Sides(labels, labels), 3, 1)
    shown.session.hover(None)
    assert "Point at a cell" in panel.heatmap.readout()


# The pointer and the keys


def test_a_click_locks_a_cell_and_a_second_click_or_escape_unlocks_it(shown: OnScreen[Attention]) -> None:
    panel, selection = shown.panel, shown.session
    panel.heatmap.clicked.emit(3, 1)
    assert (selection.selection.query, selection.selection.key) == (3, 1)
    panel.heatmap.clicked.emit(3, 1)
    assert (selection.selection.query, selection.selection.key) == (None, None)
    panel.heatmap.clicked.emit(2, 0)
    shown.qtbot.keyClick(panel.heatmap, Qt.Key.Key_Escape)
    assert (selection.selection.query, selection.selection.key) == (None, None)


@pytest.mark.parametrize("view", ["heatmap", "grid"])
def test_arrows_walk_heads_and_layers_wherever_the_keyboard_is(shown: OnScreen[Attention], view: str) -> None:
    widget = getattr(shown.panel, view)
    for key, expected in (
        (Qt.Key.Key_Right, (0, 1)),
        (Qt.Key.Key_Down, (1, 1)),
        (Qt.Key.Key_Left, (1, 0)),
        (Qt.Key.Key_Left, (1, 0)),
        (Qt.Key.Key_Up, (0, 0)),
    ):
        shown.qtbot.keyClick(widget, key)
        shown.settle()
        assert (shown.session.selection.layer, shown.session.selection.head) == expected


def test_arrows_with_shift_walk_the_locked_cell(shown: OnScreen[Attention]) -> None:
    shown.select(query=3, key=1)
    shown.qtbot.keyClick(shown.panel.heatmap, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert (shown.session.selection.query, shown.session.selection.key) == (4, 1)
    assert shown.session.selection.layer == 0


def test_a_click_on_a_thumbnail_selects_and_a_double_click_leaves_it_alone_on_the_screen(
    shown: OnScreen[Attention],
) -> None:
    panel = shown.panel
    place = panel.grid.map_rect(2, 1).center().toPoint()
    shown.qtbot.mouseClick(panel.grid, Qt.MouseButton.LeftButton, pos=place)
    assert (shown.session.selection.layer, shown.session.selection.head) == (2, 1)
    shown.qtbot.mouseDClick(panel.grid, Qt.MouseButton.LeftButton, pos=place)
    assert not panel.grid.isVisible()
    panel.heatmap.clicked.emit(1, 1)
    panel.heatmap.double_clicked.emit(1, 1)
    assert panel.grid.isVisible()
    assert shown.session.selection.query is None


def test_the_panel_follows_the_stepper_to_a_stage_and_lets_the_person_choose_another(
    shown: OnScreen[Attention],
) -> None:
    panel = shown.panel
    shown.session.go_to("blocks.2.attn.masked")
    shown.settle()
    assert panel.word == "masked"
    button = next(b for b in panel._stages.buttons() if b.property("word") == "scores")
    shown.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    shown.settle()
    assert panel.word == "scores"
    assert SiteValue(site="blocks.2.attn.scores") in shown.answered


# Edits


def test_the_buttons_edit_the_focused_head_and_show_what_is_in_force(shown: OnScreen[Attention]) -> None:
    panel = shown.panel
    shown.select(layer=1, head=3)
    shown.qtbot.mouseClick(panel._mask_off, Qt.MouseButton.LeftButton)
    shown.qtbot.mouseClick(panel._ablate, Qt.MouseButton.LeftButton)
    shown.settle()
    assert shown.session.scene.edits == ("mask off L1H3", "ablate L1H3")
    assert panel._mask_off.isChecked()
    assert panel._ablate.isChecked()
    assert panel.grid.describe(1, 3) == "layer 1, head 3: ablated, mask off"
    shown.select(head=0)
    assert not panel._mask_off.isChecked()
    shown.change(edits=("mask off L1",))
    assert panel._mask_off.isChecked()
    assert not panel._mask_off.isEnabled()
    assert "mask off L1" in panel._mask_off.toolTip()


def test_edited_heads_are_marked_and_a_mask_that_is_off_everywhere_marks_none() -> None:
    kind = replace(ONE_KIND, layers=2, heads=2)
    signs, notes = head_marks([MaskOff(1), AblateHead(0, 1)], kind)
    assert signs == {(0, 1): "✕", (1, 0): "M", (1, 1): "M"}
    assert notes[0, 1] == "ablated"
    signs, notes = head_marks([MaskOff()], kind)
    assert signs == {}
    assert len(notes) == 4
    assert mask_is_off([MaskOff(1, 0)], 1, 0)
    assert not mask_is_off([MaskOff(1, 0), AblateHead(1, 1)], 1, 1)


def test_scores_are_shown_on_a_scale_for_each_head_and_the_title_says_so(shown: OnScreen[Attention]) -> None:
    panel = shown.panel
    assert panel.overview.title.text() == "One scale: 0 to 1"
    panel._choose_stage(next(b for b in panel._stages.buttons() if b.property("word") == "masked"))
    shown.settle()
    overview = shown.session.answer(overview_query("masked", shown.session.kinds[0]))
    assert overview is not None
    reach = np.abs(np.where(np.isfinite(overview["maps"]), overview["maps"], 0)).max((2, 3))
    least, most = (short_number(float(value)) for value in (reach.min(), reach.max()))
    assert panel.overview.title.text() == f"Own scales: ±{least} to ±{most}"
    far = short_number(float(reach[1, 2]))
    assert panel.grid.describe(1, 2) == f"layer 1, head 2, colours from −{far} to {far}"
