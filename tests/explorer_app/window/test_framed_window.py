"""The real window in a window manager's frame: it fits the screen, and nothing that is opened moves any of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).with_name("framed_window.py")
ROOT = SCRIPT.parents[3]
Facts = dict[str, Any]


@contextmanager
def desktop(size: str) -> Iterator[str]:
    """A virtual X display with a window manager."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    manager = subprocess.Popen(
        ["openbox"],
        env=os.environ | {"DISPLAY": f":{number}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f":{number}"
    for process in (manager, server):
        process.terminate()
        process.wait(10)


@pytest.fixture(
    scope="module", params=[("1280x800", "1"), ("1024x768", "1"), ("2560x1600", "2")], ids="@".join
)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """What the driven window showed on a screen of that size and scale."""
    size, scale = request.param
    with desktop(size) as display:
        environment = os.environ | {
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": scale,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("settings"))]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    facts: Facts = json.loads(done.stdout.splitlines()[-1])
    return facts


def inside(inner: list[int], outer: list[int]) -> bool:
    (x, y, width, height), (left, top, wide, high) = inner, outer
    return x >= left and y >= top and x + width <= left + wide and y + height <= top + high


def test_the_window_fits_its_screen_with_its_frame(seen: Facts) -> None:
    assert seen["first"]["window"][3] > seen["first"]["status"][1]
    assert inside(seen["first"]["window"], seen["screen"])
    assert inside(seen["first"]["status"], seen["screen"])


def test_a_window_that_was_left_larger_than_the_screen_comes_back_within_it(seen: Facts) -> None:
    assert inside(seen["restored"], seen["screen"])


def test_each_column_of_a_window_that_comes_back_smaller_has_the_share_that_it_had(seen: Facts) -> None:
    for name, share in seen["columns"].items():
        assert abs(seen["restored_columns"][name] - share) < 0.02, name


def test_no_model_and_no_step_changes_the_window(seen: Facts) -> None:
    for model, places in seen["after"].items():
        assert places == seen["first"], model


def test_every_dialog_fits_the_screen(seen: Facts) -> None:
    for name, frame in seen["dialogs"].items():
        assert inside(frame, seen["screen"]), name


def test_a_node_that_is_clicked_stays_under_the_pointer(seen: Facts) -> None:
    assert seen["clicked"] == "blocks.0.attn.k"
    assert seen["node"][0] == seen["node"][1]


def test_keys_of_the_forward_pass_work_after_clicks_elsewhere(seen: Facts) -> None:
    assert seen["next"] == seen["clicked"]
    assert seen["first_site"] == "tokens"


def test_keys_of_the_forward_pass_leave_the_speed_that_was_chosen(seen: Facts) -> None:
    assert seen["speed"][0] == seen["speed"][1]
    assert seen["after_speed"] == 1


def test_a_key_goes_to_the_prompt(seen: Facts) -> None:
    assert seen["focus_is_prompt"]
