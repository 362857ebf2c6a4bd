"""Prompts come and go, and the memory of window and engine stays what the store of answers says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
A_PROMPT = 40 / 200  # MB: what a prompt on 48 layers may cost the window
NOISE = 5.0  # MB: what an allocator takes and gives back in a process that holds nothing more


def soaked(prompts: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.window_memory", str(prompts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def within_budget(facts: dict[str, Any]) -> None:
    growing, full = facts["growing"], facts["full"]
    assert growing["window"] <= facts["prompts"] * A_PROMPT
    assert abs(growing["window"] - growing["store"]) <= 0.2 * growing["store"] + NOISE
    assert abs(full["store"]) < 1.0
    assert full["window"] <= NOISE
    for phase in (growing, full):
        assert phase["engine"] <= 25.0


@pytest.mark.process
def test_sixty_prompts_take_no_more_than_the_store_says_and_none_when_it_is_full() -> None:
    within_budget(soaked(60))


@pytest.mark.benchmark
def test_six_hundred_prompts_take_no_more_than_the_store_says_and_none_when_it_is_full() -> None:
    within_budget(soaked(600))
