"""What is known of a training: what its lines mean, how it ends, and what a folder has to go on with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer_app.panels.train import numbers, state_words, summary
from explorer_app.state.training import (
    Described,
    Spec,
    Training,
    Unfinished,
    is_free,
    logged,
    spec_of,
    unfinished,
)
from model_core.api.recipe import Recipe
from tests.support.window.fake_training import keep

pytestmark = pytest.mark.unit

SPEC = Spec(out="/runs/tales", preset="tales-llama", data=("tales.txt",), steps=1800, lr=0.002)
POINT = {"loss": 3.5, "lr": 1e-3, "grad_norm": 1.0, "tokens_per_second": 500.0}


def line(event: str, **more: Any) -> str:
    return json.dumps({"event": event, **more})


@pytest.fixture
def training() -> Training:
    training = Training()
    training.start(SPEC)
    return training


@pytest.fixture
def running(training: Training, tmp_path: Path) -> Training:
    training.take(line("begun", folder=str(tmp_path), model="tales-llama", step=0, steps=1800, note=""))
    assert training.state == "running"
    return training


def test_the_words_are_those_of_the_command() -> None:
    words = SPEC.words()
    assert words[:6] == ["--preset", "tales-llama", "--data", "tales.txt", "--out", "/runs/tales"]
    assert words[-2:] == ["--json", "--controlled"]
    said = dict(zip(words[:-2:2], words[1:-2:2], strict=True))
    assert (said["--steps"], said["--lr"], said["--dtype"]) == ("1800", "0.002", "float32")
    further = Spec(out="o", source="/models/mine", config=("heads=8",)).words()
    assert further[:4] == ["--from", "/models/mine", "--config", "heads=8"]


@pytest.mark.parametrize("steps", [1, 7, 99, 300, 1800, 250_000])
def test_held_out_text_is_measured_with_a_report(steps: int) -> None:
    words = Spec(out="o", preset="p", steps=steps).words()
    report, measure, save = (
        int(words[words.index(f"--{name}-every") + 1]) for name in ("report", "measure", "save")
    )
    assert report >= 1
    assert save >= 1
    assert measure >= report
    assert measure % report == 0


def test_a_spec_is_read_back_from_its_json() -> None:
    assert spec_of(json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    "damage",
    [
        {"out": 1},
        {"out": ""},
        {"out": "x" * 5000},
        {"out": "a\0b"},
        {"source": "\ud800"},
        {"data": "tales.txt"},
        {"data": [["tales.txt"]]},
        {"config": [None]},
        {"steps": 0},
        {"steps": 10**400},
        {"steps": 7.5},
        {"batch": True},
        {"seed": -1},
        {"lr": float("inf")},
        {"lr": float("nan")},
        {"lr": "0.1"},
        {"lr": 10**400},
        {"more": 1},
    ],
)
def test_what_no_form_makes_is_no_spec(damage: dict[str, Any]) -> None:
    assert spec_of(SPEC.to_json() | damage) is None


@pytest.mark.parametrize("said", ["", [], {}, None, 7])
def test_another_value_is_no_spec(said: object) -> None:
    assert spec_of(said) is None


def test_a_spec_may_leave_out_what_has_a_default_and_write_whole_numbers_as_json_does() -> None:
    assert spec_of({"out": "/runs/tales", "steps": 7.0}) == Spec(out="/runs/tales", steps=7)


def test_lines_become_a_history(running: Training) -> None:
    running.take(line("progress", step=10, steps=1800, seconds_left=60, **POINT))
    running.take(line("progress", step=20, steps=1800, seconds_left=59, held_out_loss=3.6, **POINT))
    running.take(line("saved", step=20))
    assert [(point.step, point.held_out_loss) for point in running.points] == [(10, None), (20, 3.6)]
    assert (running.step, running.seconds_left, running.saved) == (20, 59, 20)


def test_what_is_waited_for_is_said_until_the_first_losses_and_what_was_noted_to_the_end(
    training: Training, tmp_path: Path
) -> None:
    assert state_words(training) == "Starting: the text is read, and the model made."
    note = "the text has 1 document: its last 5% is held out instead"
    training.take(line("begun", folder=str(tmp_path), model="m", step=0, steps=1800, note=note))
    noted = "The text has 1 document: its last 5% is held out instead"
    assert state_words(training) == f"Computing; losses are reported every 10 steps. {noted}"
    training.take(line("progress", step=10, steps=1800, seconds_left=60, **POINT))
    assert state_words(training) == noted
    training.ended(9, True, "")
    training.start(replace(SPEC, steps=30))
    training.take(line("begun", folder=str(tmp_path), model="m", step=0, steps=30, note=""))
    assert state_words(training) == "Computing; losses are reported at every step."


def test_what_is_waited_for_is_said_of_a_training_that_is_gone_on_with_as_well(
    training: Training, tmp_path: Path
) -> None:
    log = "\n".join(json.dumps({"step": step, **POINT}) for step in (990, 1000))
    (tmp_path / "log.jsonl").write_text(log, encoding="utf-8")
    training.take(line("begun", folder=str(tmp_path), model="m", step=1000, steps=1800, note=""))
    assert state_words(training) == "Computing; losses are reported every 10 steps."
    assert numbers(training).startswith("step 1,000 of 1,800 · ")
    training.take(line("progress", step=1010, steps=1800, seconds_left=60, **POINT))
    assert state_words(training) == ""


def test_the_line_of_what_is_trained_counts_the_steps_of_the_phases_to_come_as_well(
    training: Training, tmp_path: Path
) -> None:
    def counted() -> str:
        return next(part for part in summary(SPEC, training.steps).split(" · ") if " steps" in part)

    assert counted() == "1,800 steps, batch 16, on cpu in float32"
    training.take(line("begun", folder=str(tmp_path), model="m", step=0, steps=2100, note=""))
    assert counted() == "1,800 + 300 steps, batch 16, on cpu in float32"


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", '{"event": "progress"}', '{"event": "saved"}'])
def test_what_is_no_line_of_the_command_changes_nothing(text: str, running: Training) -> None:
    assert not running.take(text)
    assert running.state == "running"


def test_pause_and_resume_are_asked_for_and_confirmed(running: Training) -> None:
    asked: list[str] = []
    running.asked.connect(asked.append)
    running.pause()
    assert running.state == "pausing"
    running.take(line("paused"))
    assert running.state == "paused"
    running.resume()
    running.take(line("resumed"))
    assert running.state == "running"
    assert asked == ["pause", "resume"]


def test_a_pause_that_is_taken_back_before_it_comes_runs_on(running: Training) -> None:
    running.pause()
    running.resume()
    running.take(line("paused"))
    running.take(line("resumed"))
    assert running.state == "running"


def test_stopping_twice_does_not_wait(running: Training) -> None:
    asked: list[str] = []
    running.asked.connect(asked.append)
    running.stop()
    running.stop()
    assert asked == ["stop", "kill"]
    running.ended(9, True, "")
    assert running.state == "stopped"


def test_it_ends_when_its_process_has(running: Training) -> None:
    running.take(line("finished", step=1800, card="README.md"))
    assert running.active
    running.ended(0, False, "")
    assert running.state == "finished"


def test_a_refusal_is_its_one_line(training: Training) -> None:
    training.ended(2, False, "a warning\nlayerscope: tales.txt cannot be read: Permission denied\n")
    assert (training.state, training.message) == ("failed", "tales.txt cannot be read: Permission denied")


def test_a_process_that_dies_says_what_is_kept(running: Training) -> None:
    running.take(line("saved", step=350))
    running.ended(9, True, "")
    assert (running.state, running.message, running.saved) == ("failed", "", 350)
    assert "step 350 is kept" in state_words(running)


def test_a_process_that_dies_before_its_first_checkpoint_says_so(running: Training) -> None:
    running.ended(-11, True, "")
    assert "before its first checkpoint" in state_words(running)


def test_what_was_logged_before_is_part_of_the_history(training: Training, tmp_path: Path) -> None:
    entries = [json.dumps({"step": step, **POINT}) for step in (10, 20, 30)]
    (tmp_path / "log.jsonl").write_text("\n".join([*entries, '{"step": 4']), encoding="utf-8")
    training.take(line("begun", folder=str(tmp_path), model="m", step=20, steps=40, note=""))
    assert [point.step for point in training.points] == [10, 20]
    assert training.saved == 20
    assert logged(tmp_path / "nowhere", 10) == []


def test_an_unfinished_training_is_found_by_its_files(tmp_path: Path) -> None:
    assert unfinished(tmp_path) is None
    keep(tmp_path, 12, 40, "tales-llama")
    found = unfinished(tmp_path)
    assert found is not None
    assert (found.step, found.run.name) == (12, "tales-llama")


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, (10).to_bytes(8, "little") + b"{}"])
def test_damaged_files_are_no_training(damage: bytes, tmp_path: Path) -> None:
    keep(tmp_path, 12, 40, None)
    (tmp_path / "training.safetensors").write_bytes(damage)
    assert unfinished(tmp_path) is None


def test_a_training_that_is_done_is_not_gone_on_with(tmp_path: Path) -> None:
    keep(tmp_path, 12, 12, None)
    (tmp_path / "training.json").write_text('{"run": {"recipe": {}}, "done": {}}')
    assert unfinished(tmp_path) is None


def test_a_folder_with_anything_in_it_is_not_free(tmp_path: Path) -> None:
    assert is_free(tmp_path)
    assert is_free(tmp_path / "new")
    (tmp_path / "file").touch()
    assert not is_free(tmp_path)
    assert not is_free(tmp_path / "file")


def test_the_latest_training_of_a_folder_is_known(training: Training) -> None:
    training.ended(0, False, "")
    other = Spec(out="/runs/other", preset="dates")
    training.start(other)
    assert list(training.specs.values()) == [other, SPEC]
    assert training.texts == SPEC.data


def test_the_steps_of_an_unfinished_training_are_those_of_all_its_phases() -> None:
    run = Described(Recipe(6000), "tales")
    assert Unfinished(10, run).steps == 6000
    phases = {"2": Recipe(300), "3": Recipe(20)}
    assert Unfinished(10, replace(run, phases=phases)).steps == 6320
