"""What a path means where there is no home, and where the working folder is gone."""

from pathlib import Path

import pytest

from model_core.api import model_ref
from model_core.api.errors import InputError
from model_core.api.files.paths import expanded, has_working_folder, whole
from model_core.api.stamp import stamp
from model_core.sources.presets import grown, path_of

pytestmark = pytest.mark.unit

NOBODY = "~nobody-is-called-so/model"


def test_a_home_takes_the_place_of_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/model") == tmp_path / "model"
    assert whole("~/model") == tmp_path / "model"


def test_the_home_of_nobody_is_one_line() -> None:
    for reading in (expanded, whole, path_of):
        with pytest.raises(InputError):
            reading(NOBODY)
    assert stamp(NOBODY) == ""
    assert grown(NOBODY) is grown(f"{NOBODY}@3") is None


def test_a_path_begins_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole("model") == tmp_path / "model"


@pytest.fixture
def in_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder was deleted."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.usefixtures("in_no_folder")
def test_a_path_that_begins_in_a_deleted_folder_is_one_line(tmp_path: Path) -> None:
    assert not has_working_folder()
    with pytest.raises(InputError, match="the working folder is gone"):
        whole("model")
    assert whole(tmp_path / "model") == tmp_path / "model"
    assert stamp("model") == ""


@pytest.mark.parametrize("model", ["growth@" + "9" * 5000, "x@" + "1" * 13, "growth@١٦"])
def test_a_step_that_no_training_has_is_part_of_a_name(model: str) -> None:
    assert model_ref.split(model) == (model, None)
    assert stamp(model) == ""
    assert grown(model) is None
    with pytest.raises(InputError, match="there is no model"):
        path_of(model)


def test_steps_are_read_up_to_twelve_digits() -> None:
    assert model_ref.split("growth@" + "9" * 12) == ("growth", 10**12 - 1)
