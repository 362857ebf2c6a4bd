"""No command hands an order that a file brought along to the terminal, whatever that terminal can say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hostile.hostile_text import OBEYED, hostile_checkpoint

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]


def layerscope(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "model_core.cli", *words],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return hostile_checkpoint(tmp_path_factory.mktemp("models") / "\x1b[31m\u202emodel")


COMMANDS = {
    "generate": ("generate", "--prompt", "a", "--max-new-tokens", "12", "--temperature", "50", "--model"),
    "evaluate": ("evaluate", "--data", "README.md"),
    "a model that is not there": (
        "generate",
        "--prompt",
        "a",
        "--model",
        "nothing\x1b[31m\u202e\r\nmore\x07",
    ),
}


@pytest.mark.parametrize(
    ("command", "terminal"),
    [
        *((command, "utf-8") for command in COMMANDS),
        *(("generate", name) for name in ("ascii", "latin-1", "C")),
    ],
)
def test_no_command_hands_an_order_of_a_file_to_a_terminal(hostile: str, command: str, terminal: str) -> None:
    environment = {"PYTHONIOENCODING": terminal}
    if terminal == "C":
        environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = layerscope(*COMMANDS[command], *([] if "not there" in command else [hostile]), **environment)
    assert done.returncode in (0, 2)
    shown = (done.stdout + done.stderr).decode("latin-1" if terminal == "latin-1" else "utf-8")
    assert "Traceback" not in shown
    assert "\\x1b" in shown
    assert not OBEYED.search(shown)


def test_the_bar_of_a_training_is_drawn_over_itself_at_a_terminal(tmp_path: Path) -> None:
    words = ["train", "--preset", "dates", "--steps", "2", "--batch", "1", "--report-every", "1"]
    terminal, end = os.openpty()
    with open(terminal, "rb", buffering=0) as shown:
        done = subprocess.run(
            [sys.executable, "-m", "model_core.cli", *words, "--out", str(tmp_path / "run")],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=end,
            timeout=120,
        )
        os.close(end)
        said = shown.read(65536)
    assert done.returncode == 0
    assert said.count(b"\r\x1b[K[") == 2
    assert b"\\x1b" not in said
