"""A training can be killed, stopped, paused and gone on with; what it kept stays whole, and it says what it does."""

import errno
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_core.api.errors import InputError
from model_core.api.files.folder_lock import LOCK
from model_core.api.recipe import phase_of, recipe_of
from model_core.api.run_files import CARD, DESCRIPTION, LOG, STATE
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.checkpoint.opening import open_checkpoint
from model_core.cli.__main__ import main
from model_core.text.tokenizer import END_OF_TEXT
from model_core.training import run_folder
from model_core.training.control import Control
from model_core.training.corpus import TextTask, corpus_in
from model_core.training.plan import of_checkpoint
from model_core.training.run_folder import RunFolder
from model_core.training.train import train

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]

TEXT = "Once upon a time there was a king who had three sons and one apple tree. " * 40
DESCRIBED: dict[str, Any] = {
    "family": "mini",
    "tokenizer": "tales-2048",
    "config": {"width": 16, "layers": 2, "heads": 2, "hidden": 32, "context": 16, "dropout": 0.2},
    "recipe": {"steps": 18, "batch": 4, "length": 16, "warmup": 4, "repeats": 0.25, "held_out_share": 0.2},
}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Trains a tiny model with dropout, keeping it after every 3 steps; the folder is to be added."""
    (tmp_path / "tiny.json").write_text(json.dumps(DESCRIBED), encoding="utf-8")
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    words = ["train", "--config", str(tmp_path / "tiny.json"), "--data", str(tmp_path / "text.txt")]
    return [*words, "--report-every", "2", "--save-every", "3", "--measure-every", "4", "--out"]


def started(command: list[str], *more: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "model_core.cli", *command, *more],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def after(process: subprocess.Popen[str], event: str, step: int) -> list[dict[str, Any]]:
    """What the process tells up to an event at that step or later."""
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1]["event"] == event and told[-1].get("step", step) >= step:
            return told
    pytest.fail(f"it ended after {told} and {process.communicate()[1]}")


def log(folder: Path) -> list[dict[str, Any]]:
    """The log, without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "tokens_per_second")}
        for line in lines
    ]


