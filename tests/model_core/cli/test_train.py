"""`layerscope train` leaves a checkpoint, and a card that says how it was made."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_core.api.opening import RECIPE
from model_core.api.run_files import DESCRIPTION, LOG, NUMBERS, STATE
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.cli.__main__ import main
from model_core.sources import presets
from model_core.sources.presets import open_model
from model_core.text.tokenizer import END_OF_TEXT
from model_core.training import corpus
from model_core.training.control import Control
from model_core.training.run_folder import CHECKSUM, checksum
from tests.support.command_line import refused
from tests.support.models.tales import TALES
from tests.support.models.tiny import CONFIGS

pytestmark = pytest.mark.unit


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
