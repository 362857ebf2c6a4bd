"""A model at a step of its training is named like any other, and the steps that were kept tell of themselves."""

import errno
import json
import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from model_core.analysis.scores import head_scores
from model_core.api import model_ref
from model_core.api.errors import InputError
from model_core.api.protocol import Frame
from model_core.api.queries.run import GrowthRecord
from model_core.api.run_files import CARD
from model_core.api.scene import Scene
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.engine.context import Context
from model_core.engine.questions.run import grows, growth_
from model_core.sources import growth
from model_core.sources.presets import grown, open_model
from model_core.training.plan import of_file
from tests.support.models.tiny import GROWN, HEADS, LAYERS, growing

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return growing(tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("growth@16", ("growth", 16)),
        ("growth", ("growth", None)),
        ("/a@b/c", ("/a@b/c", None)),
        ("/a@1/c", ("/a@1/c", None)),
        ("/a@1/c@0", ("/a@1/c", 0)),
        ("@3", ("@3", None)),
    ],
)
def test_a_step_is_what_stands_after_the_last_at_sign(name: str, parts: tuple[str, int | None]) -> None:
    assert model_ref.split(name) == parts


@pytest.mark.process
def test_each_step_opens_as_it_was_and_the_last_is_the_model_itself(folder: Path) -> None:
    names = [open_model(f"{folder}@{step}").name for step in GROWN]
    assert names == [f"grown {step}" for step in GROWN]
    assert open_model(str(folder)).name == f"grown {GROWN[-1]}"
    assert [model_ref.at("growth", n, GROWN) for n in range(4)] == [
        "growth@0",
        "growth@1",
        "growth@4",
        "growth",
    ]


def test_a_step_that_was_not_kept_ends_in_one_line_that_lists_those_that_were(folder: Path) -> None:
    with pytest.raises(InputError, match=r"mine was not kept at step 3: there are 0, 1, 4, 16$"):
        open_model(f"{folder}@3")
    with pytest.raises(InputError, match=r"was kept at no step of its training: open it as"):
        open_model(f"{growth.step_folder(folder, 4)}@4")
    with pytest.raises(InputError, match="there is no model 'nowhere'"):
        open_model("nowhere@4")


def test_a_folder_whose_own_name_looks_like_a_step_is_opened_as_it_is(folder: Path) -> None:
    twin = folder.with_name("mine@1")
    folder.rename(twin)
    assert open_model(str(twin)).name == "grown 16"
    assert open_model(f"{twin}@1").name == "grown 1"
    found = grown(str(twin))
    assert found is not None
    assert found[:2] == (str(twin), 16)


def table(score: str = "0.5", name: str = "previous") -> str:
    return f'{{"{name}": [[{score}]]}}'


def entry(step: str = "1", tokens: str = "2", scores: str = '{"previous": [[0.5]]}') -> str:
    return f'{{"step": {step}, "tokens": {tokens}, "scores": {scores}}}'


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 5000, "is not JSON"),
        ("[" * 200 + "]" * 200, "more than 100 deep"),
        ("{}", "is {}, not a list"),
        ("[1]", "entry 0 is 1, not an object"),
        ('[{"step": 1}]', "entry 0 has no 'tokens'"),
        (f"[{entry(scores='3')}]", "entry 0: 'scores' is 3, not an object"),
        (f"[{entry(step='1e999')}]", "entry 0: 'step' is inf, not a whole number from 0 up"),
        (f"[{entry(step='1.5')}]", "'step' is 1.5, not a whole number"),
        (f"[{entry(step='-1')}]", "'step' is -1, not a whole number from 0 up"),
        (f"[{entry(step='true')}]", "'step' is True, not a whole number"),
        (f"[{entry(tokens='1' + '0' * 400)}]", "'tokens' is 1000"),
        (
            f"[{entry(scores=table('1e999'))}]",
            "is inf, not a score from 0 to 1",
        ),
        (f"[{entry()}, {entry(step='2', scores='{}')}]", "entry 1 does not have a score for every head"),
        ('[{"step": 1, "tokens": 2, "scores": {"previous": [[0.5, 0.5], [0.5]]}}]', "score for every head"),
        ('[{"step": 1, "tokens": 2, "scores": {"previous": []}}]', "score for every head"),
        ('[{"step": 1, "tokens": 2, "scores": {"previous": [[]]}}]', "score for every head"),
        (f"[{entry(scores=table('1e308'))}]", "is 1e+308, not a score from 0 to 1"),
        (f"[{entry(scores=table('-0.1'))}]", "is -0.1, not a score from 0 to 1"),
        (
            f"[{entry(scores=table(name='steps'))}]",
            "entry 0 has the scores 'steps'; there are previous, induction, duplicate",
        ),
        (f"[{entry()}, {entry()}]", "has a step twice"),
        (
            '[{"step": 1, "tokens": 2, "scores": {}, "more": 1}]',
            "has 'more'; it may have step, tokens, scores",
        ),
    ],
)
def test_a_damaged_record_ends_in_one_line(folder: Path, damage: str, message: str) -> None:
    (folder / growth.FILE).write_text(damage)
    with pytest.raises(InputError) as refused:
        growth.moments(folder)
    assert message in str(refused.value)
    assert str(folder / growth.FILE) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert grown(str(folder)) is None
    assert open_model(str(folder)).name == "grown 16"


@pytest.mark.parametrize("step", ["", "@1"])
def test_who_asks_for_a_growth_whose_record_is_damaged_is_told_so(folder: Path, step: str) -> None:
    model = str(folder) + step
    assert grows(model)
    (folder / growth.FILE).write_text("[{}]")
    assert grown(model) is None
    assert grows(model)
    with pytest.raises(InputError, match=r"growth\.json: entry 0 has no 'step'"):
        growth_(cast(Context, SimpleNamespace(scene=Scene(model, ""))), GrowthRecord())
    (folder / growth.FILE).unlink()
    assert not grows(model)


