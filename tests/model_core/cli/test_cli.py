"""The command line does what it says, and says in one line what it cannot do."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_core.api.edits import parse
from model_core.api.opening import RECIPE
from model_core.api.plain_text import shortened
from model_core.api.protocol import Frame
from model_core.api.run_files import DESCRIPTION, LOG, NUMBERS, STATE
from model_core.api.scene import Scene
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.cli.__main__ import main
from model_core.cli.training import options
from model_core.engine.answering import Engine
from model_core.families.registry import family_of
from model_core.generation.generate import Sampling, generate
from model_core.parts.decoder import Decoder
from model_core.runs.run import Run, sites
from model_core.sources import presets
from model_core.sources.presets import NAMES, open_model, preset_named
from model_core.system import devices
from model_core.text.tokenizer import END_OF_TEXT
from model_core.training import corpus
from model_core.training.control import Control
from model_core.training.run_folder import CHECKSUM, checksum
from tests.support.hostile.broken import BROKEN
from tests.support.models.own_assets import copied_assets, use_assets
from tests.support.models.tiny import CONFIGS, CONTEXT, VOCAB, save

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
PROMPT = "The cat sat on the mat"
LONG = PROMPT * 10

families = pytest.mark.parametrize("family", CONFIGS)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The path of a tiny checkpoint of each family."""
    return {family: save(tmp_path_factory.mktemp(family), family) for family in CONFIGS}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


