"""A system without what Qt needs is told in one line which packages have it, before Qt ends the process."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from explorer_app.window import system_libraries
from explorer_app.window.system_libraries import DRAWING, X11, check, platforms
from model_core.api.errors import InputError

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[3]

WITHOUT = """
import ctypes, sys
real = ctypes.CDLL
def fake(name, *rest):
    for missing in {missing}:
        if name == missing or name.endswith("libqxcb.so"):
            raise OSError(missing + ": cannot open shared object file: No such file or directory")
    return real(name, *rest)
ctypes.CDLL = fake
from explorer_app.__main__ import main
sys.exit(main([]))
"""


def started(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, on a display where there is none."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_window_without_the_cursor_library_names_its_package_and_ends_with_2() -> None:
    done = started(WITHOUT.format(missing=["libxcb-cursor.so.0"]), DISPLAY=":987")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "layerscope: Qt needs libxcb-cursor.so.0, which this system does not have; "
        "on Debian and Ubuntu: sudo apt install libxcb-cursor0\n"
    )


@pytest.mark.parametrize(
    "words", ["", "'snapshot', '--model', 'tales-llama', '--prompt', 'a', '--out', 'a.png'"]
)
def test_a_qt_that_cannot_be_imported_is_said_in_a_line(words: str, tmp_path: Path) -> None:
    (tmp_path / "PySide6").mkdir()
    (tmp_path / "PySide6" / "__init__.py").write_text(
        "raise ImportError('libEGL.so.1: cannot open shared object file: No such file or directory')"
    )
    code = f"from explorer_app.__main__ import main; import sys; sys.exit(main([{words}]))"
    done = started(code, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("layerscope: Qt ")
    assert "libEGL.so.1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(name: str) -> object:
        if name.endswith(("libqxcb.so", "libxcb-icccm.so.4", "libxcb-cursor.so.0")):
            raise OSError(f"{name}: cannot open shared object file")
        return object()

    monkeypatch.setattr(ctypes, "CDLL", fake)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    with pytest.raises(InputError, match=r"apt install libxcb-cursor0 libxcb-icccm4$"):
        check()
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    check()


def test_one_platform_that_works_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"libqwayland.so"}
    monkeypatch.setattr(
        system_libraries, "load", lambda library: "gone" if Path(library).name in refused else None
    )
    monkeypatch.setenv("QT_QPA_PLATFORM", "wayland;xcb")
    check()
    refused.add("libqxcb.so")
    with pytest.raises(InputError, match="gone"):
        check()


@pytest.mark.parametrize(
    ("environment", "tried"),
    [
        ({}, []),
        ({"DISPLAY": ":0"}, ["xcb"]),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, ["wayland", "xcb"]),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, ["offscreen"]),
        ({"QT_QPA_PLATFORM": "wayland-egl;xcb:x=y"}, ["wayland", "xcb"]),
    ],
)
def test_the_plugins_that_qt_tries(environment: dict[str, str], tried: list[str]) -> None:
    assert platforms(environment) == tried


def test_the_readme_names_all_packages_of_the_program() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.partition("apt install ")[2].partition("```")[0]
    assert command.replace("\\", " ").split() == [*DRAWING.values(), *X11.values()]