def test_training_that_was_killed_goes_on_to_the_same_weights_bit_for_bit(
    command: list[str], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*command, str(whole)]) == 0
    process = started([*command, str(killed)], "--json")
    after(process, "saved", 6)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (killed / STATE).is_file()
    assert not (killed / CARD).exists()

    again = started([*command, str(killed)], "--json")
    told = [json.loads(line) for line in again.communicate()[0].splitlines()]
    assert again.returncode == 0
    assert told[0]["event"] == "begun"
    assert 6 <= told[0]["step"] < 18
    assert told[-1]["event"] == "finished"
    assert (killed / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert log(killed) == log(whole)
    assert sorted(path.name for path in killed.iterdir()) == [CARD, MANIFEST, LOG, WEIGHTS, DESCRIPTION]


@pytest.fixture
def in_phases(command: list[str], tmp_path: Path) -> list[str]:
    """The same with a second phase of 9 steps."""
    phase = {"steps": 9, "batch": 6, "lr": 0.001, "warmup": 2, "repeats": 0.5, "random_repeats": 1.0}
    described = DESCRIBED | {"phase": [phase]}
    (tmp_path / "tiny.json").write_text(json.dumps(described), encoding="utf-8")
    return command


@pytest.mark.parametrize(
    ("method", "step"), [("log", 16), ("keep", 18), ("log", 18), ("log", 20), ("keep", 21)]
)
def test_training_that_dies_in_any_phase_goes_on_to_the_same_weights_bit_for_bit(
    in_phases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, step: int
) -> None:
    whole, died = tmp_path / "whole", tmp_path / "died"
    assert main([*in_phases, str(whole)]) == 0
    with monkeypatch.context() as patched:
        kept = getattr(RunFolder, method)

        def dies(self: RunFolder, *given: Any) -> None:
            """Dies where the checkpoint of that step is written already, and the state to go on from is not."""
            if given[-1].step == step:
                raise RuntimeError("dead")
            kept(self, *given)

        patched.setattr(RunFolder, method, dies)
        with pytest.raises(RuntimeError, match="dead"):
            main([*in_phases, str(died)])
    assert main([*in_phases, str(died)]) == 0
    assert (died / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert log(died) == log(whole)
    assert log(whole)[-1]["step"] == 27


def test_training_that_is_stopped_again_and_again_through_its_phases_is_one_training(
    in_phases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*in_phases, str(whole)]) == 0
    asked: list[int] = []

    def cancelled(self: Control) -> bool:
        asked.append(1)
        return len(asked) % 4 == 0

    with monkeypatch.context() as patched:
        patched.setattr(Control, "cancelled", cancelled)
        while (code := main([*in_phases, str(stopped)])) == 130:
            pass
    assert code == 0
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert log(stopped) == log(whole)


def test_the_second_phase_is_what_training_the_saved_model_further_would_be(
    in_phases: list[str], tmp_path: Path
) -> None:
    """Each phase begins from the model that the one before has left in the folder, as anybody would open it."""
    made, first = tmp_path / "made", tmp_path / "first"
    assert main([*in_phases, str(made)]) == 0
    card = (made / CARD).read_text(encoding="utf-8")
    assert "18 steps of 4 rows of 16 tokens, 1 of them a chunk repeated, 1 of those of random tokens" in card
    assert "Then, with a new optimiser, 9 steps of 6 rows of 16 tokens, 3 of them a chunk repeated" in card
    described = DESCRIBED | {"name": "tiny"}
    (tmp_path / "tiny.json").write_text(json.dumps(described), encoding="utf-8")
    assert main([*in_phases, str(first)]) == 0
    plan = of_checkpoint(str(first), [], "tiny")
    recipe = phase_of(
        recipe_of(DESCRIBED["recipe"]),
        {"steps": 9, "batch": 6, "lr": 0.001, "warmup": 2, "repeats": 0.5, "random_repeats": 1.0},
    )
    corpus = corpus_in([tmp_path / "text.txt"], plan.tokenizer, (), recipe.held_out_share)
    model = plan.model()
    train(model, TextTask(corpus, plan.config.vocab_size, recipe), recipe, lambda progress: None)
    saved = open_checkpoint(made).model.state_dict()
    for name, values in model.state_dict().items():
        assert torch.equal(values.half().float(), saved[name])


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"steps": 3, "held_out": [1]}, "a phase has no 'held_out' of its own"),
        ({"steps": 3, "gain": 0.1}, "a phase has no 'gain' of its own"),
        ({"lr": 0.1}, "the recipe does not say how many steps to train"),
        ({"steps": 3, "random_repeats": 1.5}, "random_repeats is 1.5, not a share from 0 to 1"),
        ({"steps": 3, "length": 500}, "rows of 500 tokens do not fit the model's context of 16"),
        ("three", "'phase' is 'three', not an object"),
    ],
)
def test_a_phase_that_cannot_be_is_refused_before_anything_is_trained(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], phase: object, message: str
) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(DESCRIBED | {"phase": [phase]}), encoding="utf-8")
    assert main([*command, str(tmp_path / "made")]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1


def stopped_in(
    process: subprocess.Popen[str], stop: Callable[[], None], step: int
) -> tuple[int, dict[str, Any]]:
    """The exit code, and the last thing told, of a process that is asked to stop after that step."""
    after(process, "saved", step)
    stop()
    out, _ = process.communicate()
    return process.returncode, json.loads(out.splitlines()[-1])


@pytest.mark.parametrize("word", ["SIGTERM", "stop", ""])
def test_training_that_is_asked_to_stop_finishes_its_step_and_keeps_it(
    command: list[str], tmp_path: Path, word: str
) -> None:
    folder = tmp_path / "made"
    process = started([*command, str(folder), "--steps", "100000"], "--json", "--controlled")

    def stop() -> None:
        assert process.stdin is not None
        if word.startswith("SIG"):
            process.send_signal(getattr(signal, word))
        elif word:
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
        # Without a word stdin ends, as when the window goes away.

    code, last = stopped_in(process, stop, 6)
    assert code == 130
    assert last["event"] == "stopped"
    state = load_file(folder / STATE)
    (moment,) = {int(values) for name, values in state.items() if name.startswith("moments step ")}
    assert last["step"] == moment >= 6
    assert open_checkpoint(folder).name == "tiny"


def test_training_pauses_and_goes_on_by_words(command: list[str], tmp_path: Path) -> None:
    process = started([*command, str(tmp_path / "made"), "--steps", "19"], "--json", "--controlled")
    assert process.stdin is not None
    process.stdin.write("pause\n")
    process.stdin.flush()
    after(process, "paused", 0)
    process.stdin.write("nonsense\nresume\n")
    process.stdin.flush()
    after(process, "resumed", 0)
    told = after(process, "finished", 19)
    assert [line["step"] for line in told if line["event"] == "progress"][-1] == 19
    process.communicate()
    assert process.returncode == 0


def test_log_has_one_object_a_report(command: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert main([*command, str(folder)]) == 0
    lines = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == list(range(2, 19, 2))
    names = {"step", "loss", "lr", "grad_norm", "tokens", "tokens_per_second", "seconds"}
    for line in lines:
        measured = line["step"] % 4 == 0 or line["step"] == 18
        assert line.keys() == names | ({"held_out_loss"} if measured else set())
        assert line["tokens"] == line["step"] * 4 * 16
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)


def test_measuring_held_out_text_disturbs_nothing(command: list[str], tmp_path: Path) -> None:
    often, never = tmp_path / "often", tmp_path / "never"
    assert main([*command, str(often), "--measure-every", "2"]) == 0
    assert main([*command, str(never), "--measure-every", "1000"]) == 0
    assert (often / WEIGHTS).read_bytes() == (never / WEIGHTS).read_bytes()
    assert sum("held_out_loss" in line for line in log(often)) == 9
    assert sum("held_out_loss" in line for line in log(never)) == 1


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("layerscope: ")
    assert not any(line.startswith(("layerscope", "Traceback")) for line in said[:-1])
    return said[-1]


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission denied")]
)
def test_what_was_kept_stays_where_no_more_can_be_written(
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    reason: str,
) -> None:
    folder, kept = tmp_path / "made", []

    def full(tensors: dict[str, torch.Tensor], path: Path, numbers: dict[str, str]) -> None:
        if kept:
            path.write_bytes(b"half of it")
            raise OSError(number, os.strerror(number))
        save_file(tensors, path, numbers)
        kept.append(path.read_bytes())

    monkeypatch.setattr(run_folder, "save_file", full)
    assert f"{folder / STATE} cannot be written: {reason}" in refused(capsys, [*command, str(folder)])
    assert (folder / STATE).read_bytes() == kept[0]
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, LOG, WEIGHTS, DESCRIPTION, STATE]

    monkeypatch.undo()
    whole = tmp_path / "whole"
    assert main([*command, str(folder)]) == 0
    assert main([*command, str(whole)]) == 0
    assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert log(folder) == log(whole)


