"""The model graph: a click moves the session, the present step is lit and in sight, blocks fold and unfold."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.graph.view import GraphView
from explorer_app.panel.base import Answers
from explorer_app.panels import graph as graph_panel
from explorer_app.panels.graph import GRAPH, ModelGraph
from model_core.runs.run import sites
from model_core.sources.presets import open_model
from tests.support.window.local_engine import GPT2, LLAMA, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen
from tests.support.window.pointer import turn_wheel

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat."
COLUMN = (290, 620)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[ModelGraph]]:
    with on_screen(qtbot, ModelGraph, model, PROMPT, size=COLUMN) as shown:
        yield shown


def kinds(view: GraphView) -> dict[str, str]:
    return {box.path: box.kind for box in view.boxes()}


def press(view: GraphView, path: str) -> None:
    view.reveal(path)
    rect = view.box_rect(path)
    QTest.mouseClick(view.viewport(), LEFT, pos=QPoint(round(rect.right() - 12), round(rect.top() + 8)))


def press_sign(view: GraphView, path: str) -> None:
    view.reveal(path)
    QTest.mouseClick(view.viewport(), LEFT, pos=view.sign_rect(path).center().toPoint())


def in_sight(view: GraphView, path: str) -> bool:
    return view.viewport().rect().contains(view.box_rect(path).toAlignedRect())


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_every_site_of_the_model_is_in_the_graph(qtbot: QtBot, tmp_path: Path, config: object) -> None:
    model = tiny_checkpoint(tmp_path, config)  # type: ignore[arg-type]
    with on_screen(qtbot, ModelGraph, model, PROMPT, size=COLUMN) as shown:
        panel, session = shown.panel, shown.session
        drawn = {site for box in panel.view.boxes() for site in box.sites}
        length = len(session.run["tokens"])
        measured = {site.key: site for site in sites(open_model(model).model, length)}
        assert drawn == {"tokens", *measured}
        for key, site in measured.items():
            assert panel.view.look(key).shape == f"{site.dims} {'×'.join(map(str, site.shape))}"


def test_only_the_block_of_the_selected_layer_is_unfolded(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    for layer in (1, 2, 0):
        session.select(layer=layer)
        settle()
        kind = kinds(panel.view)
        assert [kind[f"blocks.{n}"] for n in range(3)] == [
            "open" if n == layer else "folded" for n in range(3)
        ]


def test_a_click_on_a_site_moves_the_session_there(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    press(panel.view, "blocks.0.attn.pattern")
    settle()
    assert session.selection.site == "blocks.0.attn.pattern"
    assert session.sites[session.selection.step]["key"] == "blocks.0.attn.pattern"
    assert panel.view.lit() == "blocks.0.attn.pattern"


def test_a_click_on_a_folded_block_selects_its_layer(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    press(panel.view, "blocks.2")
    settle()
    assert session.selection.layer == 2
    assert kinds(panel.view)["blocks.2"] == "open"


@pytest.mark.process
def test_the_present_step_is_lit_and_in_sight_wherever_it_is(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    for step, site in enumerate(session.sites):
        session.go_to_step(step)
        settle()
        assert panel.view.lit() == site["key"]
        assert in_sight(panel.view, site["key"]), site["key"]


def test_a_folded_block_is_lit_while_the_step_is_inside_it(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.1.attn.q")
    settle()
    press_sign(panel.view, "blocks.1")
    settle()
    assert kinds(panel.view)["blocks.1"] == "folded"
    assert panel.view.lit() == "blocks.1"


def test_the_sign_folds_and_unfolds_and_the_choice_stays(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    for path in ("blocks.0.attn", "blocks.2"):
        was = kinds(panel.view)[path]
        press_sign(panel.view, path)
        settle()
        assert kinds(panel.view)[path] != was
    session.go_to("blocks.1.mlp.out")
    settle()
    assert kinds(panel.view)["blocks.2"] == "open"
    session.go_to("blocks.0.mlp.out")
    settle()
    assert kinds(panel.view)["blocks.0.attn"] == "folded"


def test_a_double_click_unfolds_a_block_that_its_first_click_had_selected(
    shown: OnScreen[ModelGraph],
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    panel.view.reveal("blocks.2")
    rect = panel.view.box_rect("blocks.2")
    place = QPoint(round(rect.right() - 12), round(rect.top() + 8))
    QTest.mouseClick(panel.view.viewport(), LEFT, pos=place)
    settle()
    QTest.mouseDClick(panel.view.viewport(), LEFT, pos=place)
    settle()
    assert kinds(panel.view)["blocks.2"] == "open"
    session.select(layer=0)
    settle()
    assert kinds(panel.view)["blocks.2"] == "open"


def test_identical_blocks_say_so(shown: OnScreen[ModelGraph]) -> None:
    panel = shown.panel
    assert panel.view.look("blocks.1").note == "like block 0"
    assert panel.view.look("blocks.0").note == "20 steps"
    assert "same shape as block 0" in panel.view.look("blocks.2").tip


def test_the_tip_says_key_axes_and_sizes_in_words(shown: OnScreen[ModelGraph]) -> None:
    panel, session = shown.panel, shown.session
    length = len(session.run["tokens"])
    assert panel.view.look("blocks.0.attn.pattern").tip == (
        f"blocks.0.attn.pattern\n1 batch × 4 query head × {length} query position × {length} key position"
    )
    assert panel.view.look("blocks.0.attn.mask").tip.endswith("depends on no token")


def test_roles_have_their_colours(shown: OnScreen[ModelGraph]) -> None:
    panel = shown.panel
    found = {
        word: panel.view.look(f"blocks.0.attn.{word}").role for word in ("q", "k_rot", "v", "out", "scores")
    }
    assert found == {"q": "query", "k_rot": "key", "v": "value", "out": "output", "scores": ""}
    assert panel.view.look("blocks.0.norm1.out").role == ""


def test_a_longer_prompt_changes_the_shapes_and_leaves_the_layout(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    before = panel.view.boxes()
    session.change(prompt=f"{PROMPT} And then it slept.")
    settle()
    length = len(session.run["tokens"])
    assert panel.view.look("logits").shape == f"B T V 1×{length}×2048"
    assert all(one is other for one, other in zip(before, panel.view.boxes(), strict=True))


def test_another_model_is_another_graph(qtbot: QtBot, tmp_path: Path) -> None:
    models = [tiny_checkpoint(tmp_path / config.__class__.__name__, config) for config in (LLAMA, GPT2)]
    with on_screen(qtbot, ModelGraph, models[0], PROMPT, size=COLUMN) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        session.go_to("blocks.2.attn.q_rot")
        settle()
        session.change(model=models[1])
        settle()
        kind = kinds(panel.view)
        assert "pos.out" in kind
        assert "rope.angles" not in kind
        assert "blocks.2" not in kind
        assert panel.view.lit() == session.selection.site


def test_a_step_restyles_and_builds_nothing(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.1.attn.q")
    settle()
    before = panel.view.boxes()
    session.go_to("blocks.1.mlp.post")
    settle()
    assert all(one is other for one, other in zip(before, panel.view.boxes(), strict=True))


def test_the_wheel_zooms_around_the_pointer_and_0_fits_again(shown: OnScreen[ModelGraph]) -> None:
    view = shown.panel.view
    fitting = view.zoom()
    assert view.box_rect("blocks.0").right() <= view.viewport().width()
    place = view.box_rect("blocks.0.attn.k").center()
    turn_wheel(view.viewport(), place, 3)
    assert view.zoom() > 1.5 * fitting
    assert (view.box_rect("blocks.0.attn.k").center() - place).manhattanLength() < 2
    QTest.keyClick(view, Qt.Key.Key_Minus)
    QTest.keyClick(view, Qt.Key.Key_Plus)
    QTest.keyClick(view, Qt.Key.Key_0)
    assert view.zoom() == fitting


def test_text_has_its_full_size_in_a_narrow_column(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, ModelGraph, model, PROMPT, size=(270, 620)) as shown:
        assert shown.panel.view.zoom() >= 0.95


def test_a_drag_pans_and_is_no_click(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    view = panel.view
    site, start = session.selection.site, view.box_rect("blocks.0.attn.masked").center().toPoint()
    before = view.box_rect("tokens").top()
    QTest.mousePress(view.viewport(), LEFT, pos=start)
    for y in (20, 60, 100):
        QTest.mouseMove(view.viewport(), start - QPoint(0, y))
        QApplication.processEvents()
    QTest.mouseRelease(view.viewport(), LEFT, pos=start - QPoint(0, 100))
    settle()
    assert view.box_rect("tokens").top() == pytest.approx(before - 100, abs=2)
    assert session.selection.site == site


def test_the_arrow_keys_walk_the_forward_pass_and_enter_folds(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.q")
    settle()
    QTest.keyClick(panel.view, Qt.Key.Key_Down)
    settle()
    assert session.selection.site == "blocks.0.attn.k"
    QTest.keyClick(panel.view, Qt.Key.Key_Up)
    QTest.keyClick(panel.view, Qt.Key.Key_Return)
    settle()
    assert kinds(panel.view)["blocks.0.attn"] == "folded"
    assert panel.view.lit() == "blocks.0.attn"
    QTest.keyClick(panel.view, Qt.Key.Key_Return)
    settle()
    assert kinds(panel.view)["blocks.0.attn"] == "open"


def test_the_shape_of_the_step_is_written_at_any_zoom_and_others_where_they_fit(
    shown: OnScreen[ModelGraph],
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.v")
    settle()
    view = panel.view
    assert [box.path for box, _ in view.shape_places()] == ["blocks.0.attn.v"]
    view.zoom_by(2.5)
    places = view.shape_places()
    assert len(places) > 10
    for n, (box, place) in enumerate(places):
        assert not any(place.intersects(other) for _, other in places[:n])
        solid = [b.path for b in view.boxes() if b.kind != "open" and b is not box]
        assert not any(place.intersects(view.box_rect(path)) for path in solid), box.path


def test_pointing_at_a_box_is_read_out(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("embed.out")
    settle()
    panel.view.hovered.emit("blocks.0.attn.mask")
    assert panel.readout.text().startswith("blocks.0.attn.mask · B H T S 1×4×")
    panel.view.left.emit()
    assert panel.readout.text().startswith("embed.out · B T C 1×")


def test_the_graph_is_painted_in_the_colours_of_the_theme(shown: OnScreen[ModelGraph]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.resid_pre")
    settle()
    for scheme in ("light", "dark"):
        theme.apply(QApplication.instance(), scheme)  # type: ignore[arg-type]
        settle()
        picture = panel.view.viewport().grab().toImage()
        inside = panel.view.box_rect("blocks.0.resid_pre").topLeft().toPoint() + QPoint(5, 4)
        assert picture.pixelColor(inside).name() == theme.current().accent
        assert picture.pixelColor(1, 1).name() in (theme.current().panel, theme.current().accent)


def test_a_hidden_graph_asks_for_nothing(shown: OnScreen[ModelGraph]) -> None:
    panel = shown.panel
    assert GRAPH in panel.wanted()
    panel.hide()
    assert panel.wanted() == []


def test_a_new_graph_is_planned_a_box_a_turn_and_the_one_before_stays_until_it_is_whole(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_panel, "PIECE_S", 0.0)
    first, second = (tiny_checkpoint(tmp_path / name, config) for name, config in (("a", LLAMA), ("b", GPT2)))
    with on_screen(qtbot, ModelGraph, first, PROMPT, size=COLUMN) as shown:
        panel, session = shown.panel, shown.session
        before, seen = panel.view.boxes(), []
        draw = panel.draw

        def watched(answers: Answers) -> Iterator[None]:
            for _ in draw(answers):
                seen.append(panel.view.boxes())
                yield
            seen.append(panel.view.boxes())

        monkeypatch.setattr(panel, "draw", watched)
        session.change(model=second)
        shown.settle()
        qtbot.waitUntil(lambda: seen[-1] != before)
        assert len(seen) > 7
        assert all(boxes == before for boxes in seen[:7])
        drawn = {site for box in panel.view.boxes() for site in box.sites}
        assert drawn == {site["key"] for site in session.sites}
