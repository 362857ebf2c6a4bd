"""Training goes on bit for bit after whatever stopped it."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from model_core.api.recipe import phase_of, recipe_of
from model_core.api.run_files import CARD, DESCRIPTION, LOG, STATE
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.checkpoint.opening import open_checkpoint
from model_core.cli.__main__ import main
from model_core.training.control import Control
from model_core.training.corpus import TextTask, corpus_in
from model_core.training.plan import of_checkpoint
from model_core.training.run_folder import RunFolder
from model_core.training.train import train
from tests.support.training import DESCRIBED, after, log, started

pytestmark = pytest.mark.process


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