def test_folder_belongs_to_one_training(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made"
    assert main([*command, str(folder)]) == 0
    assert "holds this training, done: name another folder" in refused(capsys, [*command, str(folder)])
    said = refused(capsys, [*command, str(folder), "--steps", "19"])
    assert f"{folder} holds another training: its recipe steps is 18, not 19; " in said
    (tmp_path / "text.txt").write_text(TEXT + "More.", encoding="utf-8")
    assert "holds a training on another text: give the same text" in refused(capsys, [*command, str(folder)])
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}", encoding="utf-8")
    assert "holds another model (config.json): name another folder" in refused(capsys, [*command, str(other)])


def test_a_description_whose_names_are_long_takes_no_memory(tmp_path: Path) -> None:
    leaves = {str(n): 0 for n in range(20_000)}
    (tmp_path / "training.json").write_text(json.dumps({"run": {"a" * 100_000: leaves}}), encoding="utf-8")
    tracemalloc.start()
    with pytest.raises(InputError, match="holds another training: its "):
        RunFolder(tmp_path, {"name": "made"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


def test_damaged_state_is_one_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "made"
    monkeypatch.setattr("model_core.training.control.Control.cancelled", lambda self: True)
    assert main([*command, str(folder)]) == 130
    whole = (folder / STATE).read_bytes()
    for damaged in (
        whole[:-10],
        b"",
        b"no tensors at all",
        whole.replace(b"weights embed", b"weights ebmed"),
    ):
        (folder / STATE).write_bytes(damaged)
        said = refused(capsys, [*command, str(folder)])
        assert f"{folder / STATE} is damaged: " in said
        assert said.endswith("; delete it to begin anew")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_resumes_bit_for_bit(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    from model_core.training.control import Control

    whole, parts, asked = tmp_path / "whole", tmp_path / "parts", []

    def cancelled(control: Control) -> bool:
        asked.append(0)
        return len(asked) == 8

    assert main([*command, str(whole), "--dtype", dtype]) == 0
    monkeypatch.setattr(Control, "cancelled", cancelled)
    assert main([*command, str(parts), "--dtype", dtype]) == 130
    assert main([*command, str(parts), "--dtype", dtype]) == 0
    assert (whole / WEIGHTS).read_bytes() == (parts / WEIGHTS).read_bytes()
    assert log(whole) == log(parts)


def test_fine_tuning_lowers_the_loss_of_text_that_was_held_out(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, tuned, verse = tmp_path / "base", tmp_path / "tuned", tmp_path / "verse.txt"
    assert main([*command, str(base), "--steps", "60"]) == 0
    verse.write_text("ROMEO:\nBut soft, what light through yonder window breaks?\n\n" * 60, encoding="utf-8")
    words = ["train", "--from", str(base), "--data", str(verse), "--out", str(tuned), "--lr", "0.003"]
    assert main([*words, "--steps", "40", "--batch", "4"]) == 0
    capsys.readouterr()
    losses = []
    for model in (base, tuned):
        assert main(["evaluate", str(model), "--data", str(verse), "--held-out", "5%"]) == 0
        said = capsys.readouterr().out
        assert "held out: the last 5% of the text, " in said
        losses.append(float(said.split("loss ")[1].split()[0]))
    assert losses[1] < losses[0] - 0.5
    card = (tuned / CARD).read_text(encoding="utf-8")
    assert "- Begun from: tiny; held out, before: the last 5% of the text, " in card
    assert f"loss {losses[0]:.4f}" in card
    assert f"loss {losses[1]:.4f}" in card
    assert main(["evaluate", str(tuned), "--data", str(verse)]) == 0
    assert capsys.readouterr().out in card.replace("\n    ", "\n").replace("    best", "best")


def test_vocabulary_is_learned_and_can_be_trained_with(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = tmp_path / "king.tiktoken"
    text = tmp_path / "text.txt"
    assert main(["tokenizer", "--data", str(text), "--vocab", "280", "--out", str(ranks)]) == 0
    assert capsys.readouterr().out == f"{ranks}: 280 tokens, the last of them {END_OF_TEXT}\n"
    described = {**DESCRIBED, "tokenizer": ranks.name}
    (tmp_path / "tiny.json").write_text(json.dumps(described), encoding="utf-8")
    assert main([*command, str(tmp_path / "made")]) == 0
    ranks.unlink()
    loaded = open_checkpoint(tmp_path / "made")
    assert loaded.tokenizer.vocab_size == loaded.model.config.vocab_size == 280
    ids = loaded.tokenizer.encode(TEXT)
    assert loaded.tokenizer.decode(ids) == TEXT
    assert len(ids) < len(TEXT)


def test_vocabulary_that_cannot_be_learned_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "a.tiktoken"
    text.write_text("abab", encoding="utf-8")
    words = ["tokenizer", "--data", str(text), "--out", str(out), "--vocab"]
    assert "ask for at least 257" in refused(capsys, [*words, "100"])
    assert "give a longer text" in refused(capsys, [*words, "5000"])
    assert not out.exists()


def test_a_second_training_in_a_folder_is_refused_as_long_as_the_first_one_runs(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made"
    first = started([*command, str(folder), "--steps", "100000"], "--json", "--controlled")
    after(first, "saved", 3)
    said = refused(capsys, [*command, str(folder), "--steps", "100000"])
    assert f"{folder} is being trained in already, by process {first.pid} on " in said
    assert "wait until it ends, stop it, or name another folder" in said
    first.kill()
    first.communicate()
    assert (folder / LOCK).exists()
    second = started([*command, str(folder), "--steps", "100000"], "--json", "--controlled")
    assert after(second, "begun", 3)[-1]["step"] >= 3
    second.communicate("stop\n")
    assert second.returncode == 130
    assert not (folder / LOCK).exists()


def test_a_model_that_cannot_be_trained_in_the_memory_is_refused_before_it_is_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value, message in (
        ("layers", 2**28, "this makes more than 20,000 tensors"),
        ("hidden", 2**28, "training tiny needs "),
        ("context", 10**400, "'context' is 1000"),
    ):
        config = DESCRIBED["config"] | {name: value}
        (tmp_path / "tiny.json").write_text(json.dumps(DESCRIBED | {"config": config}), encoding="utf-8")
        assert message in refused(capsys, [*command, str(tmp_path / "made")])
    assert not (tmp_path / "made").exists()
