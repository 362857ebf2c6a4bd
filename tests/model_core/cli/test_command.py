"""How commands end where what they print cannot be written: one line, an exit code, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]
FULL = "stdout cannot be written: No space left on device"
TRAIN = ["train", "--preset", "dates", "--steps", "1", "--batch", "1", "--out"]


def ended(
    words: list[str], outputs: str, cwd: str = ".", module: str = "model_core.cli", **more: str
) -> "subprocess.CompletedProcess[str]":
    """A command whose outputs go where the shell's words say."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONUNBUFFERED", "DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    command = [sys.executable, "-P", "-m", module, *words]
    return subprocess.run(
        ["bash", "-c", f'cd {cwd}; "$@" {outputs}', "bash", *command],
        env=inherited | {"PYTHONPATH": str(ROOT)} | more,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("words", [["models"], ["--help"], ["train", "--help"]])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_device_is_one_line(words: list[str], buffered: str) -> None:
    done = ended(words, ">/dev/full", PYTHONUNBUFFERED=buffered)
    assert (done.returncode, done.stderr) == (2, f"layerscope: {FULL}\n")


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_training_that_cannot_print_ends_in_one_line(json: list[str], tmp_path: Path) -> None:
    done = ended([*TRAIN, str(tmp_path / "run"), *json], ">/dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"layerscope: {FULL}"
    assert "Traceback" not in done.stderr


def test_a_snapshot_and_the_picture_of_a_window_end_so_too(tmp_path: Path) -> None:
    done = ended(["snapshot", "--help"], ">/dev/full", module="explorer_app")
    assert (done.returncode, done.stderr) == (2, f"layerscope: {FULL}\n")
    done = ended([], ">/dev/full", cwd=str(tmp_path), module="explorer_app")
    assert (done.returncode, done.stderr) == (2, f"layerscope: {FULL}\n")


@pytest.mark.parametrize("words", [["models"], ["nothing"]])
def test_where_nothing_at_all_can_be_said_the_code_says_it(words: list[str]) -> None:
    assert ended(words, ">/dev/full 2>/dev/full").returncode == 2
    assert ended(["nothing"], ">&- 2>&-").returncode == 2


def test_a_reader_that_left_stops_a_command_without_a_word() -> None:
    done = ended(["models"], "| true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (130, "")


def test_a_command_in_a_folder_that_was_deleted_says_so(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = ended(["models"], "", cwd=f"{gone}; rmdir {gone}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "layerscope: the working folder is gone: change to one that is there\n"
    done = ended(["--help"], "", cwd=f"{gone.parent}")
    assert done.returncode == 0
