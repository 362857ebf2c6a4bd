"""Commands as they are given, and what they print."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from model_core.cli.__main__ import main
from tests.support.models.tiny import CONFIGS

PROMPT = "The cat sat on the mat"
LONG = PROMPT * 10
families = pytest.mark.parametrize("family", CONFIGS)


def traced(out: Path, *arguments: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a trace."""
    assert main(["trace", "--out", str(out), *arguments]) == 0
    with safe_open(out, framework="pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    return load_file(out), about


def generated(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints."""
    capsys.readouterr()
    assert main(["generate", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> str:
    """The line that a command with wrong input leaves."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("layerscope: ")
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    assert "Traceback" not in said.err
    return said.err.removeprefix("layerscope: ").removesuffix("\n")
