"""Trainings as commands, and what they leave."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_core.api.run_files import LOG
from model_core.cli.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Once upon a time there was a king who had three sons and one apple tree. " * 40
DESCRIBED: dict[str, Any] = {
    "family": "mini",
    "tokenizer": "tales-2048",
    "config": {"width": 16, "layers": 2, "heads": 2, "hidden": 32, "context": 16, "dropout": 0.2},
    "recipe": {"steps": 18, "batch": 4, "length": 16, "warmup": 4, "repeats": 0.25, "held_out_share": 0.2},
}


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


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("layerscope: ")
    assert not any(line.startswith(("layerscope", "Traceback")) for line in said[:-1])
    return said[-1]
