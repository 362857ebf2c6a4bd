"""`layerscope trace` writes what a run computed, to the bit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model_core.api.edits import parse
from model_core.api.protocol import Frame
from model_core.api.scene import Scene
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.families.registry import family_of
from model_core.runs.run import Run, sites
from model_core.sources.presets import open_model
from tests.support.command_line import LONG, PROMPT, families, traced
from tests.support.models.tiny import CONTEXT, VOCAB, save

pytestmark = pytest.mark.unit


@families
@pytest.mark.process
def test_trace_holds_every_site_of_the_run_bit_for_bit(
    models: dict[str, str], out: Path, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edits = ["mask off L1H2", "ablate L0H0"]
    tensors, about = traced(
        out, "--model", models[family], "--prompt", PROMPT, "--edit", edits[0], "--edit", edits[1]
    )
    loaded = open_model(models[family])
    run = Run(loaded.model, loaded.tokenizer.encode(PROMPT), [parse(edit) for edit in edits])
    described = sites(loaded.model, len(run.tokens))
    assert tensors.keys() == about["dims"].keys() == {site.key for site in described}
    for site in described:
        assert tensors[site.key].dtype == getattr(torch, site.dtype)
        assert torch.equal(tensors[site.key], run.value(site.key))
        assert about["dims"][site.key] == site.dims
    assert about["tokens"] == run.tokens
    assert "".join(about["strings"]) == PROMPT
    assert about["family"] == family_of(loaded.model.config).name
    assert type(loaded.model.config)(**about["config"]) == loaded.model.config
    assert about["edits"] == edits
    assert Scene.from_json(about["scene"]) == Scene(models[family], PROMPT, edits=tuple(edits))
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: {len(described)} sites of {len(run.tokens)} tokens, ")
    assert said.err == ""


@families
@pytest.mark.process
def test_trace_equals_what_the_window_is_told(models: dict[str, str], out: Path, family: str) -> None:
    tensors, about = traced(out, "--model", models[family], "--prompt", PROMPT)
    told: list[Frame] = []
    queries = [{"kind": "value", "arguments": {"site": key}} for key in tensors]
    ask = Frame("ask", 1, {"asks": [{"scene": about["scene"], "queries": queries}]})
    Engine(told.append).handle(ask, lambda: False)
    answers = {f.fields["query"]["arguments"]["site"]: f.arrays["values"] for f in told if f.kind == "answer"}
    assert answers.keys() == tensors.keys()
    for key, array in answers.items():
        whole = tensors[key][0] if about["dims"][key].startswith("B ") else tensors[key]
        assert torch.equal(torch.from_numpy(array.copy()), whole)


def test_trace_keeps_the_dtype_of_the_run(models: dict[str, str], out: Path) -> None:
    tensors, _ = traced(out, "--model", models["llama"], "--prompt", PROMPT, "--dtype", "bfloat16")
    float32 = {key for key, value in tensors.items() if value.dtype == torch.float32}
    assert float32 == {"rope.angles"}
    assert {value.dtype for value in tensors.values()} == {torch.float32, torch.bfloat16}


def test_trace_holds_the_sites_that_were_asked_for(models: dict[str, str], out: Path) -> None:
    tensors, about = traced(
        out, "--model", models["gpt2"], "--prompt", PROMPT, "--sites", "*.1.*.pattern", "--sites", "logits"
    )
    assert tensors.keys() == about["dims"].keys() == {"blocks.1.attn.pattern", "logits"}


@pytest.mark.process
def test_tokens_and_a_file_stand_in_for_the_prompt(models: dict[str, str], out: Path, tmp_path: Path) -> None:
    model = ["--model", models["gpt2"], "--sites", "logits"]
    by_text, about = traced(out, *model, "--prompt", PROMPT)
    ids = ",".join(map(str, about["tokens"]))
    (tmp_path / "prompt.txt").write_text(PROMPT, encoding="utf-8")
    for instead in (["--tokens", ids], ["--prompt-file", str(tmp_path / "prompt.txt")]):
        tensors, again = traced(out, *model, *instead)
        assert torch.equal(tensors["logits"], by_text["logits"])
        # Tokens that were given are kept as such.
        given = list(map(int, ids.split(","))) if instead[0] == "--tokens" else []
        assert again == about | {"scene": about["scene"] | {"ids": given}}


def test_prompt_file_is_read_to_its_last_byte(models: dict[str, str], out: Path, tmp_path: Path) -> None:
    text = "a cat\r\n  sat\t“there”\n\n"
    (tmp_path / "prompt.txt").write_bytes(text.encode())
    _, about = traced(out, "--model", models["gpt2"], "--prompt-file", str(tmp_path / "prompt.txt"))
    assert about["tokens"] == open_model(models["gpt2"]).tokenizer.encode(text)
    assert about["scene"]["prompt"] == text


def test_cut_prompt_is_the_beginning_that_fits(models: dict[str, str], out: Path) -> None:
    arguments = ["--model", models["llama"], "--sites", "logits", "--prompt", LONG]
    tensors, about = traced(out, *arguments, "--cut")
    assert tensors["logits"].shape == (1, CONTEXT, VOCAB)
    assert about["tokens"] == open_model(models["llama"]).tokenizer.encode(LONG)[:CONTEXT]
    assert LONG.startswith(about["scene"]["prompt"])


def test_trace_of_a_model_without_a_tokenizer_reads_ids(out: Path, tmp_path: Path) -> None:
    model = save(tmp_path / "ids", "gpt2", tokenizer=None)
    _, about = traced(out, "--model", model, "--prompt", "5 17 3")
    assert about["tokens"] == [5, 17, 3]
    assert about["strings"] == ["5", "17", "3"]


@pytest.mark.process
def test_trace_replaces_the_file_whole_or_not_at_all(
    models: dict[str, str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.write_text("what was there")
    arguments = ["trace", "--model", models["gpt2"], "--prompt", PROMPT, "--out", str(out)]

    def full_disk(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        path.write_bytes(b"begun")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full_disk)
        assert main(arguments) == 2
    assert out.read_text() == "what was there"
    assert [path.name for path in out.parent.glob("*.part")] == []
    assert main(arguments) == 0
    assert "logits" in load_file(out)
    assert [path for path in out.parent.iterdir() if path.is_file()] == [out]


def test_trace_can_be_read_by_whoever_may_read_new_files(models: dict[str, str], out: Path) -> None:
    (out.parent / "new").touch()
    traced(out, "--model", models["gpt2"], "--prompt", PROMPT)
    assert out.stat().st_mode == (out.parent / "new").stat().st_mode
