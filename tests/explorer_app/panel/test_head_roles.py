"""Heads coloured and sorted by a role: the scores are the engine's, and every head is still the head it was."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app.panel.head_roles import ROLES, arranged, ranked, score_words
from explorer_app.panels.attention import Attention
from model_core.api import role_list
from model_core.api.names import AttentionKind
from model_core.api.queries.heads import HeadRoles
from tests.support.models.tiny import save
from tests.support.window.panel_on_screen import OnScreen, on_screen
from tests.support.window.walk import read

pytestmark = pytest.mark.unit

NAN = float("nan")


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Attention]]:
    with on_screen(qtbot, Attention, model) as shown:
        yield shown


def choose(shown: OnScreen[Attention], role: str, on: str = "prompt") -> None:
    bar = shown.panel.roles
    bar.on.setCurrentIndex(bar.on.findData(on))
    bar.role.setCurrentIndex(bar.role.findData(role))
    bar.role.activated.emit(bar.role.currentIndex())
    shown.settle()


def scores(shown: OnScreen[Attention], role: str, on: str = "prompt") -> np.ndarray:
    answer = shown.session.answer(HeadRoles(on=on, stack=""))
    assert answer is not None
    found: np.ndarray = answer[role]
    return found


def test_heads_are_ranked_by_score_and_those_without_one_come_last() -> None:
    found = np.array([[0.2, NAN], [0.9, 0.2]], np.float32)
    assert ranked(found) == [(1, 0), (0, 0), (1, 1), (0, 1)]
    assert arranged(found[:, :, None], ranked(found))[:, :, 0].tolist()[0] == found[[1, 0], [0, 0]].tolist()


def test_scores_are_short_and_never_round_up_to_one_from_below() -> None:
    assert [score_words(score) for score in (0.0, 0.004, 0.93, 0.994, 0.999, 1.0, NAN)] == [
        ".00", ".00", ".93", ".99", "1", "1", "–",
    ]  # fmt: skip


def test_every_role_of_the_engine_can_be_chosen() -> None:
    assert set(ROLES) == {role.name for role in role_list.ROLES}


@pytest.mark.parametrize("on", ["prompt", "probe"])
@pytest.mark.parametrize("role", ROLES)
def test_the_overview_says_the_score_of_each_head(shown: OnScreen[Attention], role: str, on: str) -> None:
    choose(shown, role, on)
    found = scores(shown, role, on)
    for cell, score in np.ndenumerate(found):
        assert shown.panel.grid.describe(*cell).endswith(f" {score_words(float(score))}")
    about = shown.panel.roles.about.text()
    described = next(one for one in role_list.ROLES if one.name == role)
    assert read(about) == f"{described.about} {described.source}"
    assert f'<a href="{described.link}">' in about


def test_no_role_asks_for_nothing_and_shows_the_maps_alone(shown: OnScreen[Attention]) -> None:
    assert not any(asked.kind == "roles" for asked in shown.answered)
    assert shown.panel.grid.describe(0, 1) == "layer 0, head 1"
    choose(shown, "local")
    choose(shown, "")
    assert shown.panel.grid.describe(0, 1) == "layer 0, head 1"


@pytest.mark.process
def test_sorted_heads_are_the_same_heads_in_another_place(shown: OnScreen[Attention]) -> None:
    panel = shown.panel
    choose(shown, "first")
    plain = panel.grid._maps.copy()
    panel.roles.sort.click()
    shown.settle()
    order, across = ranked(scores(shown, "first")), plain.shape[1]
    for place, (layer, head) in enumerate(order):
        row, col = divmod(place, across)
        np.testing.assert_array_equal(panel.grid._maps[row, col], plain[layer, head])
        assert panel.grid.describe(row, col).startswith(f"L{layer}H{head}: ")
        panel.grid.clicked.emit(row, col)
        shown.settle()
        assert (shown.session.selection.layer, shown.session.selection.head) == (layer, head)
        assert panel.grid._focus == (row, col)


@pytest.mark.parametrize("view", ["grid", "heatmap"])
def test_arrows_walk_sorted_heads_in_their_order_wherever_the_keyboard_is(
    shown: OnScreen[Attention], view: str
) -> None:
    panel, selection = shown.panel, lambda: (shown.session.selection.layer, shown.session.selection.head)
    choose(shown, "first")
    panel.roles.sort.click()
    shown.settle()
    order = ranked(scores(shown, "first"))
    shown.select(layer=order[0][0], head=order[0][1])
    for key, place in ((Qt.Key.Key_Right, 1), (Qt.Key.Key_Down, 5), (Qt.Key.Key_Left, 4), (Qt.Key.Key_Up, 0)):
        shown.qtbot.keyClick(getattr(panel, view), key)
        shown.settle()
        assert selection() == order[place]
    shown.qtbot.keyClick(getattr(panel, view), Qt.Key.Key_Up)
    assert selection() == order[0]


def test_marks_of_edits_stay_with_their_heads(shown: OnScreen[Attention]) -> None:
    choose(shown, "uniform")
    shown.panel.roles.sort.click()
    shown.change(edits=("ablate L1H2",))
    place = ranked(scores(shown, "uniform")).index((1, 2))
    assert shown.panel.grid._marks == {divmod(place, 4): "✕"}


@pytest.mark.process
def test_across_two_texts_only_roles_that_make_sense_are_offered(qtbot: QtBot, tmp_path: Path) -> None:
    with on_screen(qtbot, Attention, save(tmp_path, "seq2seq"), "The cat saw the cat") as shown:
        bar = shown.panel.roles
        shown.select(stack="cross")
        assert [bar.role.itemData(n) for n in range(bar.role.count())] == [
            "",
            "duplicate",
            "first",
            "uniform",
        ]
        choose(shown, "duplicate")
        assert not bar.on.isVisible()
        answer = shown.session.answer(HeadRoles(on="prompt", stack="cross"))
        assert answer is not None
        assert answer["duplicate"].shape == (3, 4)
        shown.select(stack="decoder")
        assert bar.name == "duplicate"
        assert bar.role.count() == len(ROLES) + 1


@pytest.mark.process
def test_what_was_chosen_returns_with_a_model_that_it_can_be_asked_of(
    shown: OnScreen[Attention], tmp_path: Path, model: str
) -> None:
    bar, two_stacks = shown.panel.roles, save(tmp_path, "seq2seq")
    choose(shown, "induction", "probe")
    shown.change(model=two_stacks)
    assert shown.session.message == ""
    assert shown.session.answer(HeadRoles(on="prompt", stack="encoder")) is not None
    shown.select(stack="cross")
    assert bar.name == ""
    shown.change(model=model)
    assert (bar.name, bar.on.currentData()) == ("induction", "probe")
    assert bar.on.isVisible()
    assert shown.session.message == ""


def test_the_kind_of_one_text_has_all_roles() -> None:
    kind = AttentionKind("", layers=1, heads=1, kv_heads=1, head_dim=1)
    assert [role.name for role in role_list.roles_of(kind)] == list(ROLES)
