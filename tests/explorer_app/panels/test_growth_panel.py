"""The growth panel: its slider and its curve lead the window through the training of a model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.panels.growth import GROWTH, Growth, best
from explorer_app.window.snapshot import settle
from model_core.api.queries.run import RunSummary
from model_core.api.queries.values import SiteValue
from model_core.sources import growth
from model_core.sources.presets import open_model
from tests.support.models.tiny import GROWN, HEADS, growing
from tests.support.window.panel_on_screen import OnScreen, on_screen
from tests.support.window.window_on_screen import window_on_screen

pytestmark = pytest.mark.unit

PROMPT = "The cat saw the cat"
PATTERN = SiteValue(site="blocks.0.attn.pattern")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(growing(tmp_path_factory.mktemp("growth") / "mine"))


@pytest.fixture
def shown(qtbot: QtBot, folder: str) -> Iterator[OnScreen[Growth]]:
    with on_screen(qtbot, Growth, folder, PROMPT, size=(270, 300)) as shown:
        yield shown


@pytest.mark.process
def test_the_slider_has_a_stop_for_every_step_and_the_model_itself_is_the_last(
    shown: OnScreen[Growth], folder: str
) -> None:
    slider = shown.panel.slider
    assert (slider.minimum(), slider.maximum(), slider.value()) == (0, 3, 3)
    for index, step in enumerate(GROWN[:-1]):
        slider.setValue(index)
        shown.settle()
        assert shown.session.shown.model == f"{folder}@{step}"
        assert shown.panel.step.text().startswith(f"step {step} of 16")
    slider.setValue(3)
    assert shown.session.scene.model == folder


@pytest.mark.process
def test_every_step_shows_the_numbers_of_its_own_weights(shown: OnScreen[Growth], folder: str) -> None:
    for index, step in enumerate(GROWN):
        shown.panel.go_to(index)
        shown.settle()
        run = shown.session.run
        assert run is not None
        assert run["model"] == open_model(f"{folder}@{step}").name == f"grown {step}"


def test_the_curves_are_the_best_scores_of_the_steps_that_were_kept(
    shown: OnScreen[Growth], folder: str
) -> None:
    kept = growth.moments(Path(folder))
    for name in ("previous", "induction"):
        drawn = shown.panel.plot.drawn_values(name)
        wanted = [max(map(max, moment.scores[name])) for moment in kept]
        np.testing.assert_allclose(drawn, wanted, atol=0.0051)
    assert shown.panel.plot.painted_limits()[0] <= 0
    assert shown.panel.plot.painted_limits()[1] >= 1


def test_a_click_on_the_curve_moves_the_slider(shown: OnScreen[Growth], qtbot: QtBot) -> None:
    plot = shown.panel.plot
    target = plot.position(1)
    child = plot.childAt(target.toPoint())
    assert child is not None
    qtbot.mouseClick(child, Qt.MouseButton.LeftButton, pos=child.mapFrom(plot, target.toPoint()))
    shown.settle()
    assert shown.panel.slider.value() == 1


def test_arrows_walk_the_steps_and_stop_at_both_ends(shown: OnScreen[Growth]) -> None:
    slider = shown.panel.slider
    for key, stops in ((Qt.Key.Key_Left, [2, 1, 0, 0]), (Qt.Key.Key_Right, [1, 2, 3, 3])):
        for stop in stops:
            QTest.keyClick(slider, key)
            shown.settle()
            assert slider.value() == stop


def test_playing_begins_anew_at_the_end_and_passes_no_step_over(shown: OnScreen[Growth]) -> None:
    panel = shown.panel
    panel.timer.setInterval(1)
    seen: list[str] = []
    shown.session.shown_changed.connect(lambda scene: seen.append(scene.model))
    panel.play.click()
    shown.qtbot.waitUntil(lambda: not panel.timer.isActive(), timeout=20_000)
    shown.settle()
    name = shown.session.shown.model
    assert seen == [f"{name}@0", f"{name}@1", f"{name}@4", name]


def test_a_named_head_is_focused_by_its_link(shown: OnScreen[Growth]) -> None:
    answer = shown.session.answer(GROWTH)
    assert answer is not None
    layer, head = best(answer["induction"])[1][-1]
    assert f"<a href='{layer} {head}'>" in shown.panel.heads.text()
    shown.panel.heads.linkActivated.emit(f"{layer} {head}")
    assert (shown.session.selection.layer, shown.session.selection.head) == (layer, head)


def test_best_scores_name_their_head() -> None:
    scores = np.zeros((2, 3, HEADS), np.float32)
    scores[0, 2, 1], scores[1, 0, 3] = 0.5, 0.75
    values, heads = best(scores)
    assert values.tolist() == [0.5, 0.75]
    assert heads == [(2, 1), (0, 3)]


def test_of_another_model_it_says_what_it_would_show_and_offers_one(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, Growth, model, PROMPT, size=(270, 300)) as shown:
        panel, session = shown.panel, shown.session
        assert "no steps of a training" in panel.sentence.text()
        assert panel.sentence.isVisible()
        assert not panel.slider.isVisible()
        assert panel.open.isEnabled() == bool(session.greeting["growing"])


def test_a_score_that_was_not_kept_has_no_curve(qtbot: QtBot, tmp_path: Path) -> None:
    folder = growing(tmp_path / "mine")
    kept = [replace(one, scores={"induction": one.scores["induction"]}) for one in growth.moments(folder)]
    growth.write(folder, kept)
    with on_screen(qtbot, Growth, str(folder), PROMPT, size=(270, 300)) as shown:
        assert shown.panel.heads.text().startswith("induction")
        assert "previous" not in shown.panel.heads.text()
        assert shown.panel.plot.drawn_values("induction").shape == (4,)


def test_it_applies_to_models_that_were_kept_on_the_way(shown: OnScreen[Growth]) -> None:
    assert Growth.applies(shown.session.run)
    assert not Growth.applies(None)


def test_what_is_wanted_of_a_step_is_asked_for_at_once(shown: OnScreen[Growth], folder: str) -> None:
    """Another step has the shape of this one: nothing waits for its run to be known."""
    panel = shown.panel
    shown.session.change(model=f"{folder}@1")
    assert panel.wanted() != [RunSummary()]
    assert GROWTH in panel.wanted()


@pytest.mark.process
def test_the_panel_comes_with_a_growing_model_and_can_be_opened_for_any(
    qtbot: QtBot, model: str, folder: str
) -> None:
    with window_on_screen(model, PROMPT) as window:
        dock = window.docks["growth"]
        panel = dock.panel
        assert isinstance(panel, Growth)
        assert dock.isHidden()
        assert dock.view_action.isVisible()
        dock.show()
        settle(window.client)
        assert not dock.isHidden()
        assert panel.sentence.isVisible()
        window.open(folder)
        settle(window.client)
        assert panel.slider.isVisible()
        panel.go_to(1)
        settle(window.client)
        assert window.windowTitle().startswith("mine at step 1 ")
        # A step is no model of its own to choose.
        names = [window.prompt_bar.model.itemData(n) for n in range(window.prompt_bar.model.count())]
        assert names.count(folder) == 1
        assert not any("@" in name for name in names if name)
        window.open(model)
        settle(window.client)
        assert dock.isHidden()


@pytest.mark.process
def test_the_panel_has_its_share_of_the_column_after_the_layout_was_reset_without_it(
    qtbot: QtBot, model: str, folder: str
) -> None:
    with window_on_screen(model, PROMPT) as window:
        growth, graph = window.docks["growth"], window.docks["graph"]
        window.arrange()
        QApplication.processEvents()
        assert growth.isHidden()
        window.open(folder)
        settle(window.client)
        QApplication.processEvents()
        assert graph.height() / growth.height() == pytest.approx(42 / 58, abs=0.05)
        shared = graph.height()
        window.resizeDocks([graph], [shared - 40], Qt.Orientation.Vertical)
        QApplication.processEvents()
        made = graph.height()
        assert made < shared
        for name in (model, folder):
            window.open(name)
            settle(window.client)
            QApplication.processEvents()
        assert graph.height() == made