def test_a_step_that_was_not_kept_and_a_model_that_is_gone_have_no_growth(folder: Path) -> None:
    assert not grows(f"{folder}@3")
    assert not grows(f"{folder / 'gone'}")
    assert not grows(f"{folder / 'gone'}@1")
    assert not grows("untrained:llama/tiny")


def test_whole_numbers_may_be_written_as_floats(tmp_path: Path) -> None:
    (tmp_path / growth.FILE).write_text(f"[{entry(step='4.0', tokens='8.0')}]")
    (moment,) = growth.moments(tmp_path)
    assert (moment.step, moment.tokens) == (4, 8)
    assert isinstance(moment.step, int)


def test_a_step_of_thousands_of_digits_is_no_step() -> None:
    name = "x@" + "9" * 5000
    assert model_ref.split(name) == (name, None)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    kept = [growth.Moment(step, 10 * step, {"previous": [[step / 7]]}) for step in (0, 3, 5)]
    growth.write(tmp_path, kept)
    assert growth.moments(tmp_path) == [
        growth.Moment(step, 10 * step, {"previous": [[round(step / 7, 4)]]}) for step in (0, 3, 5)
    ]
    assert growth.moments(tmp_path / "elsewhere") == []


def test_a_full_disk_leaves_the_steps_that_were_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [growth.Moment(step, 10 * step, {"induction": [[0.5]]}) for step in (0, 4)]
    growth.write(tmp_path, kept[:1])

    def full(self: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"growth\.json cannot be written: No space left on device"):
        growth.write(tmp_path, kept)
    assert growth.moments(tmp_path) == kept[:1]
    assert [path.name for path in tmp_path.iterdir()] == [growth.FILE]


def test_an_idle_engine_loads_the_other_steps_the_nearest_first(folder: Path) -> None:
    engine = Engine(lambda frame: None)
    scene = Scene(f"{folder}@4", "The cat")
    fields = {"asks": [{"scene": scene.to_json(), "queries": [{"kind": "run", "arguments": {}}]}]}
    engine.handle(Frame("ask", 1, fields), lambda: False)
    loaded = []
    while engine.kept.load_ahead():
        loaded += [model for model, *_ in engine.kept.models if model not in loaded]
    assert list(dict.fromkeys(loaded)) == [f"{folder}@1", f"{folder}@4", str(folder), f"{folder}@0"]
    assert next(reversed(engine.kept.models)) == scene.opened


def test_steps_that_are_too_large_together_are_loaded_when_they_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_core.engine.kept.LOADED_BYTES", 1000)
    engine = Engine(lambda frame: None)
    scene = Scene(str(folder), "The cat")
    fields = {"asks": [{"scene": scene.to_json(), "queries": [{"kind": "run", "arguments": {}}]}]}
    engine.handle(Frame("ask", 1, fields), lambda: False)
    assert not engine.kept.load_ahead()


def test_the_engine_tells_the_steps_and_their_scores(folder: Path) -> None:
    told: list[Frame] = []
    engine = Engine(told.append)
    for model in (f"{folder}@4", str(growth.step_folder(folder, 4))):
        scene = Scene(model, "The cat")
        fields = {"asks": [{"scene": scene.to_json(), "queries": [{"kind": "growth", "arguments": {}}]}]}
        engine.handle(Frame("ask", 1, fields), lambda: False)
    growing_, alone = (frame for frame in told if frame.kind == "answer")
    facts = growing_.fields["facts"]
    assert (facts["name"], facts["step"], facts["steps"]) == (str(folder), 4, list(GROWN))
    assert facts["tokens"] == [1000 * step for step in GROWN]
    assert growing_.arrays["previous"].shape == (len(GROWN), LAYERS, HEADS)
    assert alone.fields["facts"]["steps"] == []


@pytest.mark.process
def test_training_keeps_the_model_at_the_steps_of_its_recipe(tmp_path: Path) -> None:
    described = {
        "family": "mini",
        "tokenizer": "tales-2048",
        "config": {"width": 16, "layers": 2, "heads": 2, "hidden": 24, "context": 16},
        "recipe": {
            "steps": 6,
            "batch": 4,
            "length": 16,
            "warmup": 2,
            "kept": [0, 1, 4],
            "held_out_share": 0.2,
        },
    }
    (tmp_path / "tiny.json").write_text(json.dumps(described))
    (tmp_path / "text.txt").write_text("Once upon a time there was a king who had three sons. " * 40)
    folder = tmp_path / "out"
    words = ["train", "--config", str(tmp_path / "tiny.json"), "--data", str(tmp_path / "text.txt")]
    assert main([*words, "--out", str(folder)]) == 0

    kept = growth.moments(folder)
    assert [moment.step for moment in kept] == [0, 1, 4, 6]
    assert [moment.tokens for moment in kept] == [64 * moment.step for moment in kept]
    weights = []
    for moment in kept:
        loaded = open_model(f"{folder}@{moment.step}")
        weights.append(loaded.model.get_parameter("embed.weight"))
        for name, scores in head_scores(loaded.model).items():
            np.testing.assert_allclose(moment.scores[name], scores, atol=1e-4)
    first = of_file(tmp_path / "tiny.json").model().get_parameter("embed.weight")
    assert torch.equal(weights[0], first.half().float())
    assert not any(torch.equal(one, other) for one, other in pairwise(weights))
    assert torch.equal(weights[-1], open_model(str(folder)).model.get_parameter("embed.weight"))
    card = (folder / CARD).read_text()
    assert "## Growth" in card
    assert f"{kept[-1].tokens:>14,}" in card
