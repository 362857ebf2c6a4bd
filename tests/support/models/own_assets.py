"""A copy of the bundled files that a test may damage."""

import shutil
from pathlib import Path

import pytest

from model_core.api.files import assets


def copied_assets(root: Path) -> Path:
    """Copy presets and tokenizers into `root`, where a checkout would have them; returns the folder of presets.

    Left out is growth at its earlier steps, which is large.
    """
    for name in ("presets", "tokenizers"):
        shutil.copytree(
            assets.asset(name), root / "assets" / name, ignore=shutil.ignore_patterns("steps", "README.md")
        )
    return root / "assets" / "presets"


def use_assets(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """From now on the bundled files are those beside a package in `root`."""
    monkeypatch.setattr(assets, "_PACKAGE", root / "model_core")