def traced(out: Path, *arguments: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a trace."""
    assert main(["trace", "--out", str(out), *arguments]) == 0
    with safe_open(out, framework="pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    return load_file(out), about


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
        assert again == about


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


def generated(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints."""
    capsys.readouterr()
    assert main(["generate", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


@families
@pytest.mark.process
def test_generate_prints_the_prompt_and_what_comes_after_it(
    models: dict[str, str], family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = open_model(models[family])
    ids = loaded.tokenizer.encode(PROMPT)
    for arguments, sampling, edits in (
        (["--temperature", "0"], Sampling(temperature=0), []),
        (
            ["--temperature", "0.7", "--top-k", "9", "--top-p", "0.9", "--seed", "3"],
            Sampling(0.7, 9, 0.9, 3),
            [],
        ),
        (["--seed", "3", "--edit", "mask off"], Sampling(seed=3), ["mask off"]),
    ):
        new = list(generate(loaded.model, ids, 10, sampling, [parse(edit) for edit in edits]))
        assert loaded.tokenizer.eos not in new
        said = generated(
            capsys, "--model", models[family], "--prompt", PROMPT, "--max-new-tokens", "10", *arguments
        )
        assert said == loaded.tokenizer.decode(ids + new) + "\n"
        assert said.startswith(PROMPT)


def test_prompt_of_ids_goes_on_in_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save(tmp_path / "ids", "gpt2", tokenizer=None)
    words = generated(capsys, "--model", model, "--prompt", "5,17,3", "--max-new-tokens", "4").split()
    assert words[:3] == ["5", "17", "3"]
    assert len(words) == 7


class Pieces(io.StringIO):
    """A stdout that remembers in which pieces it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        if text:
            self.pieces.append(text)
        return len(text)


@pytest.mark.parametrize(
    ("new", "pieces"),
    [
        (["a", b"\xe2", b"\x80", b"\x99", "s"], ["Ita", "’", "s", "\n"]),
        ([b"\xf0\x9f", b"\x98\x80", b"\xff", "b"], ["It", "😀", "\ufffdb", "\n"]),
        (["a", b"\xe2\x80"], ["Ita", "\ufffd", "\n"]),
        (["a", END_OF_TEXT], ["Ita", "\n"]),
    ],
)
def test_text_comes_as_it_is_made_and_no_character_in_parts(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch, new: list[str | bytes], pieces: list[str]
) -> None:
    tokenizer = open_model(models["gpt2"]).tokenizer

    def scripted(*_: object, **__: object) -> Iterator[int]:
        for part in new:
            # The id of a single byte is its value; a part of several bytes gives several tokens.
            yield from tokenizer.encode(part) if isinstance(part, str) else part

    monkeypatch.setattr("model_core.generation.generate.generate", scripted)
    stdout = Pieces()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["generate", "--model", models["gpt2"], "--prompt", "It"]) == 0
    assert stdout.pieces == pieces


@pytest.mark.process
def test_cut_prompt_to_go_on_after_is_the_end_with_room_for_the_new_tokens(
    models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = open_model(models["llama"]).tokenizer
    ids = tokenizer.encode(LONG)
    for count, kept in ((1, CONTEXT - 1), (5, CONTEXT - 5), (500, CONTEXT // 2)):
        said = generated(
            capsys,
            *("--model", models["llama"], "--prompt", LONG, "--cut"),
            *("--max-new-tokens", str(count), "--temperature", "0"),
        )
        assert said.startswith(tokenizer.decode(ids[-kept:]))
        assert said.count("\n") == 1
        loaded = open_model(models["llama"])
        new = list(generate(loaded.model, ids[-kept:], count, Sampling(temperature=0)))
        assert len(new) == min(count, CONTEXT - kept + 1)
        assert said == tokenizer.decode(ids[-kept:] + new) + "\n"


def test_models_lists_every_preset_with_its_size_and_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for name in NAMES:
        assert f"{name}\n    {preset_named(name).about}" in said.out
    folder = presets.folder_of("tales-llama")
    size = (folder / WEIGHTS).stat().st_size
    assert f"LLaMA, 2,755,008 parameters, {size / 1e6:.1f} MB in {folder}" in said.out
    assert "or the folder that has config.json, params.json or layerscope.json" in said.out


TALES = [
    "Once upon a time there was a king who had three sons and one apple tree. " * 12,
    "There was once a fox that could count to four and did so all day long. " * 12,
    "The third tale is short, and nobody in it counts.\n" * 6,
]


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """Arguments that name two files of three tales."""
    first, second = tmp_path / "two tales.txt", tmp_path / "third.txt"
    first.write_text(END_OF_TEXT.join(TALES[:2]), encoding="utf-8")
    second.write_text(TALES[2], encoding="utf-8")
    return ["--data", str(first), "--data", str(second)]


TINY = """
[recipe]
steps = 5
batch = 4
length = 16
warmup = 2
held_out = [2]
"""


@pytest.fixture
def preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a preset that is trained in no time, its third document held out."""
    folder = copied_assets(tmp_path / "program") / "tiny"
    folder.mkdir()
    config = "\n".join(
        f"{name} = {json.dumps(field)}" for name, field in vars(CONFIGS["llama"]).items() if field is not None
    )
    (folder / RECIPE).write_text(
        f'about = "A llama for tests"\nfamily = "llama"\ntokenizer = "tales-2048"\n[config]\n{config}\n{TINY}',
        encoding="utf-8",
    )
    use_assets(monkeypatch, tmp_path / "program")
    monkeypatch.setattr(presets, "NAMES", (*NAMES, "tiny"))
    monkeypatch.setattr(options, "REPORT_EVERY", 2)
    return "tiny"


@pytest.mark.process
def test_train_writes_a_checkpoint_and_a_card_that_says_how_it_was_made(
    preset: str, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    licence = "CC0, by nobody"
    assert main(["train", "--preset", preset, *data, "--out", str(out), "--licence", licence]) == 0
    said = capsys.readouterr()
    progress = said.err.splitlines()
    assert [line.split("  ")[0] for line in progress] == ["step 2 of 5", "step 4 of 5", "step 5 of 5"]
    assert all("loss" in line and "tokens/s" in line and "left" in line for line in progress)
    assert said.out.startswith(f"{out}: tiny, held out: documents 2 (counted from 0), ")

    assert sorted(path.name for path in out.iterdir()) == ["README.md", MANIFEST, LOG, WEIGHTS, DESCRIPTION]
    loaded = open_model(str(out))
    assert loaded.name == "tiny"
    assert loaded.model.config == CONFIGS["llama"]
    card = (out / "README.md").read_text(encoding="utf-8")
    size = len(END_OF_TEXT.join(TALES[:2]))
    for words in (
        "# tiny\n\nA llama for tests\n",
        f"- Data: two tales.txt ({size:,} bytes), third.txt ({len(TALES[2])} bytes)\n",
        f"- Licence of the data: {licence}\n",
        "- Tokenizer: tales-2048, 2,048 tokens\n",
        "- Configuration: llama, vocab_size 2048, width 24, layers 3, ",
        f"- Parameters: {loaded.model.parameter_count:,}\n",
        "- Training: 5 steps of 4 rows of 16 tokens, 0 of them a chunk repeated; AdamW, learning rate 0.002 after 2 "
        "steps of warm-up, by half a cosine to a tenth, weight decay 0.1, gradients clipped at 1; "
        "matrix products in float32\n",
        "- Seed: 0\n",
        f"- Tokens seen: {5 * 4 * 16}\n",
        "    held out: documents 2 (counted from 0), ",
        f"{len(TALES[2].strip())} bytes: loss 7.",
        "    layerscope train --preset tiny --data 'two tales.txt' --data third.txt --held-out 2 --length 16 --out made"
        " --steps 5 --batch 4 --lr 0.002 --dtype float32 --device cpu --seed 0 --licence 'CC0, by nobody'\n",
        "    layerscope evaluate made --data 'two tales.txt' --data third.txt\n",
        "    best induction  L",
        "    L2H3 ",
    ):
        assert words in card
    assert str(tmp_path) not in card
    assert " bits per byte\n" in card


@pytest.mark.process
def test_a_preset_holds_out_the_end_of_a_text_that_has_not_its_documents(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = presets.folder_of(preset) / RECIPE
    recipe.write_text(recipe.read_text(encoding="utf-8") + "[[phase]]\nsteps = 3\n", encoding="utf-8")
    text, out = tmp_path / "own.txt", tmp_path / "made"
    text.write_text(TALES[0], encoding="utf-8")
    note = "the text has 1 document, and not those that tiny holds out: its last 5% is held out instead"
    begin = ["train", "--preset", preset, "--data", str(text), "--save-every", "2"]
    assert main([*begin, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines()[0] == note
    assert said.out.startswith(f"{out}: tiny, held out: the last 5% of the text, ")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "    held out: the last 5% of the text, " in card
    assert " --held-out 5% " in card
    run = json.loads((out / DESCRIPTION).read_text(encoding="utf-8"))["run"]
    for phase in (run["recipe"], run["phases"]["2"]):
        assert (phase["held_out"], phase["held_out_share"]) == ([], 0.05)
    assert main(["evaluate", str(out), "--data", str(text)]) == 0
    assert "held out: the last 5% of the text, " in capsys.readouterr().out

    assert main([*begin, "--out", str(tmp_path / "told"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["note"] == note


@pytest.mark.process
def test_the_same_command_goes_on_with_a_text_that_has_not_the_documents_of_its_preset(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, whole, stopped = tmp_path / "own.txt", tmp_path / "whole", tmp_path / "stopped"
    text.write_text(TALES[0], encoding="utf-8")
    begin = ["train", "--preset", preset, "--data", str(text), "--save-every", "2"]
    assert main([*begin, "--out", str(whole)]) == 0
    with monkeypatch.context() as patched:
        patched.setattr(Control, "cancelled", lambda control: (stopped / STATE).is_file())
        assert main([*begin, "--out", str(stopped)]) == 130
    capsys.readouterr()
    assert main([*begin, "--out", str(stopped)]) == 0
    assert capsys.readouterr().err.splitlines()[1] == "going on after step 2 of 5"
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


@pytest.mark.process
def test_a_forged_state_beyond_the_end_ends_in_one_line_and_changes_nothing(
    preset: str,
    data: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever knows how the checksum is made says that more was trained than there is to train."""
    out = tmp_path / "made"
    begin = ["train", "--preset", preset, *data, "--save-every", "2", "--out", str(out)]
    with monkeypatch.context() as patched:
        patched.setattr(Control, "cancelled", lambda control: (out / STATE).is_file())
        assert main(begin) == 130
    tensors = load_file(out / STATE)
    with safe_open(out / STATE, framework="pt") as file:
        numbers = json.dumps(json.loads(file.metadata()[NUMBERS]) | {"step": 6})
    save_file(tensors, out / STATE, {NUMBERS: numbers, CHECKSUM: checksum(tensors, numbers)})
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    said = refused(capsys, begin)
    assert said == (
        f"{out / STATE} is damaged: it is of step 6, but the training has 5; delete it to begin anew"
    )
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.process
def test_what_has_the_name_of_a_preset_is_evaluated_as_its_card_says(
    preset: str,
    data: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "tales-llama"
    assert main(["train", "--preset", preset, *data, "--out", str(out)]) == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    command = next(line.split()[1:] for line in card.splitlines() if "layerscope evaluate " in line)
    assert command[:2] == ["evaluate", "./tales-llama"]
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main([*command[:2], *data]) == 0
    said = capsys.readouterr().out
    assert "".join(f"    {line}".rstrip() + "\n" for line in said.splitlines()) in card
    begin = [
        "train",
        "--from",
        str(out),
        *data,
        "--steps",
        "1",
        "--length",
        "8",
        "--out",
        str(tmp_path / "more"),
    ]
    assert main(begin) == 0
    assert " train --from ./tales-llama " in (tmp_path / "more" / "README.md").read_text(encoding="utf-8")


def test_a_model_is_named_so_that_no_preset_is_meant_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tales-llama", "growth@16", "untrained:llama/tiny"):
        assert presets.said_again(name) == name
    for path, word in (
        ("runs/mine", "mine"),
        ("runs/growth", "./growth"),
        ("runs/growth@16", "./growth@16"),
        (str(presets.folder_of("growth")), "growth"),
        (f"{presets.folder_of('growth')}@16", "growth@16"),
    ):
        assert presets.said_again(path) == word
    (tmp_path / "growth@16").mkdir()
    assert presets.said_again("growth@16") == "./growth@16"


@pytest.mark.process
def test_evaluate_repeats_what_the_card_says(
    preset: str, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert main(["train", "--preset", preset, *data, "--out", str(out), "--seed", "2"]) == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(out), *data]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "".join(f"    {line}".rstrip() + "\n" for line in said.out.splitlines()) in card
    *scores, blank, measured = said.out.splitlines()
    assert blank == ""
    assert measured.startswith("held out: documents 2 ")
    assert scores[0].startswith("best previous   L")
    assert len(scores) == 3 + 2 + 12


def test_evaluate_measures_the_documents_that_are_named(
    models: dict[str, str], data: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", models["gpt2"], *data, "--held-out", "0,1"]) == 0
    assert "held out: documents 0, 1 (counted from 0), " in capsys.readouterr().out
    assert main(["evaluate", models["gpt2"]]) == 0
    assert "held out" not in capsys.readouterr().out


@pytest.mark.process
def test_same_seed_trains_the_same_file(preset: str, data: list[str], tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        arguments = ["--steps", "2", "--dtype", "bfloat16", "--seed", seed]
        assert main(["train", "--preset", preset, *data, "--out", str(tmp_path / name), *arguments]) == 0
    a, b, c = ((tmp_path / name / WEIGHTS).read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert "2 steps" in (card := (tmp_path / "a" / "README.md").read_text(encoding="utf-8"))
    assert "matrix products in bfloat16\n- Seed: 1\n" in card


def test_everything_may_be_trained_on(preset: str, data: list[str], tmp_path: Path) -> None:
    assert main(["train", "--preset", preset, *data, "--out", str(tmp_path / "made"), "--held-out", ""]) == 0
    assert "    held out: nothing\n" in (tmp_path / "made" / "README.md").read_text(encoding="utf-8")


def test_training_stopped_by_the_keyboard_keeps_the_last_checkpoint_quietly(
    preset: str,
    data: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    batch_at = corpus.batch_at

    def pressed(step: int, *rest: Any) -> tuple[Tensor, Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return batch_at(step, *rest)

    monkeypatch.setattr(corpus, "batch_at", pressed)
    out = tmp_path / "made"
    assert main(["train", "--preset", preset, *data, "--out", str(out)]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split("  ")[0] for line in said.err.splitlines()] == ["step 2 of 5"]
    assert sorted(path.name for path in out.iterdir()) == [MANIFEST, LOG, WEIGHTS, DESCRIPTION, STATE]
    assert open_model(str(out)).model.config == CONFIGS["llama"]


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> str:
    """The line that a command with wrong input leaves."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("layerscope: ")
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    assert "Traceback" not in said.err
    return said.err.removeprefix("layerscope: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: COMMAND; see layerscope --help"),
        ("dance", "invalid choice: 'dance'"),
        ("trace", "the following arguments are required: --model, --out; see layerscope trace --help"),
        ("trace --model M --out F", "one of the arguments --prompt --tokens --prompt-file is required"),
        (
            "trace --model M --out F --prompt a --tokens 1",
            "argument --tokens: not allowed with argument --prompt",
        ),
        (
            "trace --model M --out F --tokens 1,x,3",
            "argument --tokens: '1,x,3' are no token ids such as 1,2,3",
        ),
        ("trace --model M --out F --tokens 1,,3", "'1,,3' are no token ids"),
        ("trace --model M --out F --tokens=-1", "'-1' are no token ids"),
        ("trace --model M --out F --tokens 1.5", "'1.5' are no token ids"),
        ("trace --model M --out F --prompt a --color", "unrecognized arguments: --color"),
        ("generate --model M", "the following arguments are required: --prompt"),
        ("generate --model M --prompt a --max-new-tokens 0", "'0' is not a whole number from 1 up"),
        ("generate --model M --prompt a --max-new-tokens -3", "'-3' is not a whole number from 1 up"),
        ("generate --model M --prompt a --top-k x", "argument --top-k: invalid int value: 'x'"),
        ("generate --model M --prompt a --seed 1e3", "'1e3' is not a whole number from 0 up"),
        ("generate --model M --prompt a --temperature nan", "temperature nan is not a number from 0 up"),
        ("generate --model M --prompt a --temperature=-1", "temperature -1.0 is not a number from 0 up"),
        ("generate --model M --prompt a --top-k 0", "top-k 0 keeps no token"),
        ("generate --model M --prompt a --top-p 2", "top-p 2.0 is not a share above 0 and up to 1"),
        ("generate --model M --prompt a --edit dance", "no edit reads 'dance': try "),
        ("train --preset tales-llama --out D", "tales-llama learns from text: name it with --data FILE"),
        ("train --preset p --out D --data F", "there is no preset 'p': name one of tales-llama"),
        ("train --preset p --out D --data F --dtype float8", "argument --dtype: invalid choice: 'float8'"),
        ("train --preset p --out D --data F --held-out one", "'one' are no document numbers such as 1,2,3"),
        ("engine now", "unrecognized arguments: now"),
    ],
)
def test_wrong_arguments_are_one_line(capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    assert message in refused(capsys, line.split())


@pytest.mark.parametrize(
    "model", ["no/such/path", "tales", "a\nb", "~nobody-of-this-name/model", "x" * 5000, "", "."]
)
def test_model_that_is_neither_a_preset_nor_a_path_is_one_line(
    capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, ["generate", "--model", model, "--prompt", "a"])
    if model in ("", "."):
        assert message == (
            ". has no config.json, params.json or layerscope.json: give the folder of a checkpoint"
        )
    else:
        assert message.startswith(
            f"there is no model '{shortened(' '.join(model.split()), 200)}': name a preset ({', '.join(NAMES)})"
        )


WITH_MODEL: dict[str, tuple[str, str]] = {
    "empty prompt": ("trace --prompt= --out {out}", "the prompt is empty: type some text"),
    "empty prompt to go on after": ("generate --prompt=", "the prompt is empty: type some text"),
    "no tokens": ("trace --tokens= --out {out}", "the prompt is empty: type some text"),
    "token outside": ("trace --tokens 1,2048 --out {out}", "Token id 2048 is not in this vocabulary"),
    "long prompt": (
        "trace --prompt {long} --out {out}",
        "more than the context of 24: shorten it, or let --cut do so",
    ),
    "long prompt to go on after": (
        "generate --prompt {long}",
        "more than the context of 24: shorten it, or let",
    ),
    "long tokens": (
        f"trace --tokens {','.join(['1'] * 31)} --out {{out}}",
        "the prompt has 31 tokens, 7 more than the context of 24: shorten it, or let --cut do so",
    ),
    "unknown site": (
        "trace --prompt a --sites *.patern --out {out}",
        "no site matches '*.patern'; nearest: blocks.",
    ),
    "site of no layer": ("trace --prompt a --sites blocks.7.* --out {out}", "no site matches 'blocks.7.*'"),
    "unknown layer": (
        "generate --prompt a --edit ablate@L3H0",
        "ablate L3H0: there is no layer 3; this model has layers 0 to 2",
    ),
    "unknown head": (
        "trace --prompt a --edit mask@off@L0H4 --out {out}",
        "mask off L0H4: there is no head 4; this model has heads 0 to 3",
    ),
    "unknown device": (
        "generate --prompt a --device abacus",
        "there is no device 'abacus' here; this machine has cpu",
    ),
    "unknown dtype": (
        "generate --prompt a --dtype float7",
        "there is no dtype 'float7'; choose one of float32",
    ),
    "prompt that is no UTF-8": ("generate --prompt \udcff", "the prompt is not valid UTF-8 text"),
    "prompt file that is no UTF-8": (
        "trace --prompt-file {latin1} --out {out}",
        "latin1.txt is not UTF-8 text: byte 2 cannot be read",
    ),
    "prompt file that is not there": (
        "trace --prompt-file {nowhere} --out {out}",
        "nowhere cannot be read: No such file or directory",
    ),
    "prompt file that is a folder": (
        "trace --prompt-file {folder} --out {out}",
        "cannot be read: Is a directory",
    ),
    "out is a folder": ("trace --prompt a --out {folder}", "cannot be written: it is there and is no file"),
    "out is a device": (
        f"trace --prompt a --out {os.devnull}",
        "cannot be written: it is there and is no file",
    ),
    "out is nowhere": ("trace --prompt a --out {nowhere}/x", "cannot be written: No such file or directory"),
    "out is below a file": ("trace --prompt a --out {latin1}/x", "cannot be written: Not a directory"),
    "out is too long": ("trace --prompt a --out " + "x" * 300, "cannot be written: File name too long"),
}


@pytest.mark.parametrize("case", WITH_MODEL)
def test_wrong_input_is_one_line(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], tmp_path: Path, case: str
) -> None:
    line, message = WITH_MODEL[case]
    (tmp_path / "latin1.txt").write_bytes("naïve".encode("latin-1"))
    names = {
        "out": tmp_path / "run.safetensors",
        "nowhere": tmp_path / "nowhere",
        "folder": tmp_path,
        "latin1": tmp_path / "latin1.txt",
        "long": LONG.replace(" ", "@"),
    }
    command, *rest = [word.format(**names).replace("@", " ") for word in line.split()]
    before = sorted(tmp_path.iterdir())
    assert message in refused(capsys, [command, "--model", models["gpt2"], *rest])
    assert sorted(tmp_path.iterdir()) == before


def test_out_that_cannot_be_written_is_told_before_anything_is_computed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "open_model", lambda *_: pytest.fail("the model was opened"))
    arguments = ["trace", "--model", "m", "--prompt", "a", "--out", str(tmp_path / "nowhere" / "x")]
    assert "cannot be written" in refused(capsys, arguments)


def test_dtype_that_the_device_cannot_compute_in_is_one_line(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("\"softmax_lastdim_kernel_impl\" not implemented for 'Half'")

    monkeypatch.setattr(devices.torch.Tensor, "softmax", missing)
    arguments = ["generate", "--model", models["gpt2"], "--prompt", "a", "--dtype", "float16"]
    message = refused(capsys, arguments)
    assert message == "cpu cannot compute in float16: choose another dtype or device"


@pytest.mark.parametrize("command", ["trace", "generate", "evaluate", "train"])
def test_memory_that_ran_out_is_one_line(
    capsys: pytest.CaptureFixture[str],
    models: dict[str, str],
    out: Path,
    preset: str,
    data: list[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")

    forward = Decoder.forward
    monkeypatch.setattr(
        Decoder,
        "forward",
        lambda self, tokens, *rest: forward(self, tokens, *rest) if tokens.is_meta else exhausted(),
    )
    arguments = {
        "trace": ["--model", models["llama"], "--prompt", PROMPT, "--out", str(out)],
        "generate": ["--model", models["llama"], "--prompt", PROMPT],
        "evaluate": [models["llama"]],
        "train": ["--preset", preset, *data, "--out", str(out)],
    }[command]
    assert " needs more memory than is free: use " in refused(capsys, [command, *arguments])


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("command", ["generate", "trace", "evaluate"])
def test_broken_checkpoint_is_one_line(
    capsys: pytest.CaptureFixture[str],
    models: dict[str, str],
    tmp_path: Path,
    out: Path,
    command: str,
    case: str,
) -> None:
    damage, words = BROKEN[case]
    folder = tmp_path / "broken"
    shutil.copytree(models["llama"], folder)
    damage(folder)
    arguments = {
        "generate": ["--model", str(folder), "--prompt", PROMPT],
        "trace": ["--model", str(folder), "--prompt", PROMPT, "--out", str(out)],
        "evaluate": [str(folder)],
    }[command]
    message = refused(capsys, [command, *arguments])
    assert all(word in message for word in words), message
    assert not out.exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_text_to_learn_from_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], preset: str, tmp_path: Path, command: str
) -> None:
    text = tmp_path / "text.txt"
    what = {
        "train": ["--preset", preset, "--out", str(tmp_path / "made")],
        "evaluate": [models["llama"]],
    }[command]
    begin = [command, *what, "--held-out", "2", "--data", str(text)]
    assert "text.txt cannot be read: No such file or directory" in refused(capsys, begin)
    text.write_bytes(b"abc\xff")
    assert "text.txt is not UTF-8 text: byte 3 cannot be read" in refused(capsys, begin)
    text.write_text("one short document", encoding="utf-8")
    assert refused(capsys, begin) == "document 2 cannot be held out: the text has 1 document"


def test_training_that_cannot_begin_is_one_line(
    capsys: pytest.CaptureFixture[str],
    preset: str,
    data: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = ["train", "--preset", preset, *data]
    made = tmp_path / "made"
    assert "there is no device 'abacus' here" in refused(
        capsys, [*begin, "--out", str(made), "--device", "abacus"]
    )
    (tmp_path / "file").touch()
    assert "file cannot be written: " in refused(capsys, [*begin, "--out", str(tmp_path / "file")])
    too_short = [*begin, "--held-out", "0,1", "--out", str(made)]
    recipe = presets.folder_of(preset) / RECIPE
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("length = 16", "length = 500"))
    assert "training needs more than 500" in refused(capsys, too_short)


def test_documents_to_measure_must_be_named_for_a_model_that_is_no_preset(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], data: list[str]
) -> None:
    message = refused(capsys, ["evaluate", models["llama"], *data])
    assert message == "tiny is no preset: say with --held-out which documents to measure"


def test_fault_of_ours_is_no_wrong_input(models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(Decoder, "forward", faulty)
    # Uncaught, it ends the process with a traceback and 1.
    with pytest.raises(RuntimeError, match="ours"):
        main(["generate", "--model", models["gpt2"], "--prompt", "a"])


@pytest.mark.process
def test_help_answers_without_loading_torch() -> None:
    code = (
        "import sys\n"
        "from model_core.cli.__main__ import main\n"
        "for command in ([], ['trace'], ['generate'], ['train'], ['evaluate'], ['models'], ['engine']):\n"
        "    try: main([*command, '--help'])\n"
        "    except SystemExit as done: assert not done.code\n"
        "assert main(['dance']) == 2\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "False False"
    assert "usage: layerscope train" in done.stdout


@pytest.mark.process
def test_reader_that_goes_away_ends_the_command_quietly(models: dict[str, str]) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "model_core.cli", "generate", "--model", models["gpt2"]),
            *("--prompt", "naïve " + PROMPT, "--max-new-tokens", "10"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    # A terminal that knows no ï is no reason to stop; one that is closed is.
    assert process.stdout.read(8) == b"na?ve Th"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 130
