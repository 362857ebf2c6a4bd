"""The position panel shows the rotation, or the table, that the model really used."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app.panels.position import POSITIONS, Position
from explorer_app.panels.position.turning import angle_words, pairs_of, score_by_distance
from explorer_app.state.store import RUN
from model_core.api.queries.answer import Answer
from model_core.sources.presets import open_model
from model_core.taps.tap import record
from tests.support.window.local_engine import GPT2, LLAMA, QWEN3, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat because it was tired."


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Position]]:
    with on_screen(qtbot, Position, model, PROMPT) as shown:
        yield shown


def recorded(model: str, *sites: str) -> list[torch.Tensor]:
    """The values at some sites, of a plain recorded pass."""
    loaded = open_model(model)
    with torch.inference_mode(), record(loaded.model, list(sites)) as trace:
        loaded.model(torch.tensor([loaded.tokenizer.encode(PROMPT)]))
    return [trace[site] for site in sites]


def test_the_angles_drawn_are_position_times_frequency_within_a_turn(shown: OnScreen[Position]) -> None:
    panel, session = shown.panel, shown.session
    assert panel.pages.currentWidget() is panel.rotary
    assert session.run is not None
    positions = np.arange(len(session.run["tokens"]), dtype=np.float32)[:, None]
    pairs = np.arange(LLAMA.head_dim // 2, dtype=np.float32)
    angles = positions * LLAMA.theta ** (-2 * pairs / LLAMA.head_dim)
    drawn = panel.rotary.angles.image_values()
    np.testing.assert_allclose(drawn, angles % (2 * math.pi), rtol=1e-5, atol=1e-5)
    assert panel.rotary.angles.painted_limits() == pytest.approx((0.0, 2 * math.pi))


@pytest.mark.process
def test_each_dial_shows_q_and_k_before_and_after_the_turn(shown: OnScreen[Position], model: str) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.select(layer=2, head=3, query=5, key=2)
    settle()
    q, q_rot, k, k_rot = recorded(model, *(f"blocks.2.attn.{word}" for word in ("q", "q_rot", "k", "k_rot")))
    query, key = panel.rotary.dials.hands()
    group = 3 // (LLAMA.heads // LLAMA.kv_heads)
    for hand, value in (
        (query.before, q[0, 3, 5]),
        (query.after, q_rot[0, 3, 5]),
        (key.before, k[0, group, 2]),
        (key.after, k_rot[0, group, 2]),
    ):
        np.testing.assert_array_equal(hand, pairs_of(value.numpy()))
    assert (query.role, key.role) == ("query", "key")
    turned = query.before * np.exp(1j * 5 * LLAMA.theta ** (-2 * np.arange(6) / LLAMA.head_dim))
    np.testing.assert_allclose(query.after, turned, rtol=1e-5, atol=1e-6)
    assert panel.rotary.numbers.text(0, 2) == f"{query.before[0].real:.6g}"


@pytest.mark.process
def test_the_score_by_distance_passes_through_the_score_of_the_run(
    shown: OnScreen[Position], model: str
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    (scores,) = recorded(model, "blocks.1.attn.scores")
    for t, s in ((7, 2), (4, 4), (2, 6)):
        session.select(layer=1, head=1, query=t, key=s)
        settle()
        drawn = panel.rotary.scores.drawn_values("score")
        first = min(0, t - s)
        assert drawn[t - s - first] == pytest.approx(float(scores[0, 1, t, s]), rel=1e-4, abs=1e-5)


def test_a_learned_table_is_shown_as_rows_and_cosines(qtbot: QtBot, tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path, GPT2)
    with on_screen(qtbot, Position, model, PROMPT) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        assert panel.pages.currentWidget() is panel.table
        session.select(query=3)
        settle()
        table = open_model(model).model.pos.weight.detach()[: len(session.run["tokens"])]
        np.testing.assert_array_equal(panel.table.rows.image_values(), table.numpy())
        limit = float(table.abs().max())
        assert panel.table.rows.painted_limits() == pytest.approx((-limit, limit))
        np.testing.assert_array_equal(panel.table.row.drawn_values("position 3"), table[3].numpy())
        cosines = torch.nn.functional.cosine_similarity(table[:, None], table[None], dim=-1)
        np.testing.assert_allclose(panel.table.cosines.image_values(), cosines, atol=1e-5)
        assert panel.table.cosines.image_values().max() <= 1


def test_a_model_without_positions_is_said_to_have_none(shown: OnScreen[Position]) -> None:
    panel, session = shown.panel, shown.session
    assert session.run is not None
    panel.draw({RUN: session.run, POSITIONS: Answer({"kind": "none"})})
    assert panel.pages.currentWidget() is panel.none
    assert "nothing about positions" in panel.none.text()


@pytest.mark.process
def test_a_model_that_knows_positions_another_way_is_shown_its_own_way(qtbot: QtBot, tmp_path: Path) -> None:
    llama, gpt2 = tiny_checkpoint(tmp_path / "llama"), tiny_checkpoint(tmp_path / "gpt2", GPT2)
    with on_screen(qtbot, Position, llama, PROMPT) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        session.select(layer=2, head=3)
        settle()
        session.change(model=gpt2)
        settle()
        assert panel.pages.currentWidget() is panel.table
        assert session.message == ""
        session.change(model=llama)
        settle()
        assert panel.pages.currentWidget() is panel.rotary
        assert session.message == ""


def test_hover_says_pair_angle_and_wavelength() -> None:
    frequency = 2 * math.pi / 44.4
    said = angle_words(3, 7, 2.21 + 2 * math.pi, frequency)
    assert said == "pair 3 at position 7: 2.21 rad (127°), one turn every 44.4 tokens"


def test_scores_depend_on_the_distance_alone() -> None:
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(2, 8))
    frequencies = 10000.0 ** (-np.arange(4) / 4)
    scores = score_by_distance(q, k, frequencies, 0.5, np.array([0.0, 3.0]))
    assert scores[0] == pytest.approx(0.5 * q @ k)
    for start in (0, 11):
        turned_q = pairs_of(q) * np.exp(1j * (start + 3) * frequencies)
        turned_k = pairs_of(k) * np.exp(1j * start * frequencies)
        assert scores[1] == pytest.approx(0.5 * (turned_q * turned_k.conj()).real.sum())


@pytest.mark.process
def test_what_is_turned_is_the_norm_of_q_and_k_where_a_model_has_one(qtbot: QtBot, tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path, QWEN3)
    with on_screen(qtbot, Position, model, PROMPT) as shown:
        shown.session.select(layer=1, head=2, query=5, key=3)
        shown.settle()
        q_norm, k_norm = recorded(model, "blocks.1.attn.q_norm", "blocks.1.attn.k_norm")
        query, key = shown.panel.rotary.dials.hands()
        np.testing.assert_array_equal(query.before, pairs_of(q_norm[0, 2, 5].numpy()))
        np.testing.assert_array_equal(key.before, pairs_of(k_norm[0, 1, 3].numpy()))


@pytest.mark.process
def test_a_formula_that_frequencies_do_not_follow_says_so(qtbot: QtBot, tmp_path: Path) -> None:
    said = []
    for factor in (1.0, 8.0):
        config = dataclasses.replace(LLAMA, rope_factor=factor)
        with on_screen(qtbot, Position, tiny_checkpoint(tmp_path / str(factor), config), PROMPT) as shown:
            said.append(shown.panel.rotary.convention.text())
    assert ["slow pairs turn even slower" in text for text in said] == [False, True]


@pytest.mark.process
def test_both_conventions_are_asked_for_only_when_looked_at_and_agree(
    shown: OnScreen[Position], model: str
) -> None:
    panel, rotary = shown.panel, shown.panel.rotary
    asked = {query.kind for query in shown.answered}
    assert "rope_conventions" not in asked
    rotary.tabs.setCurrentWidget(rotary.conventions)
    shown.select(layer=1, head=2, query=6, key=3)
    (scores,) = recorded(model, "blocks.1.attn.scores")
    answer = shown.session.answer(panel.conventions())
    assert answer is not None
    assert answer["run"] == float(scores[0, 2, 6, 3])
    assert answer["pairs"] == pytest.approx(answer["run"], rel=1e-5)
    assert answer["max_difference"] < 1e-12
    text = rotary.conventions.proof.text()
    assert f"{answer['pairs']:.16g}".replace("-", "−") in text
    assert f"{answer['max_difference']:.2g}" in text
    assert rotary.conventions.pairing.words(0).startswith("pair 0: 0 and 1 above, 0 and 6 below")


def test_the_columns_of_the_numbers_have_names_of_their_own(shown: OnScreen[Position]) -> None:
    shown.select(query=None, key=None)
    model = shown.panel.rotary.numbers.model()
    names = [str(model.headerData(n, Qt.Orientation.Horizontal)) for n in range(model.columnCount())]
    last = len(shown.session.run["tokens"]) - 1
    assert names[:2] == [f"q[{last}] θ", f"k[{last}] θ"]
    assert len(set(names)) == len(names)
