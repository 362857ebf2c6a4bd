"""Who may import whom: the contracts of pyproject.toml hold, and each is broken by what it forbids."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parent.parent

FORBIDDEN = {
    "the core draws": ("model_core/taps/planted.py", "import pyqtgraph"),
    "the core knows the window": ("model_core/engine/planted.py", "import explorer_app"),
    "the window loads torch": ("explorer_app/widgets/planted.py", "import torch"),
    "the window loads a model": (
        "explorer_app/panels/planted.py",
        "from model_core.families import registry",
    ),
    "a part knows a family": ("model_core/parts/planted.py", "from model_core.families import registry"),
    "a widget knows a panel": ("explorer_app/widgets/planted_up.py", "from explorer_app.panel import base"),
    "a panel knows another": ("explorer_app/panels/planted_twin.py", "from explorer_app.panels import norms"),
    "what the window knows draws": ("explorer_app/state/planted.py", "from PySide6 import QtCore"),
    "what is spoken computes": ("model_core/api/planted.py", "import torch"),
    "a circle in a room": ("model_core/analysis/planted.py", "from model_core.analysis import planted_back"),
    "a room that nobody named": ("explorer_app/planted.py", ""),
}
BACK = ("model_core/analysis/planted_back.py", "from model_core.analysis import planted")


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=root, capture_output=True, text=True, timeout=300
    )


def test_the_contracts_of_imports_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("file", "line"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_forbidden_import_breaks_a_contract(tmp_path: Path, file: str, line: str) -> None:
    for package in ("model_core", "explorer_app"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, text in ((file, line), BACK):
        (tmp_path / name).write_text(f"{text}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert Path(file).stem in done.stdout
    assert "0 broken" not in done.stdout
