"""The growing preset is what its record and its card say: heads that were not there appear."""

import re
from pathlib import Path

import numpy as np
import pytest

from model_core.analysis.scores import head_scores
from model_core.cli.__main__ import main
from model_core.sources import growth
from model_core.sources.presets import folder_of, open_model, preset_named

pytestmark = pytest.mark.unit

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def folder() -> Path:
    return folder_of("growth")


@pytest.fixture(scope="module")
def kept(folder: Path) -> list[growth.Moment]:
    return growth.moments(folder)


def best(moment: growth.Moment, name: str) -> float:
    return max(map(max, moment.scores[name]))


def test_it_was_kept_from_the_first_step_to_the_last_in_steps_that_grow(kept: list[growth.Moment]) -> None:
    recipe = preset_named("growth").recipe
    assert [moment.step for moment in kept] == [*recipe.kept, recipe.steps]
    assert 12 <= len(kept) <= 16
    assert kept[0].step == kept[0].tokens == 0
    assert kept[-1].tokens == recipe.steps * recipe.batch * recipe.length


def test_all_its_steps_are_small(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 12 * MEGABYTE


@pytest.mark.parametrize("name", ["previous", "induction"])
def test_heads_that_were_not_there_at_first_are_there_in_the_end(
    kept: list[growth.Moment], name: str
) -> None:
    scores = [best(moment, name) for moment in kept]
    assert max(scores[:4]) < 0.15
    assert scores[-1] >= 0.5
    # They come at once, not little by little.
    assert max(np.diff(scores)) > 0.1


@pytest.mark.parametrize("place", [0, 6, -1])
def test_its_record_is_what_its_weights_do(kept: list[growth.Moment], place: int) -> None:
    moment = kept[place]
    for name, scores in head_scores(open_model(f"growth@{moment.step}").model).items():
        np.testing.assert_allclose(moment.scores[name], scores, atol=2e-3)


def test_its_card_tells_of_every_step(kept: list[growth.Moment], folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    for moment in kept:
        row = re.search(rf"^ +{moment.step:,} +{moment.tokens:,} +([\d.]+) +([\d.]+)", card, re.MULTILINE)
        assert row is not None
        assert float(row[1]) == pytest.approx(best(moment, "previous"), abs=6e-4)
        assert float(row[2]) == pytest.approx(best(moment, "induction"), abs=6e-4)


def test_a_step_that_was_not_kept_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--model", "growth@17", "--prompt", "Once"]) == 2
    said = capsys.readouterr().err
    assert said == f"layerscope: growth was not kept at step 17: there are {steps_said()}\n"


def steps_said() -> str:
    recipe = preset_named("growth").recipe
    return ", ".join(map(str, [*recipe.kept, recipe.steps]))


def test_text_goes_on_from_any_step(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--prompt", "Once upon a time", "--max-new-tokens", "3", "--temperature", "0"]
    for name in ("growth@0", "growth"):
        assert main(["generate", "--model", name, *words]) == 0
        assert capsys.readouterr().out.startswith("Once upon a time")
