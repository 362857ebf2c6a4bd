"""Bundled files are found beside the packages and inside an installed one."""

import runpy
import shutil
from pathlib import Path

import pytest

import model_core
from model_core.api.files import assets

pytestmark = pytest.mark.unit


def test_an_asset_of_the_checkout_is_found() -> None:
    assert assets.asset("fonts", "Inter-Regular.ttf").is_file()


def test_an_installed_package_reads_the_files_that_it_carries(tmp_path: Path) -> None:
    package = tmp_path / "model_core"
    (package / "_assets").mkdir(parents=True)
    module = package / Path(assets.__file__).relative_to(Path(model_core.__file__).parent)
    module.parent.mkdir(parents=True)
    shutil.copy(assets.__file__, module)
    asset = runpy.run_path(str(module))["asset"]
    assert asset("fonts", "a.ttf") == package / "_assets" / "fonts" / "a.ttf"
