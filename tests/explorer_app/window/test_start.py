"""The program really starts, in a process of its own: whatever its settings hold, the window comes up."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from explorer_app.state.settings import Layout, Recent, Settings, open_settings
from explorer_app.state.training import Spec

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).with_name("one_start.py")
ROOT = SCRIPT.parents[3]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)} | more


def begin(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=300
    )


def shown_by(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """What the window showed that came up and was closed again."""
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def start(*words: str) -> dict[str, Any]:
    return shown_by(begin(*words))


def file() -> Path:
    """Where this test's settings are."""
    path = open_settings().path
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Layout]:
    """What a first start shows, and the layout that it leaves when it is closed as it came."""
    folder = tmp_path_factory.mktemp("config")
    shown = shown_by(begin(XDG_CONFIG_HOME=str(folder)))
    assert shown["message"] == ""
    kept = Settings(next(folder.rglob("settings.json"))).kept
    assert kept.layout is not None
    return shown, kept.layout


@pytest.fixture
def layout(first: tuple[dict[str, Any], Layout]) -> Layout:
    return first[1]


def test_a_start_that_died_over_its_layout_is_followed_by_one_without(
    first: tuple[dict[str, Any], Layout], layout: Layout
) -> None:
    open_settings().change(layout=layout, folder="/models")
    assert begin("dies").returncode == -signal.SIGABRT
    assert open_settings().kept.layout is None
    shown = start()
    assert "ended while it restored its layout" in shown["message"]
    assert shown["size"] == first[0]["size"]
    assert (open_settings().problem, open_settings().kept.folder) == ("", "/models")
    assert open_settings().kept.layout is not None


def test_flipped_bits_of_a_layout_give_the_default_one(layout: Layout) -> None:
    open_settings().change(layout=layout)
    said = json.loads(file().read_text())
    state = said["layout"]["state"]
    said["layout"]["state"] = state[:40] + ("B" if state[40] != "B" else "C") + state[41:]
    file().write_text(json.dumps(said))
    assert start()["message"] == ""
    assert open_settings().kept.layout == layout  # the default one, as before


def test_a_layout_that_qt_never_wrote_is_no_end() -> None:
    open_settings().change(layout=Layout(bytes(range(200)), bytes(range(256)) * 8))
    assert start()["message"] == ""


TRAP = """
import os, sys
from PySide6.QtCore import QSettings

class Trap:
    def __reduce__(self):
        return os.mkdir, (sys.argv[2],)

ini = QSettings(sys.argv[1], QSettings.Format.IniFormat)
for name in sys.argv[3:]:
    ini.setValue(name, Trap())
ini.sync()
"""


def trapped(ini: Path, trap: Path, *names: str) -> None:
    """Settings as Qt keeps them, with an object of Python that is made, when it is read, by running what it says."""
    command = [sys.executable, "-c", TRAP, str(ini), str(trap), *names]
    subprocess.run(command, check=True, timeout=60)
    assert b"PyObjectWrapper" in ini.read_bytes()


def test_settings_of_before_run_nothing(tmp_path: Path) -> None:
    ini, trap = file().with_name("layerscope.ini"), tmp_path / "sprung"
    trapped(ini, trap, "models/recent", "window/layout", "window/theme", "training/specs")
    start()
    assert not trap.exists()
    file().write_bytes(ini.read_bytes())
    assert "is not JSON" in start()["message"]
    assert not trap.exists()


def test_settings_that_all_programs_of_qt_share_run_nothing(tmp_path: Path) -> None:
    shared, trap = file().parent.with_name("QtProject.conf"), tmp_path / "sprung"
    trapped(shared, trap, "FileDialog/lastVisited", "FileDialog/history", "FileDialog/shortcuts")
    assert start("asks")["message"] == ""
    assert not trap.exists()


DEEP = "[" * 100_000 + "]" * 100_000


def test_deep_json_is_no_end() -> None:
    file().write_text(f'{{"format": 1, "recent": {DEEP}, "trainings": {DEEP}}}')
    assert "is not JSON" in start()["message"]


def test_names_that_mean_nothing_are_offered_and_are_no_end() -> None:
    names = ["x@" + "9" * 4000, "~nobody-is-called-so/model", "a" * 4000, "\N{SNOWMAN}", "../gone"]
    open_settings().change(
        recent=tuple(map(Recent, names)),
        trainings=(Spec(out="~nobody-is-called-so/run", source="x@" + "9" * 4000, data=("~nobody/text",)),),
        folder="~nobody-is-called-so",
    )
    assert start()["recent"] == names


def test_a_file_that_is_none_is_said_and_no_end() -> None:
    os.mkfifo(file())
    assert "no regular file" in start()["message"]


def test_a_user_without_a_home_has_a_window() -> None:
    shown = start("nobody")
    assert (shown["message"], shown["recent"], shown["out"]) == ("", [], "")


def test_a_window_starts_where_its_folder_was_deleted(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'cd "$1" && rmdir "$1" && exec "$2" "$3"', "sh", str(gone)]
    done = subprocess.run(
        [*command, sys.executable, str(SCRIPT)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert shown_by(done)["message"] == ""


def test_of_two_windows_the_one_that_goes_last_is_remembered() -> None:
    command = [sys.executable, str(SCRIPT), "stays"]
    first = subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with first:
        assert first.stdout is not None
        assert json.loads(first.stdout.readline())["message"] == ""
        start()
        open_settings().change(theme="dark")
        first.communicate("")
    assert first.returncode == 0
    assert open_settings().problem == ""
    assert open_settings().kept.theme is None
