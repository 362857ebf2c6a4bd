"""The command line speaks of two texts where a model reads two."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from model_core.api.edits import parse
from model_core.api.protocol import Frame
from model_core.checkpoint.formats import native
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.families.registry import FAMILIES
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from tests.model_core.parts.test_seq2seq import model_of
from tests.support.models.tiny import save

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("seq2seq")
    native.save(
        folder, model_of(), FAMILIES["seq2seq"], tokenizer=None, name="tiny", about="random", dtype="float32"
    )
    return str(folder)


def test_trace_holds_every_site_of_both_stacks(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.safetensors"
    command = ["trace", "--model", model, "--prompt", "5 6 7", "--target", "8 9", "--out", str(out)]
    assert main([*command, "--edit", "ablate cross L1H2"]) == 0
    assert "sites of 3 and 2 tokens" in capsys.readouterr().out
    run = Run(open_model(model).model, [5, 6, 7], [parse("ablate cross L1H2")], target=[8, 9])
    tensors = load_file(out)
    assert tensors.keys() == run.sites.keys()
    assert all(torch.equal(tensors[key], run.value(key)) for key in tensors)
    with safe_open(out, framework="pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    assert about["texts"] == {"source": [5, 6, 7], "target": [8, 9]}

    told: list[Frame] = []
    asked = {"kind": "value", "arguments": {"site": "decoder.blocks.1.cross.pattern"}}
    Engine(told.append).handle(
        Frame("ask", 1, {"asks": [{"scene": about["scene"], "queries": [asked]}]}),
        lambda: False,
    )
    (answer,) = [frame for frame in told if frame.kind == "answer"]
    assert torch.equal(
        torch.from_numpy(answer.arrays["values"].copy()), tensors["decoder.blocks.1.cross.pattern"][0]
    )


def test_generate_goes_on_with_the_target(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "generate",
        "--model",
        model,
        "--prompt",
        "5 6 7",
        "--temperature",
        "0",
        "--max-new-tokens",
        "3",
    ]
    assert main([*command, "--target", "8 9"]) == 0
    written = [int(word) for word in capsys.readouterr().out.split()]
    assert written[:2] == [8, 9]
    assert len(written) == 5
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("5 6 7 ")


@pytest.mark.parametrize("command", ["trace", "generate"])
def test_a_target_for_a_model_that_reads_one_text_is_refused_in_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save(tmp_path / "llama", "llama")
    words = [command, "--model", other, "--prompt", "a", "--target", "b"]
    assert main([*words, *(["--out", str(tmp_path / "run")] if command == "trace" else [])]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "reads one text" in said


def test_a_target_beyond_the_context_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "trace",
        "--model",
        model,
        "--prompt",
        "1",
        "--target",
        "1 " * 21,
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(words) == 2
    assert "21 tokens" in capsys.readouterr().err


def test_evaluating_a_model_that_reads_two_texts_is_refused_in_one_line(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", model]) == 2
    assert "reads two" in capsys.readouterr().err
