"""A monkey at the window finds no fault in it, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def told(minutes: float, seed: int) -> dict[str, Any]:
    """What `python -m tests.monkey` prints, and what else it says."""
    command = [sys.executable, "-m", "tests.monkey", "--minutes", str(minutes), "--seed", str(seed)]
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=minutes * 60 + 120
    )
    assert done.stdout.startswith("{"), f"exit code {done.returncode}: {done.stderr[-3000:]}"
    return dict(json.loads(done.stdout)) | {"code": done.returncode, "stderr": done.stderr}


def check(found: dict[str, Any]) -> None:
    assert found["faults"] == []
    assert found["qt"] == []
    assert found["zombies"] == 0
    assert found["left"] == []
    assert found["code"] == 0


@pytest.mark.process
def test_three_minutes_of_a_monkey_leave_no_fault_no_zombie_and_no_process() -> None:
    check(told(3, 0))


@pytest.mark.benchmark
def test_forty_minutes_of_a_monkey(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(40, 1)
    with capsys.disabled():
        print("\n", json.dumps(found, indent=1, ensure_ascii=False))
    check(found)
    size, limit = found["store"]
    assert size > limit / 2  # it was full, and answers made room
    assert found["late_mb"] - found["early_mb"] <= 15
