"""A baseline is pinned, and every panel shows it (A), what is asked for now (B), or what differs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from explorer_app.forms.compare_bar import CompareBar
from explorer_app.panel.registry import PANELS
from explorer_app.panels.attention import Attention
from explorer_app.panels.norms import Norms
from explorer_app.window.snapshot import settle
from explorer_app.window.window import MainWindow
from tests.support.models import tiny
from tests.support.window.local_engine import GPT2, tiny_checkpoint
from tests.support.window.window_on_screen import window_on_screen

pytestmark = pytest.mark.process

PROMPT = "Once upon a time there was a cat"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {"llama": tiny_checkpoint(folder / "llama"), "gpt2": tiny_checkpoint(folder / "gpt2", GPT2)}


@pytest.fixture
def window(models: dict[str, str]) -> Iterator[MainWindow]:
    with window_on_screen(models["llama"], PROMPT) as window:
        yield window


def rest(window: MainWindow) -> None:
    settle(window.client)
    QApplication.processEvents()


def change(window: MainWindow, **fields: object) -> None:
    window.session.change(**fields)
    rest(window)


def drawn(window: MainWindow) -> np.ndarray:
    panel = window.docks["attention"].panel
    assert isinstance(panel, Attention)
    rest(window)
    return panel.heatmap.image_values()


def look(window: MainWindow, what: str) -> np.ndarray:
    window.compare.buttons[what].click()
    return drawn(window)


def test_another_prompt_is_compared_token_by_token_and_what_has_no_partner_is_hatched(
    window: MainWindow,
) -> None:
    a = drawn(window)
    window.compare.pin.click()
    change(window, prompt=PROMPT.replace("a cat", "a small cat"))
    b, difference = look(window, "B"), look(window, "B−A")
    new = [n for n, token in enumerate(window.session.texts[0]["strings"]) if "small" in token]
    old = [n for n in range(len(b)) if n not in new]
    assert len(old) == len(a)
    np.testing.assert_array_equal(difference[np.ix_(old, old)], b[np.ix_(old, old)] - a)
    assert np.isnan(difference[new]).all()
    np.testing.assert_array_equal(look(window, "A"), a)
    np.testing.assert_array_equal(look(window, "B"), b)


def test_limits_of_a_difference_are_equal_on_both_sides_of_zero(window: MainWindow) -> None:
    window.session.pin_baseline()
    change(window, edits=("mask off",))
    look(window, "B−A")
    panel = window.docks["attention"].panel
    assert isinstance(panel, Attention)
    low, high = panel.heatmap.painted_limits()
    assert low == -high < 0


def test_every_panel_shows_a_difference_or_says_why_it_has_none(window: MainWindow) -> None:
    window.session.pin_baseline()
    change(window, prompt="Another text")
    window.session.compare("B−A")
    for name, registered in PANELS.items():
        dock = window.docks[name]
        if dock.isHidden():
            continue
        dock.raise_()
        rest(window)
        kind = registered.build
        if kind.no_difference:
            assert dock.panel.veil.words == kind.no_difference
            assert "look at A or B" in kind.no_difference
        else:
            assert not dock.panel.veil.asked, name


@pytest.mark.parametrize("family", [*tiny.CONFIGS, *tiny.ENCODER_DECODERS])
def test_a_against_itself_is_exactly_zero_in_every_panel_of_every_family(family: str, tmp_path: Path) -> None:
    with window_on_screen(tiny.save(tmp_path / "model", family), "The cat saw the dog") as window:
        window.session.pin_baseline()
        window.session.compare("B−A")
        subtracting = [name for name, one in PANELS.items() if one.build.subtracts]
        assert subtracting
        for name in subtracting:
            dock = window.docks[name]
            if dock.isHidden():
                continue
            dock.raise_()
            rest(window)
            answers = [window.session.answer(query) for query in dock.panel.wanted()]
            known = [answer for answer in answers if answer is not None]
            assert len(known) == len(answers)
            numbers = [
                answer for answer in known if "tokens" not in answer.facts and "dtypes" not in answer.facts
            ]
            assert all(
                (np.nan_to_num(array) == 0).all() for answer in numbers for array in answer.arrays.values()
            )


def test_models_of_other_shapes_say_what_cannot_be_subtracted(
    window: MainWindow, models: dict[str, str]
) -> None:
    window.session.pin_baseline()
    window.session.open(models["gpt2"])
    rest(window)
    window.session.compare("B−A")
    window.docks["norms"].raise_()
    rest(window)
    norms = window.docks["norms"].panel
    assert isinstance(norms, Norms)
    assert norms.veil.words == "Only one of the two models has this."
    window.session.compare("A")
    rest(window)
    assert not norms.veil.asked
    assert norms.formula.text().startswith("RMSNorm")
    assert window.windowTitle().startswith("llama")


def test_what_is_pinned_is_named_and_goes_with_unpin(window: MainWindow) -> None:
    bar = window.compare
    assert isinstance(bar, CompareBar)
    assert not bar.named.isVisible()
    bar.pin.click()
    change(window, prompt="Another text")
    assert bar.named.text() == f"A: llama · “{PROMPT}”"
    assert not bar.pin.isVisible()
    look(window, "A")
    assert len(window.session.texts[0]["tokens"]) == 9
    bar.unpin.click()
    rest(window)
    assert window.session.compared == "B"
    assert window.session.baseline is None
    assert bar.pin.isVisible()
    assert len(window.session.texts[0]["tokens"]) != 9


def test_a_token_that_was_predicted_for_the_baseline_is_not_appended_to_the_prompt(
    window: MainWindow,
) -> None:
    window.session.pin_baseline()
    change(window, prompt="Another text")
    look(window, "A")
    window.session.append(" more")
    assert window.session.scene.prompt == "Another text"
    assert not window.docks["next_token"].panel.append.isEnabled()


def test_a_dtype_is_a_scene_of_its_own_to_compare(window: MainWindow) -> None:
    a = drawn(window)
    window.session.pin_baseline()
    change(window, dtype="bfloat16")
    difference = look(window, "B−A")
    assert 0 < np.nanmax(np.abs(difference)) < 0.5
    assert "bfloat16" in window.windowTitle() or window.status.text().count("bfloat16") == 1
    assert a.shape == difference.shape
