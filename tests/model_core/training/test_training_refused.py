"""A training that cannot be done, or not be written, ends in one line and leaves what was there."""

import errno
import json
import os
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model_core.api.errors import InputError
from model_core.api.files.folder_lock import LOCK
from model_core.api.run_files import DESCRIPTION, LOG, STATE
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.cli.__main__ import main
from model_core.training import run_folder
from model_core.training.run_folder import RunFolder
from tests.support.training import DESCRIBED, TEXT, after, log, refused, started

pytestmark = pytest.mark.process


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
