"""The window as a picture, and `layerscope` without a display: files, exit codes, one line when something is wrong."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from explorer_app import __main__ as start
from explorer_app.state.session import Session
from explorer_app.window import snapshot
from model_core.api.errors import InputError
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine, tiny_checkpoint

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]
PROMPT = "The cat saw the dog"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "small")


def run(*words: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`layerscope` as a process of its own, with no display."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    return subprocess.run(
        [sys.executable, "-m", "explorer_app", *words],
        cwd=cwd,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def size_of(png: Path) -> tuple[int, int]:
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


# As a process


def test_a_snapshot_has_the_size_times_the_scale(model: str, tmp_path: Path) -> None:
    done = run(
        "snapshot", "--model", model, "--prompt", PROMPT, "--scale", "2", "--out", "out.png", cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert size_of(tmp_path / "out.png") == (2560, 1600)


def test_one_panel_has_the_size_that_was_asked(model: str, tmp_path: Path) -> None:
    words = ["--panel", "attention", "--layer", "1", "--head", "2", "--size", "700x500", "--theme", "dark"]
    words += ["--edit", "mask off", "--edit", "ablate L1H2"]
    done = run("snapshot", "--model", model, "--prompt", PROMPT, *words, "--out", "out.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert size_of(tmp_path / "out.png") == (700, 500)


def test_without_a_display_the_window_is_drawn_to_a_file(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert "layerscope.png" in done.stdout
    assert size_of(tmp_path / "layerscope.png") == (1280, 800)


def test_help_names_the_window_the_snapshot_and_every_command(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("window", "snapshot", "models", "trace", "generate", "train", "engine"):
        assert word in done.stdout
    panels = run("snapshot", "--help", cwd=tmp_path)
    assert panels.returncode == 0
    for word in (
        "--model",
        "--prompt",
        "--panel",
        "attention",
        "--edit",
        "--size",
        "--scale",
        "--theme",
        "--out",
    ):
        assert word in panels.stdout


def test_commands_of_the_core_load_no_qt(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from explorer_app.__main__ import main\n"
        "assert main(['models']) == 0\n"
        "assert not {'PySide6', 'pyqtgraph'} & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


# What is wrong is said in one line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "nowhere", "--prompt", "a"], "there is no model 'nowhere'"),
        (["--prompt", "a"], "--model"),
        (["--model", "tales-llama", "--prompt", "a", "--size", "big"], "write it as 1280x800"),
        (["--model", "tales-llama", "--prompt", "a", "--size", "0x10"], "write it as 1280x800"),
        (["--model", "tales-llama", "--prompt", "a", "--scale", "99"], "from 0.5 to 4"),
        (["--model", "tales-llama", "--prompt", "a", "--scale", "much"], "from 0.5 to 4"),
        (["--model", "tales-llama", "--prompt", "a", "--theme", "blue"], "blue"),
        (["--model", "tales-llama", "--prompt", "a", "--edit", "mask of"], "no edit reads 'mask of'"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    done = run("snapshot", *words, "--out", "out.png", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("layerscope: ")
    assert said in done.stderr
    assert not (tmp_path / "out.png").exists()


def draw(model: str, out: Path, **options: object) -> None:
    session = Session(Scene(model, str(options.pop("prompt", PROMPT))))
    snapshot.render(session, out, QSize(1000, 700), connect=LocalEngine, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"panel": "nothing"}, "there is no panel 'nothing'; there are "),
        ({"layer": 3}, "there is no layer 3; this model has layers 0 to 2"),
        ({"head": -1}, "there is no head -1; this model has heads 0 to 3"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": "the cat " * 400}, "more than the context of 300"),
    ],
)
def test_what_the_model_does_not_have_is_said(
    options: dict[str, object], said: str, model: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        draw(model, tmp_path / "out.png", **options)


def test_an_edit_that_the_model_has_no_place_for_is_no_picture_without_it(model: str, tmp_path: Path) -> None:
    session = Session(Scene(model, "The cat", edits=("ablate L9H0", "mask off")))
    with pytest.raises(InputError, match=r"ablate L9H0: there is no layer 9; this model has layers 0 to 2"):
        snapshot.render(session, tmp_path / "out.png", QSize(1000, 700), connect=LocalEngine)


def test_a_folder_that_is_not_there_is_said_before_anything_runs(model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        draw(model, tmp_path / "nowhere" / "out.png")


@pytest.mark.parametrize("plant", [os.mkdir, os.mkfifo])
def test_a_picture_that_cannot_be_written_is_said(
    plant: Callable[[Path], None], model: str, tmp_path: Path
) -> None:
    plant(tmp_path / "out.png")
    with pytest.raises(InputError, match="cannot be written"):
        draw(model, tmp_path / "out.png")


def test_an_engine_that_never_answers_is_not_waited_for_for_ever(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE_S", 0)
    with pytest.raises(InputError, match="did not answer within"):
        draw(model, tmp_path / "out.png")


# What is seen


def test_the_picture_is_what_the_window_shows(model: str, tmp_path: Path, qtbot: QtBot) -> None:
    for name in ("one.png", "two.png"):
        draw(model, tmp_path / name, layer=2, head=1)
    one, two = (QImage(str(tmp_path / name)) for name in ("one.png", "two.png"))
    assert one.size() == QSize(1000, 700)
    assert len({one.pixelColor(x, y).name() for x in range(0, 1000, 7) for y in range(0, 700, 7)}) > 20
    assert draws_alike(one, two)
    draw(model, tmp_path / "other.png", layer=1, head=1)
    assert not draws_alike(one, QImage(str(tmp_path / "other.png")))


def draws_alike(one: QImage, two: QImage) -> bool:
    """Equal but for the milliseconds in the status bar."""
    top = QSize(one.width(), one.height() - 30)
    return one.copy(0, 0, top.width(), top.height()) == two.copy(0, 0, top.width(), top.height())


# Where there is a display


@pytest.mark.parametrize(
    ("set_to", "there"),
    [
        ({}, False),
        ({"DISPLAY": ""}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"QT_QPA_PLATFORM": "offscreen"}, True),
    ],
)
def test_a_display_is_where_linux_names_one(
    set_to: dict[str, str], there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert start.has_display() == there


def test_other_systems_always_have_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert start.has_display()
