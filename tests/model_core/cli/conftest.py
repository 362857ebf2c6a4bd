"""What commands are given: tiny checkpoints, a short text, and a preset that is trained in no time."""

import json
from pathlib import Path

import pytest

from model_core.api.opening import RECIPE
from model_core.cli.training import options
from model_core.sources import presets
from model_core.sources.presets import NAMES
from model_core.text.tokenizer import END_OF_TEXT
from tests.support.models.own_assets import copied_assets, use_assets
from tests.support.models.tales import TALES
from tests.support.models.tiny import CONFIGS, save


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The path of a tiny checkpoint of each family."""
    return {family: save(tmp_path_factory.mktemp(family), family) for family in CONFIGS}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """Arguments that name two files of three tales."""
    first, second = tmp_path / "two tales.txt", tmp_path / "third.txt"
    first.write_text(END_OF_TEXT.join(TALES[:2]), encoding="utf-8")
    second.write_text(TALES[2], encoding="utf-8")
    return ["--data", str(first), "--data", str(second)]


TINY = """
[recipe]
steps = 5
batch = 4
length = 16
warmup = 2
held_out = [2]
"""


@pytest.fixture
def preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of a preset that is trained in no time, its third document held out."""
    folder = copied_assets(tmp_path / "program") / "tiny"
    folder.mkdir()
    config = "\n".join(
        f"{name} = {json.dumps(field)}" for name, field in vars(CONFIGS["llama"]).items() if field is not None
    )
    (folder / RECIPE).write_text(
        f'about = "A llama for tests"\nfamily = "llama"\ntokenizer = "tales-2048"\n[config]\n{config}\n{TINY}',
        encoding="utf-8",
    )
    use_assets(monkeypatch, tmp_path / "program")
    monkeypatch.setattr(presets, "NAMES", (*NAMES, "tiny"))
    monkeypatch.setattr(options, "REPORT_EVERY", 2)
    return "tiny"
