"""The training as a process: paused, stopped, killed or left alone, and nothing of it is left behind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.processes import trainer as trainer_
from explorer_app.processes.trainer import Trainer
from explorer_app.state.training import Spec, Training
from tests.support.processes import alive
from tests.support.window import fake_training

pytestmark = pytest.mark.process

MINUTE = 60_000


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    text = tmp_path / "tale.txt"
    text.write_text("Once upon a time. " * 50, encoding="utf-8")
    return Spec(out=str(tmp_path / "run"), preset="tales-llama", data=(str(text),), steps=1000)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    """A trainer whose process is the fake one."""
    monkeypatch.setattr(trainer_, "core_command", fake_training.command)
    trainer = Trainer(Training())
    yield trainer
    trainer.close()


def run_until_saved(trainer: Trainer, spec: Spec, qtbot: QtBot) -> int:
    """Start, wait for a checkpoint, and return the number of the process."""
    trainer.training.start(spec)
    qtbot.waitUntil(lambda: trainer.training.saved is not None, timeout=MINUTE)
    assert trainer.pid is not None
    return trainer.pid


def test_it_is_paused_and_goes_on_where_it_was(trainer: Trainer, spec: Spec, qtbot: QtBot) -> None:
    training = trainer.training
    pid = run_until_saved(trainer, spec, qtbot)
    training.pause()
    qtbot.waitUntil(lambda: training.state == "paused", timeout=MINUTE)
    step = training.step
    qtbot.wait(100)
    assert training.step == step
    training.resume()
    qtbot.waitUntil(lambda: training.step > step, timeout=MINUTE)
    assert trainer.pid == pid


def test_what_was_stopped_goes_on_with_its_whole_history(trainer: Trainer, spec: Spec, qtbot: QtBot) -> None:
    training = trainer.training
    pid = run_until_saved(trainer, spec, qtbot)
    training.stop()
    qtbot.waitUntil(lambda: not training.active, timeout=MINUTE)
    assert training.state == "stopped"
    assert trainer.pid is None
    assert not alive(pid)
    step = training.saved
    assert step == training.step
    training.start(spec)
    qtbot.waitUntil(lambda: bool(training.points) and training.step > step, timeout=MINUTE)
    assert [point.step for point in training.points] == list(range(1, training.step + 1))


def test_a_killed_process_is_said_in_a_line_and_can_be_gone_on_with(
    trainer: Trainer, spec: Spec, qtbot: QtBot
) -> None:
    training = trainer.training
    os.kill(run_until_saved(trainer, spec, qtbot), signal.SIGKILL)
    qtbot.waitUntil(lambda: not training.active, timeout=MINUTE)
    assert training.state == "failed"
    kept = training.saved
    training.start(spec)
    qtbot.waitUntil(lambda: training.step > (kept or 0), timeout=MINUTE)
    assert training.points[0].step == 1


@pytest.mark.parametrize("when", ["starting", "running", "paused", "stopping"])
def test_closing_leaves_no_process_and_a_checkpoint(
    when: str, spec: Spec, qtbot: QtBot, trainer: Trainer
) -> None:
    training = trainer.training
    other = Trainer(training)  # the fixture closes the first one; this one is closed here
    training.asked.disconnect(trainer._do)
    if when == "starting":
        training.start(spec)
        assert other._process is not None
        assert other._process.waitForStarted()
        pid = other.pid
    else:
        pid = run_until_saved(other, spec, qtbot)
        if when == "paused":
            training.pause()
            qtbot.waitUntil(lambda: training.state == "paused", timeout=MINUTE)
        elif when == "stopping":
            training.stop()
    other.close()
    training.asked.connect(trainer._do)
    assert pid is not None
    assert not alive(pid)
    assert (Path(spec.out) / "model.safetensors").is_file() == (when != "starting")


def test_a_text_that_is_refused_is_one_clear_line(trainer: Trainer, spec: Spec, qtbot: QtBot) -> None:
    Path(spec.data[0]).write_bytes(b"wrong\xff")
    said: list[str] = []
    trainer.log_grew.connect(said.append)
    trainer.training.start(spec)
    qtbot.waitUntil(lambda: not trainer.training.active, timeout=MINUTE)
    assert trainer.training.state == "failed"
    assert trainer.training.message == f"{spec.data[0]} is not UTF-8 text: byte 3 cannot be read"
    assert trainer.training.message in "".join(said)


def test_a_command_that_cannot_be_started_is_said(
    trainer: Trainer, spec: Spec, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_, "core_command", lambda *words: ("/nonexistent/python", []))
    trainer.training.start(spec)
    qtbot.waitUntil(lambda: trainer.training.state == "failed", timeout=MINUTE)
    assert "could not be started" in trainer.training.message


def test_training_yields_to_the_engine(trainer: Trainer, spec: Spec, qtbot: QtBot) -> None:
    pid = run_until_saved(trainer, spec, qtbot)
    assert os.getpriority(os.PRIO_PROCESS, pid) >= trainer_.NICENESS


def test_the_real_command_trains_pauses_and_stops(model: str, spec: Spec, qtbot: QtBot) -> None:
    Path(spec.data[0]).write_text("The cat saw the dog and the dog saw it. " * 400, encoding="utf-8")
    trainer = Trainer(Training())
    training = trainer.training
    try:
        training.start(Spec(out=spec.out, source=model, data=spec.data, steps=20_000, batch=1))
        qtbot.waitUntil(lambda: bool(training.points) or not training.active, timeout=MINUTE)
        assert training.message == ""
        training.pause()
        qtbot.waitUntil(lambda: training.state == "paused", timeout=MINUTE)
        training.resume()
        training.stop()
        qtbot.waitUntil(lambda: not training.active, timeout=MINUTE)
        assert (training.state, training.saved) == ("stopped", training.step)
    finally:
        trainer.close()
