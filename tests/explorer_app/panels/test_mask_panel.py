"""The mask panel: the mask as the model used it, its switch, and what switching it changed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from safetensors.numpy import load_file

from explorer_app.panels import mask as mask_panel
from explorer_app.panels import next_token
from explorer_app.panels.mask import Mask
from explorer_app.panels.mask.changes import (
    compared_side,
    most_changed,
    moved_attention,
    token_changes,
    what_changed,
)
from explorer_app.panels.mask.switching import causal_state, switched, wider_edit
from explorer_app.panels.mask.words import cell_sentence, cells_words
from explorer_app.words.attention_text import Sides
from model_core.api.edits import MaskOff
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.values import HeadMaps
from model_core.cli import __main__ as cli
from tests.support.window.local_engine import LLAMA
from tests.support.window.panel_on_screen import PROMPT, OnScreen, on_screen

pytestmark = pytest.mark.unit

LAYERS, HEADS = LLAMA.layers, LLAMA.heads
KIND = AttentionKind("", LAYERS, HEADS, LLAMA.kv_heads, LLAMA.head_dim)
ON, OFF, PARTLY = Qt.CheckState.Checked, Qt.CheckState.Unchecked, Qt.CheckState.PartiallyChecked


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Mask]]:
    with on_screen(qtbot, Mask, model) as shown:
        yield shown


# The mask


def test_the_mask_drawn_is_the_one_the_model_used(shown: OnScreen[Mask], model: str, tmp_path: Path) -> None:
    out = tmp_path / "run.safetensors"
    site = "blocks.1.attn.mask"
    edit = "mask off L1H2"
    arguments = [
        "trace",
        "--model",
        model,
        "--prompt",
        PROMPT,
        "--sites",
        site,
        "--edit",
        edit,
        "--out",
        str(out),
    ]
    assert cli.main(arguments) == 0
    traced = load_file(out)[site]
    shown.change(edits=(edit,))
    for head, hidden in ((0, True), (2, False)):
        shown.select(layer=1, head=head)
        drawn = shown.panel.heatmap.image_values()
        wanted = traced.reshape(HEADS, *drawn.shape)[head]
        np.testing.assert_array_equal(drawn, np.where(np.isneginf(wanted), np.nan, wanted))
        assert np.isnan(drawn).any() == hidden


def test_a_cell_says_who_may_look_at_whom() -> None:
    labels = Sides(["The", "·cat", "·sat"], ["The", "·cat", "·sat"])
    assert cell_sentence(True, labels, 1, 0) == "“·cat” may look at “The”"
    assert cell_sentence(True, labels, 1, 1) == "“·cat” may look at itself"
    assert cell_sentence(False, labels, 1, 2) == "“·cat” may not look at “·sat”, which comes later"


def test_the_allowed_cells_are_counted() -> None:
    causal = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    assert cells_words(causal) == "10 of 16 cells allowed, the hatched ones hidden"
    assert cells_words(np.zeros((4, 4), np.float32)) == "all 16 cells allowed"


# The switch

scopes = st.one_of(
    st.builds(MaskOff),
    st.builds(MaskOff, st.integers(0, LAYERS - 1)),
    st.builds(MaskOff, st.integers(0, LAYERS - 1), st.integers(0, HEADS - 1)),
)
some_edits = st.lists(scopes.map(str) | st.just("ablate L1H1"), unique=True).map(tuple)


@given(some_edits, scopes)
def test_switching_off_takes_the_mask_from_the_whole_scope_and_changes_nothing_else(
    edits: tuple[str, ...], scope: MaskOff
) -> None:
    after = switched(edits, scope, on=False)
    assert causal_state(after, scope, KIND) == OFF
    assert ("ablate L1H1" in after) == ("ablate L1H1" in edits)
    for layer, head in np.ndindex(LAYERS, HEADS):
        if scope.layer not in (None, layer) or scope.head not in (None, head):
            one = MaskOff(layer, head)
            assert causal_state(after, one, KIND) == causal_state(edits, one, KIND)


@given(some_edits, scopes)
def test_switching_on_brings_the_mask_back_unless_a_wider_edit_decides(
    edits: tuple[str, ...], scope: MaskOff
) -> None:
    after = switched(edits, scope, on=True)
    state = causal_state(after, scope, KIND)
    assert state == (ON if wider_edit(edits, scope) is None else OFF)
    assert ("ablate L1H1" in after) == ("ablate L1H1" in edits)


def test_a_scope_with_some_heads_unmasked_is_partly_on() -> None:
    assert causal_state(("mask off L1H2",), MaskOff(1), KIND) == PARTLY
    assert causal_state(("mask off L1",), MaskOff(), KIND) == PARTLY
    assert causal_state(("mask off L1",), MaskOff(1, 2), KIND) == OFF
    assert causal_state(("not an edit",), MaskOff(), KIND) == ON


def test_the_switches_edit_their_scope_and_say_when_another_edit_decides(shown: OnScreen[Mask]) -> None:
    panel = shown.panel
    shown.select(layer=1, head=2)
    everywhere, layer, head = panel.switches
    head.click()
    shown.settle()
    assert shown.session.scene.edits == ("mask off L1H2",)
    assert [s.checkState() for s in panel.switches] == [PARTLY, PARTLY, OFF]
    layer.click()
    shown.settle()
    assert [s.checkState() for s in panel.switches] == [ON, ON, ON]
    everywhere.click()
    shown.settle()
    assert shown.session.scene.edits == ("mask off",)
    assert [s.isEnabled() for s in panel.switches] == [True, False, False]
    assert "mask off" in head.toolTip()
    assert panel.in_force.text() == f"Off in {LAYERS * HEADS} of {LAYERS * HEADS} heads, by “mask off”."


# What it changed


def test_before_any_switch_the_panel_says_what_will_be_listed(shown: OnScreen[Mask]) -> None:
    panel = shown.panel
    assert "Turn a switch" in panel.changed.text()
    assert not panel.bars.isVisible()
    assert not panel.heads.isVisible()


def test_after_a_switch_the_tokens_and_the_heads_that_changed_are_listed(shown: OnScreen[Mask]) -> None:
    panel = shown.panel
    before = shown.session.answer(mask_panel.NEXT_TOKEN)
    patterns = shown.session.answer(HeadMaps(word="pattern", stack="", side=48))
    shown.change(edits=("mask off",))
    now = shown.session.answer(mask_panel.NEXT_TOKEN)
    assert panel.changed_title.text() == "<b>What “mask off” changed</b>"
    assert panel.changed.text().startswith("Most changed: ")
    assert [bar.value for bar in panel.bars.bars()] == [float(p) for p in now["probabilities"]]
    for bar, id in zip(panel.bars.bars(), now["ids"], strict=True):
        known = id in before["ids"]
        assert bar.before == (float(before["probabilities"][before["ids"].index(id)]) if known else None)
    unmasked = shown.session.answer(HeadMaps(word="pattern", stack="", side=48))
    moved = np.abs(patterns["maps"] - unmasked["maps"]).sum(-1).mean(-1) / 2
    shares = [bar.value for bar in panel.heads.bars()]
    assert shares == sorted(shares, reverse=True)
    assert shares == pytest.approx(np.sort(moved.ravel())[::-1], abs=1e-6)
    panel.heads.clicked.emit(0)
    selection = shown.session.selection
    assert moved[selection.layer, selection.head] == moved.max()


def test_taking_an_edit_back_is_compared_as_well(shown: OnScreen[Mask]) -> None:
    shown.change(edits=("mask off L0", "mask off L1"))
    shown.change(edits=("mask off L1",))
    assert shown.panel.changed_title.text() == "<b>What taking back “mask off L0” changed</b>"
    assert what_changed(("mask off",), ("mask off L1",)) == "What the last change of the edits did"


def test_once_no_edit_is_left_nothing_is_compared(shown: OnScreen[Mask]) -> None:
    shown.change(edits=("mask off L0",))
    assert shown.panel.bars.isVisible()
    shown.change(edits=())
    assert not shown.panel.bars.isVisible()
    assert "What a switch changes" in shown.panel.changed_title.text()


def test_another_prompt_is_not_compared(shown: OnScreen[Mask]) -> None:
    shown.change(edits=("mask off",))
    shown.change(prompt="The dog")
    assert "Turn a switch" in shown.panel.changed.text()


def test_a_prompt_too_long_to_compare_every_head_says_so(
    qtbot: QtBot, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer_app.panels.mask.changes.COMPARED_CELLS", 5 * 5 * LAYERS * HEADS)
    assert compared_side(KIND) == 5
    with on_screen(qtbot, Mask, model) as shown:
        shown.change(edits=("mask off",))
        assert "too long to compare" in shown.panel.heads_title.text()
        assert not shown.panel.heads.isVisible()
        assert shown.panel.bars.isVisible()


def test_attention_that_stays_moves_nothing_and_attention_that_goes_elsewhere_moves_all_of_it() -> None:
    left, right = np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 1, 2, 2), np.float32)
    left[..., 0], right[..., 1] = 1, 1
    assert moved_attention(left, left)[0, 0] == 0
    assert moved_attention(left, right)[0, 0] == 1


def next_tokens(**shares: float) -> Answer:
    ids = [ord(text[0]) for text in shares]
    return Answer({"ids": ids, "strings": list(shares)}, {"probabilities": np.array(list(shares.values()))})


def test_the_most_changed_token_is_named_with_both_probabilities() -> None:
    before, now = next_tokens(a=0.5, b=0.12, c=0.1), next_tokens(a=0.5, b=0.31, c=0.1)
    changes = token_changes(before, now)
    assert most_changed(changes, 0.1, 0.1) == "Most changed: “b” 12.0 % → 31.0 %"
    assert [change.climbed for change in changes] == [0, 0, 0]
    same = token_changes(before, before)
    assert "exactly as they were" in most_changed(same, 0.1, 0.1)


def test_a_token_that_enters_or_leaves_the_list_is_bounded_by_the_least_one_listed() -> None:
    before, now = next_tokens(a=0.8, b=0.1), next_tokens(b=0.7, c=0.15)
    changes = token_changes(before, now)
    assert [(change.text, change.climbed) for change in changes] == [("b", 1), ("c", None), ("a", None)]
    assert most_changed(changes, 0.1, 0.15) == "Most changed: “a” 80.0 % → under 15.0 %"


def test_the_comparison_reads_the_answer_that_the_next_token_panel_asks_for() -> None:
    assert mask_panel.NEXT_TOKEN == next_token.NEXT


def test_a_click_locks_a_cell_and_escape_unlocks_it(shown: OnScreen[Mask]) -> None:
    panel = shown.panel
    panel.heatmap.clicked.emit(3, 1)
    assert (shown.session.selection.query, shown.session.selection.key) == (3, 1)
    shown.qtbot.keyClick(panel.heatmap, Qt.Key.Key_Escape)
    assert shown.session.selection.query is None
