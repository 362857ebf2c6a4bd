"""The main path in a real window: an X server, real keys, real clicks, the real engine process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).with_name("real_window.py")
ROOT = SCRIPT.parents[3]


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A virtual X display of its own; Xvfb picks a free number."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def seen(display: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the driven window showed."""
    environment = os.environ | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("traces"))]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_window_is_a_real_one(seen: dict[str, object]) -> None:
    assert seen["platform"] == "xcb"


def test_a_typed_prompt_is_what_the_model_reads(seen: dict[str, object]) -> None:
    assert seen["text"] == "the cat and the dog. the cat and the"


def test_the_clicked_head_shows_the_traced_pattern(seen: dict[str, object]) -> None:
    assert seen["masked_as_traced"]
    assert seen["last_layer_as_traced"]


def test_the_mask_key_lets_tokens_see_the_future(seen: dict[str, object]) -> None:
    assert seen["future_with_mask"] == 0
    assert seen["future_without_mask"] > 0
    assert seen["unmasked_as_traced"]
    assert seen["mask_changed_next_token"]


def test_the_mask_switched_back_gives_the_first_numbers(seen: dict[str, object]) -> None:
    assert seen["back_as_before"]
    assert seen["logits_as_before"]


def test_home_is_the_first_step(seen: dict[str, object]) -> None:
    assert seen["first_site"] == "tokens"


def test_columns_stay_as_they_were_drawn(seen: dict[str, list[int]]) -> None:
    first, dragged = seen["columns_first"], seen["columns_dragged"]
    narrower, next_time = seen["columns_narrower"], seen["columns_next_time"]
    assert dragged[0] == pytest.approx(first[0] + 60, abs=3)
    assert [width / sum(narrower) for width in narrower] == pytest.approx(
        [width / sum(dragged) for width in dragged], abs=0.002
    )
    assert next_time == pytest.approx(narrower, abs=1)


def test_a_closed_window_leaves_no_engine(seen: dict[str, object]) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(seen["engine"])), 0)
