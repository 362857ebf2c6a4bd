"""The rules of the house: who may import whom, what lies where, and what the wheel carries."""

import configparser
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parent.parent

TOP_FOLDERS = {"model_core", "explorer_app", "assets", "tests"}
TOP_FILES = {"pyproject.toml", "README.md", "LICENSE"}


MAX_LINES, MAX_FILES = 420, 16


def module_names(package: str) -> list[str]:
    """Every module of a package by dotted name, the package itself first."""
    names = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted(names)


def loaded_after_importing(modules: list[str]) -> set[str]:
    """The top-level names in sys.modules of a fresh interpreter that imported `modules` and nothing else."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def tracked_files() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def test_the_window_never_loads_torch() -> None:
    assert "torch" not in loaded_after_importing(module_names("explorer_app"))


@pytest.mark.parametrize("module", ["model_core", "model_core.api.protocol"])
def test_what_the_window_shares_with_the_core_loads_no_torch(module: str) -> None:
    assert "torch" not in loaded_after_importing([module])


def test_no_file_is_long_and_no_folder_full() -> None:
    files = [Path(name) for name in tracked_files() if name.endswith(".py")]
    long = {
        str(file): lines
        for file in files
        if (lines := len((ROOT / file).read_bytes().splitlines())) > MAX_LINES
    }
    full = {
        str(room): count
        for room, count in Counter(file.parent for file in files).items()
        if count > MAX_FILES
    }
    assert (long, full) == ({}, {})


def test_the_top_of_the_repository_holds_only_what_belongs_there() -> None:
    top = {name.partition("/")[0] for name in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP_FOLDERS | TOP_FILES


def test_no_file_names_a_path_of_one_machine() -> None:
    home = re.compile(rb"(?<![\w.:/])/(home|root|work|tmp|Users)/\w")
    found = [
        name
        for name in tracked_files()
        if not name.startswith("tests/")
        and b"\0" not in (text := (ROOT / name).read_bytes())
        and home.search(text)
    ]
    assert not found


def test_nothing_of_the_product_speaks_of_guidance() -> None:
    product = [
        name for name in tracked_files() if name.startswith(("model_core/", "explorer_app/", "assets/"))
    ]
    texts = {name: (ROOT / name).read_bytes() for name in [*product, "README.md"]}
    assert len(texts) > 100
    assert [name for name, text in texts.items() if re.search(rb"\bguid(ance|ed)\b", text, re.I)] == []


def test_one_variable_names_the_corpora_and_the_checks_turn_their_tests_on() -> None:
    readme, checks = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()
    assert set(re.findall(r"\bLAYERSCOPE_\w+", readme)) == {"LAYERSCOPE_DATA"}
    assert re.search(r"LAYERSCOPE_DATA=\S+ .*pytest -m corpora", checks)


def test_the_wheel_carries_both_packages_their_assets_and_the_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=120,
    )
    with zipfile.ZipFile(next(tmp_path.glob("layerscope-*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        commands = configparser.ConfigParser()
        commands.read_string(wheel.read(entry_points).decode())
    tracked = tracked_files()
    code = {name for name in tracked if name.startswith(("model_core/", "explorer_app/"))}
    code -= {"model_core/ruff.toml", "explorer_app/ruff.toml"}
    assets = {f"model_core/_{name}" for name in tracked if name.startswith("assets/")}
    assert assets
    assert code | assets <= names
    assert not [name for name in names if name.startswith(("tests/", "assets/"))]
    assert commands["console_scripts"]["layerscope"] == "explorer_app.__main__:main"


def pytest_in(folder: Path) -> "subprocess.CompletedProcess[str]":
    """The tests of a folder, run as those of the house are."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            ROOT / "pyproject.toml",
            "-p",
            "tests.conftest",
            "-rA",
            "-q",
            folder,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


MARKED = "import pytest\npytestmark = pytest.mark.unit\n"
WRONG = {
    "no marker at all": "def test_wrong(): pass\n",
    "a marker that says nothing of what it needs": (
        "import pytest\n@pytest.mark.parametrize('n', [1])\ndef test_wrong(n): pass\n"
    ),
    "two markers of its own": (f"{MARKED}@pytest.mark.unit\n@pytest.mark.process\ndef test_wrong(): pass\n"),
    "two markers of its file": (
        "import pytest\npytestmark = [pytest.mark.unit, pytest.mark.process]\ndef test_wrong(): pass\n"
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_test_without_exactly_one_marker_stops_the_collection(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "test_right.py").write_text(f"{MARKED}def test_right(): pass\n")
    (tmp_path / "test_wrong.py").write_text(WRONG[wrong])
    done = pytest_in(tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, said
    assert "1 tests do not have exactly one of the markers " in said
    assert "test_wrong.py::test_wrong" in said
    assert "test_right" not in said
    assert "passed" not in said


def test_a_marker_of_a_test_goes_before_that_of_its_file(tmp_path: Path) -> None:
    own = "@pytest.mark.process\ndef test_own(): pass\n"
    (tmp_path / "test_right.py").write_text(f"{MARKED}{own}def test_of_its_file(): pass\n")
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_skip_a_thread_left_behind_and_a_warning_each_fail_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_breaches.py").write_text(
        "import threading, time, warnings\n"
        "import pytest\n"
        "pytestmark = pytest.mark.unit\n"
        "def test_fine(): pass\n"
        "def test_skips(): pytest.skip('not here')\n"
        "@pytest.mark.skip(reason='not now')\n"
        "def test_is_marked_skip(): pass\n"
        "def test_leaves_a_thread(): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "def test_warns(): warnings.warn('old')\n"
        "def test_makes_qt_warn(qtbot): from PySide6.QtCore import qWarning; qWarning('bad')\n"
    )
    done = pytest_in(tmp_path)
    outcomes = set(re.findall(r"^(PASSED|FAILED|ERROR) .*::test_(\w+)", done.stdout, re.MULTILINE))
    assert outcomes == {
        ("PASSED", "fine"),
        ("FAILED", "skips"),
        ("ERROR", "is_marked_skip"),
        ("PASSED", "leaves_a_thread"),
        ("ERROR", "leaves_a_thread"),
        ("FAILED", "warns"),
        ("FAILED", "makes_qt_warn"),
    }, done.stdout + done.stderr
