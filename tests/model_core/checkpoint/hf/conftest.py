"""Small random models as `transformers` saves them."""

import shutil
from pathlib import Path

import pytest

from tests.support.models.reference import gpt2, llama, reference


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder for each family, as the reference saves it."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("gpt2", "llama")}
    reference(gpt2()).save_pretrained(folders["gpt2"])
    reference(llama()).save_pretrained(folders["llama"])
    return folders


@pytest.fixture(params=["gpt2", "llama"])
def either(request: pytest.FixtureRequest, saved: dict[str, Path], tmp_path: Path) -> Path:
    """A copy, to be changed, of a folder of each family."""
    return Path(shutil.copytree(saved[request.param], tmp_path / request.param))


@pytest.fixture
def folder(saved: dict[str, Path], tmp_path: Path) -> Path:
    """A copy, to be changed, of the LLaMA folder."""
    return Path(shutil.copytree(saved["llama"], tmp_path / "llama"))


@pytest.fixture
def gpt2_folder(saved: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved["gpt2"], tmp_path / "gpt2"))
