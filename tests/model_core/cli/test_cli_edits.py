"""Every kind of edit can be written on the command line, and asked of the engine."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model_core.api.edits import KINDS, parse
from model_core.api.protocol import Frame
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene, asks_to_json
from model_core.cli.__main__ import main
from model_core.engine.server import Engine
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from tests.support.models.tiny import save

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat."
EDITS = (
    "mask off L1",
    "ablate L0H1",
    "window 3 L2",
    "cut L1H0 5->2",
    "cut L1H0 4->2 renormalise",
    "mean L2H3",
    "skip mlp L0",
    "set blocks.1.attn.pattern[2,5,1]=0.5",
    "patch blocks.1.resid_mid[3] from {file}",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("tiny"), "llama")


@pytest.fixture(scope="module")
def other(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of another run of the same length."""
    file = tmp_path_factory.mktemp("other") / "other run.safetensors"
    assert main(["trace", "--model", model, "--prompt", "The dog sat on the mat.", "--out", str(file)]) == 0
    return file


def test_there_is_an_example_of_every_kind(other: Path) -> None:
    assert {type(parse(edit.format(file=other))) for edit in EDITS} == set(KINDS)


@pytest.mark.parametrize("edit", EDITS)
def test_trace_and_engine_make_the_same_of_an_edit(
    model: str, other: Path, tmp_path: Path, edit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, out = edit.format(file=other), tmp_path / "run.safetensors"
    assert main(["trace", "--model", model, "--prompt", PROMPT, "--edit", words, "--out", str(out)]) == 0
    loaded = open_model(model)
    plain = Run(loaded.model, loaded.tokenizer.encode(PROMPT))
    traced = load_file(out)["logits"]
    assert not torch.equal(traced[0], plain.logits)
    told: list[Frame] = []
    ask = asks_to_json([(Scene(model, PROMPT, edits=(words,)), [SiteValue("logits")])])
    Engine(told.append).handle(Frame("ask", 1, ask), lambda: False)
    (answer,) = [frame for frame in told if frame.kind == "answer"]
    assert torch.equal(torch.from_numpy(answer.arrays["values"].copy()), traced[0])
    capsys.readouterr()
    generate = [
        "generate",
        "--model",
        model,
        "--prompt",
        PROMPT,
        "--max-new-tokens",
        "2",
        "--temperature",
        "0",
    ]
    assert main([*generate, "--edit", words]) == 0
    assert capsys.readouterr().out.startswith(PROMPT)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("patch logits from nowhere.safetensors", "patch logits from nowhere.safetensors: . has no nowhere"),
        ("patch blocks.9.resid_mid from {file}", "there is no layer 9"),
        ("patch blocks.1.resid from {file}", "no site matches 'blocks.1.resid'; nearest: blocks.1.resid"),
        ("cut L1H0 500->2", "there is no position 500"),
        ("window 0", "a window of 0 tokens hides all of them"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    model: str, other: Path, tmp_path: Path, edit: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, out = edit.format(file=other), tmp_path / "run.safetensors"
    assert main(["trace", "--model", model, "--prompt", PROMPT, "--edit", words, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not out.exists()
