"""A training of moments, as a command."""

import json
from pathlib import Path

import pytest

from tests.support.training import DESCRIBED, TEXT


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Trains a tiny model with dropout, keeping it after every 3 steps; the folder is to be added."""
    (tmp_path / "tiny.json").write_text(json.dumps(DESCRIBED), encoding="utf-8")
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    words = ["train", "--config", str(tmp_path / "tiny.json"), "--data", str(tmp_path / "text.txt")]
    return [*words, "--report-every", "2", "--save-every", "3", "--measure-every", "4", "--out"]
