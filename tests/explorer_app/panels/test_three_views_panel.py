"""The linked views: three maps in line with each other, under one cursor."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from explorer_app.panels.three_views import ThreeViews, cell_sentence, column_sentence, shares, story
from explorer_app.state.focus import Cursor
from explorer_app.state.session import Session
from explorer_app.window.snapshot import settle
from explorer_app.words.attention_text import Sides
from model_core.api.scene import Scene
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from tests.support.models.tiny import HEADS, LAYERS, save
from tests.support.window.fake_run import one_text, two_texts
from tests.support.window.local_engine import LocalEngine
from tests.support.window.panel_on_screen import OnScreen, on_screen
from tests.support.window.pointer import point_at
from tests.support.window.window_on_screen import window_on_screen

pytestmark = pytest.mark.unit

SOURCE, TARGET = "The cat saw the dog and ran", "The dog saw"


@pytest.fixture(scope="module")
def two_stacks(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("models") / "seq2seq", "seq2seq")


@pytest.fixture
def shown(qtbot: QtBot, two_stacks: str) -> Iterator[OnScreen[ThreeViews]]:
    with on_screen(qtbot, ThreeViews, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        yield shown


@pytest.mark.process
def test_each_view_draws_what_the_model_computed(shown: OnScreen[ThreeViews], two_stacks: str) -> None:
    loaded = open_model(two_stacks)
    run = Run(loaded.model, loaded.tokenizer.encode(SOURCE), target=loaded.tokenizer.encode(TARGET))
    shown.select(layer=2, head=3)
    for name, site in (
        ("encoder", "encoder.blocks.2.attn"),
        ("decoder", "decoder.blocks.2.attn"),
        ("cross", "decoder.blocks.2.cross"),
    ):
        drawn = shown.panel.maps[name].image_values()
        np.testing.assert_allclose(drawn, run.value(f"{site}.pattern")[0, 3].numpy(), atol=1e-6)


def place(shown: OnScreen[ThreeViews], name: str, row: int, col: int) -> QPoint:
    heatmap = shown.panel.maps[name]
    return heatmap.mapTo(shown.panel, heatmap.cell_centre(row, col).toPoint())


@pytest.mark.parametrize("size", [(900, 600), (690, 560), (1400, 900)])
def test_columns_of_the_source_and_rows_of_the_target_stand_in_line(
    shown: OnScreen[ThreeViews], size: tuple[int, int]
) -> None:
    shown.panel.resize(*size)
    shown.qtbot.wait(30)
    source, target = (len(text["tokens"]) for text in shown.session.texts)
    for col in range(source):
        assert abs(place(shown, "encoder", 0, col).x() - place(shown, "cross", 0, col).x()) <= 1
    for row in range(target):
        assert abs(place(shown, "decoder", row, 0).y() - place(shown, "cross", row, 0).y()) <= 1


def lit(shown: OnScreen[ThreeViews]) -> dict[str, tuple[int | None, int | None]]:
    maps = shown.panel.maps.items()
    return {name: (heatmap._row_axis.lit(), heatmap._col_axis.lit()) for name, heatmap in maps}


def test_a_cell_under_the_pointer_lights_its_tokens_in_all_three(shown: OnScreen[ThreeViews]) -> None:
    cross = shown.panel.maps["cross"]
    point_at(cross, cross.cell_centre(2, 5))
    assert shown.session.pointed == Cursor(2, 5, "cross")
    assert lit(shown) == {"cross": (2, 5), "encoder": (5, 5), "decoder": (2, 2)}
    assert "of the target attends" in shown.panel.told.text()
    shown.session.hover(1, 3, "encoder")
    cross._leave()
    shown.session.hover(1, 3, "encoder")
    assert lit(shown) == {"cross": (None, 3), "encoder": (1, 3), "decoder": (None, None)}


def test_a_token_pointed_at_in_a_strip_is_lit_wherever_it_is_read(shown: OnScreen[ThreeViews]) -> None:
    shown.session.hover_token(0, 4)
    assert lit(shown) == {"encoder": (4, None), "cross": (None, 4), "decoder": (None, None)}
    shown.session.hover_token(1, 2)
    assert lit(shown) == {"encoder": (None, None), "cross": (2, None), "decoder": (2, None)}


def test_a_click_locks_the_cell_and_focuses_its_attention(shown: OnScreen[ThreeViews]) -> None:
    panel, session = shown.panel, shown.session
    panel.maps["cross"].clicked.emit(2, 5)
    shown.settle()
    assert session.selection.cursor == Cursor(2, 5, "cross")
    assert panel.titles["cross"].text().startswith("<b>")
    panel.maps["decoder"].clicked.emit(2, 1)
    shown.settle()
    assert session.selection.cursor == Cursor(2, 1, "decoder")
    assert panel.maps["cross"].cursor_cell() == (2, None)
    panel.maps["decoder"].clicked.emit(2, 1)
    assert session.selection.cursor == Cursor(None, None, "decoder")
    panel.maps["decoder"].clicked.emit(2, 1)
    shown.qtbot.keyClick(panel, Qt.Key.Key_Escape)
    assert session.selection.query is None


def test_layer_and_head_follow_the_selection_and_lead_it(shown: OnScreen[ThreeViews]) -> None:
    shown.select(layer=2, head=1)
    assert (shown.panel.layer.value(), shown.panel.head.value()) == (2, 1)
    assert (shown.panel.layer.maximum(), shown.panel.head.maximum()) == (LAYERS - 1, HEADS - 1)
    shown.panel.head.setValue(3)
    shown.settle()
    assert shown.session.selection.head == 3
    assert "L2 H3" in shown.panel.titles["encoder"].text()


def test_without_a_cursor_the_views_explain_themselves(shown: OnScreen[ThreeViews]) -> None:
    assert "cross-attention lets each target token look at the source" in shown.panel.told.text()


# In words

TOKENS = {
    "encoder": Sides(["a", "b"], ["a", "b"]),
    "decoder": Sides(["x", "y", "z"], ["x", "y", "z"]),
    "cross": Sides(["x", "y", "z"], ["a", "b"], same=False),
}
MAPS = {
    "encoder": np.array([[0.5, 0.5], [0.75, 0.25]], np.float32),
    "decoder": np.array([[1, 0, 0], [0.25, 0.75, 0], [0.5, 0.25, 0.25]], np.float32),
    "cross": np.array([[0.1, 0.9], [0.5, 0.5], [0.8, 0.2]], np.float32),
}


def test_the_cell_pointed_at_is_told_first_and_then_what_its_tokens_look_at() -> None:
    places = {"encoder": (1, 1), "decoder": (2, 2), "cross": (2, 1)}
    assert story("cross", places, MAPS, TOKENS) == [
        ("cross", "“z” of the target attends 20.0 % to “b” of the source"),
        ("encoder", "“b” looks in the source at “a” 75.0 %, “b” 25.0 %"),
        ("decoder", "“z” looks back in the target at “x” 50.0 %, “y” 25.0 %, “z” 25.0 %"),
    ]


def test_of_a_cell_in_the_encoder_it_is_told_who_of_the_target_looks_at_its_token() -> None:
    places = {"encoder": (0, 1), "decoder": (None, None), "cross": (None, 1)}
    assert story("encoder", places, MAPS, TOKENS) == [
        ("encoder", "In the source “a” attends 50.0 % to “b”, which comes later"),
        ("cross", "“b” is looked at by “x” 90.0 %, “y” 50.0 %, “z” 20.0 %"),
    ]


def test_keys_that_get_nothing_are_not_listed() -> None:
    assert (
        column_sentence(np.array([[0.0], [0.5]]), Sides(["x", "y"], ["a"], False), 0)
        == "“a” is looked at by “y” 50.0 %"
    )
    assert (
        cell_sentence("decoder", 1.0, TOKENS["decoder"], 0, 0)
        == "In the target “x” attends 100.0 % to itself"
    )


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_both_texts_have_room_and_the_longer_one_has_no_less(source: int, target: int) -> None:
    first, second = shares(source, target)
    assert first + second in (999, 1000, 1001)
    assert min(first, second) >= 380
    assert (first >= second) == (source >= target) or first == second


# In the window


def test_the_panel_is_for_models_with_several_kinds_of_attention() -> None:
    assert not ThreeViews.applies(None)
    assert not ThreeViews.applies(one_text())
    assert ThreeViews.applies(two_texts())


@pytest.mark.process
def test_the_tab_is_there_only_while_the_model_on_screen_has_several_kinds_of_attention(
    qtbot: QtBot, model: str, two_stacks: str
) -> None:
    with window_on_screen(model, SOURCE) as window:
        dock = window.docks["three_views"]
        assert dock.isHidden()
        assert not dock.view_action.isVisible()
        window.session.change(model=two_stacks)
        settle(window.client)
        assert not dock.isHidden()
        assert dock.view_action.isVisible()
        assert window.docks["attention"].panel.seen
        dock.raise_()
        settle(window.client)
        assert window.docks["three_views"].panel.seen
        window.arrange()
        assert not dock.isHidden()
        window.session.change(model=model)
        settle(window.client)
        assert dock.isHidden()
        window.arrange()
        assert dock.isHidden()


@pytest.mark.process
def test_a_tab_that_was_closed_stays_closed(qtbot: QtBot, two_stacks: str) -> None:
    with window_on_screen(two_stacks, SOURCE) as window:
        dock = window.docks["three_views"]
        dock.close()
        window.session.change(prompt=SOURCE + " home")
        settle(window.client)
        assert dock.isHidden()
        assert dock.view_action.isVisible()


@pytest.mark.process
def test_a_picture_of_the_panel_alone(qtbot: QtBot, two_stacks: str, tmp_path: Path) -> None:
    from PySide6.QtCore import QSize

    from explorer_app.window import snapshot

    session = Session(Scene(two_stacks, SOURCE, TARGET))
    out = tmp_path / "views.png"
    snapshot.render(session, out, QSize(700, 560), "three_views", "cross", 1, 2, connect=LocalEngine)
    assert out.stat().st_size > 1000
