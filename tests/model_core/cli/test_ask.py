"""`layerscope ask` prints what the engine answers to every question, for every family."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from model_core.api.protocol import Frame
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query, kinds, read
from model_core.api.scene import Scene, asks_to_json
from model_core.cli.__main__ import main
from model_core.cli.commands.ask import whole
from model_core.engine.answering import Engine
from tests.support.engine.as_declared import check
from tests.support.models import tiny

pytestmark = pytest.mark.process

PROMPT = "The cat saw the dog"
UNTIMED = {"milliseconds"}


@pytest.fixture(scope="module", params=[*tiny.CONFIGS, *tiny.ENCODER_DECODERS])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.save(tmp_path_factory.mktemp("model"), request.param)


def questions(run: dict[str, Any]) -> list[Query]:
    """One of every kind."""
    stack = run["attentions"][0]["name"]
    block = "encoder.blocks.1" if stack else "blocks.1"
    fields: dict[str, dict[str, Any]] = {
        "inspect": {"site": f"{block}.attn.pattern", "at": {"H": 1}, "limit": 3},
        "norm": {"module": f"{block}.norm1"},
        "overview": {"stack": stack, "side": 3},
        "roles": {"stack": stack},
        "rope": {"layer": 1, "head": 0},
        "rope_conventions": {"layer": 1, "head": 0, "query": 2, "key": 1},
        "split": {"position": 1, "text": 0},
        "value": {"site": f"{block}.resid_post", "at": {"T": 1}},
    }
    return [read(kind, fields.get(kind, {})) for kind in kinds()]


def engine_says(scene: Scene, asked: Query) -> Answer | str:
    frames: list[Frame] = []
    Engine(frames.append).handle(Frame("ask", 1, asks_to_json([(scene, [asked])])), lambda: False)
    (frame,) = [frame for frame in frames if frame.kind in ("answer", "error")]
    if frame.kind == "error":
        return str(frame.fields["message"])
    return Answer(frame.fields["facts"], frame.arrays)


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["ask", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_question_is_answered_as_the_engine_does(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(model, PROMPT, edits=())
    run = engine_says(scene, read("run", {}))
    assert isinstance(run, Answer)
    for asked in questions(run.facts):
        known = engine_says(scene, asked)
        said = [f"{name}={json.dumps(value)}" for name, value in asked.to_json()["arguments"].items()]
        code, out, err = ask(capsys, asked.kind, *said, "--model", model, "--prompt", PROMPT, "--json")
        if isinstance(known, str):
            assert (code, err) == (2, f"layerscope: {known}\n")
            continue
        check(asked, known)
        expected = json.loads(json.dumps(whole(known)))
        found = json.loads(out)
        for told in (expected, found):
            told["facts"] = {name: fact for name, fact in told["facts"].items() if name not in UNTIMED}
        assert found == expected
        assert code == 0


def test_without_a_question_all_are_listed_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ask(capsys)
    assert code == 0
    listed = [line.split()[0] for line in out.splitlines() if not line.startswith(" ")]
    assert listed == list(kinds())
    assert "value site=(text) [at={}]\n" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["moon", "--model", "m", "--prompt", "x"], "queries of kind 'moon' are not known here"),
        (["value", "site", "--model", "m", "--prompt", "x"], "'site' is no field: write NAME=VALUE"),
        (["value", "--model", "m", "--prompt", "x"], "value: no 'site' is said"),
        (["run"], "say what is asked about: --model and --prompt"),
        (["run", "--model", "m"], "say what is asked about: --model and --prompt"),
        (["run", "--model", "tales-mini", "--tokens", "1,99999"], "id 99999"),
        (["run", "--model", "tales-mini", "--tokens", ",".join(["1"] * 999)], "more than the context of"),
    ],
)
def test_what_is_not_there_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ask(capsys, *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_numbers_that_json_does_not_have_are_texts() -> None:
    answer = Answer({}, {"x": np.array([1.0, np.nan, np.inf, -np.inf])})
    assert json.loads(json.dumps(whole(answer), allow_nan=False))["arrays"]["x"] == [
        1.0,
        "NaN",
        "Infinity",
        "-Infinity",
    ]


def test_tokens_that_were_given_stay_those_in_the_scene_that_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two halves of a word: their text encodes to one token."""
    _, out, _ = ask(capsys, "run", "--model", "tales-llama", "--prompt", " there", "--json")
    (whole_word,) = json.loads(out)["facts"]["tokens"]
    _, out, _ = ask(capsys, "split", "position=0", "--model", "tales-llama", "--prompt", " there", "--json")
    steps = json.loads(out)["facts"]["steps"]
    assert whole_word
    assert steps
    file = tmp_path / "run.safetensors"
    letters = [ord(letter) for letter in " there"]
    _, out, _ = ask(
        capsys, "run", "--model", "tales-llama", "--tokens", ",".join(map(str, letters)), "--json"
    )
    assert json.loads(out)["facts"]["tokens"] == letters
    traced = ["trace", "--model", "tales-llama", "--tokens", ",".join(map(str, letters)), "--sites", "logits"]
    assert main([*traced, "--out", str(file)]) == 0
    capsys.readouterr()
    with safe_open(file, framework="np") as opened:
        scene = Scene.from_json(json.loads(opened.metadata()["scene"]))
        logits = opened.get_tensor("logits")
    run = engine_says(scene, read("run", {}))
    assert isinstance(run, Answer)
    assert run["tokens"] == letters
    values = engine_says(scene, read("value", {"site": "logits"}))
    assert isinstance(values, Answer)
    assert np.array_equal(values["values"], logits[0])
