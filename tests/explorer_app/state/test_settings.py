"""Settings: what was kept comes back, whole; whatever else the file holds, there are defaults and no fault."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer_app.state.settings import (
    MOST_BYTES,
    Kept,
    Layout,
    Recent,
    Settings,
    kept_of,
    open_settings,
    to_json,
)
from explorer_app.state.training import Spec
from model_core.api.errors import InputError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
KEPT = Kept(
    theme="dark",
    layout=Layout(bytes(range(70)), bytes(range(256)) * 3, {"graph": 0.2, "attention": 0.8}),
    recent=(Recent("/models/mine", ("heads=8",)), Recent("growth@16")),
    folder="/models",
    trainings=(Spec(out="/runs/tales", preset="tales-llama", data=("tales.txt",), lr=0.002),),
)

many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def written(file: Path, **values: Any) -> Kept:
    """What is kept where the file says these values in the place of its own."""
    file.write_text(json.dumps(to_json(KEPT) | values))
    return Settings(file).kept


def test_what_was_kept_comes_back(file: Path) -> None:
    first = Settings(file)
    assert (first.kept, first.problem) == (Kept(), "")
    first.change(**KEPT.__dict__)
    again = Settings(file)
    assert (again.kept, again.problem) == (KEPT, "")


def test_a_change_leaves_the_rest(file: Path) -> None:
    Settings(file).change(**KEPT.__dict__)
    Settings(file).change(theme="light")
    assert Settings(file).kept == Kept(**KEPT.__dict__ | {"theme": "light"})


def test_settings_are_one_file_in_the_persons_folder() -> None:
    kept = open_settings()
    kept.change(folder="/models/mine")
    assert kept.path is not None
    assert kept.path.is_relative_to(os.environ["XDG_CONFIG_HOME"])
    assert [path.name for path in kept.path.parent.iterdir()] == ["settings.json"]
    assert "/models/mine" in kept.path.read_text()


def test_few_are_remembered_the_latest_of_them(file: Path) -> None:
    recent = tuple(Recent(f"/models/{number}") for number in range(20))
    trainings = tuple(Spec(out=f"/runs/{number}", preset="dates") for number in range(20))
    Settings(file).change(recent=recent, trainings=trainings)
    assert Settings(file).kept == Kept(recent=recent[:8], trainings=trainings[:16])


def test_nothing_else_reads_or_writes_settings() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "explorer_app").rglob("*.py")
        if re.search(r"\bQSettings\(|\.setValue\(\s*[\"']", path.read_text(encoding="utf-8"))
    ]
    assert found == []


# What a file may hold


@many
@given(data=st.binary(max_size=300))
@pytest.mark.process
def test_any_bytes_are_defaults(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    found = Settings(file)
    assert found.kept == Kept()
    assert found.problem
    assert "\n" not in found.problem


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@many
@given(said=st.dictionaries(st.sampled_from(sorted(to_json(KEPT))), values))
@pytest.mark.process
def test_any_json_is_read_and_what_is_read_can_be_kept(said: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps({"format": 1} | said))
    kept = Settings(file).kept
    assert kept_of(json.loads(json.dumps(to_json(kept)))) == kept


@many
@given(byte=st.integers(0, 4000), bit=st.integers(0, 7))
@pytest.mark.process
def test_a_flipped_bit_takes_nothing_with_it_but_what_it_hit(byte: int, bit: int, file: Path) -> None:
    whole = bytearray(json.dumps(to_json(KEPT)).encode())
    whole[byte % len(whole)] ^= 1 << bit
    file.write_bytes(whole)
    found = Settings(file).kept
    assert found.layout in (KEPT.layout, None)
    if found != Kept():
        changed = [name for name in KEPT.__dict__ if getattr(found, name) != getattr(KEPT, name)]
        assert len(changed) <= 1


DEEP = "[" * 100_000 + "]" * 100_000
FALSE = {
    "nothing": b"",
    "not utf-8": b"\xff\xfe",
    "no json": b"{",
    "no object": b"[1]",
    "deep": DEEP.encode(),
    "a deep value": b'{"format": 1, "recent": %b}' % DEEP.encode(),
    "5,000 digits": b'{"format": 1, "trainings": %b}' % (b"9" * 5000),
    "another version": b'{"format": 2}',
    "the version as text": b'{"format": "1"}',
    "the settings of before": b"[models]\nrecent=@Variant(\\0\\0\\0\\x7f)\n",
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_no_settings_file_is_defaults_and_one_line(name: str, file: Path) -> None:
    file.write_bytes(FALSE[name])
    found = Settings(file)
    assert found.kept == Kept()
    assert str(file) in found.problem
    assert len(found.problem.splitlines()) == 1


def test_a_file_that_is_too_large_or_no_file_is_not_read(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(MOST_BYTES + 1)
    assert "at most" in Settings(file).problem
    file.unlink()
    os.mkfifo(file)
    assert "no regular file" in Settings(file).problem
    file.unlink()
    file.mkdir()
    assert "directory" in Settings(file).problem
    file.rmdir()
    file.symlink_to("/dev/zero")
    assert "no regular file" in Settings(file).problem


@pytest.mark.parametrize(
    "recent",
    [
        7,
        "text",
        {"model": "x"},
        [[]],
        [""],
        [[""]],
        [["/models/a", 3]],
        [[["/models/a"]]],
        [["a\0b"]],
        [["\ud800"]],
        [["x" * 5000]],
        [[None]],
        [1e999],
    ],
)
def test_what_is_no_model_is_not_offered(recent: object, file: Path) -> None:
    assert written(file, recent=recent).recent == ()
    if isinstance(recent, list):
        assert written(file, recent=[*recent, ["/models/mine"]]).recent == (Recent("/models/mine"),)


@pytest.mark.parametrize("scheme", ["blue", 7, None, ["dark"], {}])
def test_another_theme_is_the_systems(scheme: object, file: Path) -> None:
    assert written(file, theme=scheme).theme is None


LAYOUT: Any = to_json(KEPT)["layout"]


@pytest.mark.parametrize(
    "layout",
    [
        None,
        7,
        "AAAA",
        [],
        {},
        LAYOUT | {"state": LAYOUT["geometry"]},
        LAYOUT | {"state": "no base64 ü"},
        LAYOUT | {"state": 7},
        LAYOUT | {"checksum": None},
        {name: LAYOUT[name] for name in ("geometry", "state")},
    ],
)
def test_a_damaged_layout_is_dropped_and_the_rest_stays(layout: object, file: Path) -> None:
    assert written(file, layout=layout) == Kept(**KEPT.__dict__ | {"layout": None})


def test_every_flipped_bit_of_a_layout_is_seen(file: Path) -> None:
    state = base64.b64decode(LAYOUT["state"])
    for bit in range(8 * len(state)):
        flipped = bytearray(state)
        flipped[bit // 8] ^= 1 << bit % 8
        said = LAYOUT | {"state": base64.b64encode(flipped).decode()}
        assert kept_of({"layout": said}).layout is None


def test_a_layout_that_a_start_died_of_is_dropped(file: Path) -> None:
    Settings(file).change(**KEPT.__dict__ | {"restoring": True})
    found = Settings(file)
    assert found.kept == Kept(**KEPT.__dict__ | {"layout": None})
    assert "ended while it restored its layout" in found.problem


# Where it cannot be written


@pytest.fixture
def full(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings that are there, on a disk that is full until the patch is undone."""

    def no_room(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    Settings(file).change(**KEPT.__dict__)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        yield patch


def test_a_full_disk_is_one_line_and_what_is_there_stays(file: Path, full: pytest.MonkeyPatch) -> None:
    before, kept = file.read_bytes(), Settings(file)
    with pytest.raises(InputError, match=r"settings\.json cannot be written: No space left on device"):
        kept.change(theme="light")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
    assert kept.kept.theme == "light"


def test_the_next_change_brings_what_could_not_be_written(file: Path, full: pytest.MonkeyPatch) -> None:
    kept = Settings(file)
    with pytest.raises(InputError):
        kept.change(theme="light")
    full.undo()
    kept.change(folder="/elsewhere")
    assert Settings(file).kept == Kept(**KEPT.__dict__ | {"theme": "light", "folder": "/elsewhere"})


def test_what_could_not_be_written_is_tried_again_by_an_equal_change(
    file: Path, full: pytest.MonkeyPatch
) -> None:
    kept = Settings(file)
    with pytest.raises(InputError):
        kept.change(theme="light")
    full.undo()
    kept.change(theme="light")
    assert Settings(file).kept.theme == "light"


def test_a_change_that_changes_nothing_writes_nothing(file: Path, full: pytest.MonkeyPatch) -> None:
    Settings(file).change(theme="dark")


def test_a_folder_that_may_not_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for owner, name in ((Path, "mkdir"), (os, "open")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, forbidden)
            with pytest.raises(InputError, match=r"settings\.json cannot be written: Permission denied"):
                Settings(tmp_path / "none" / "settings.json").change(theme="dark")


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "Layerscope").write_text("mine")
    kept = Settings(tmp_path / "Layerscope" / "settings.json")
    assert kept.problem == ""
    with pytest.raises(InputError, match="cannot be written"):
        kept.change(theme="dark")
    assert (tmp_path / "Layerscope").read_text() == "mine"


def test_a_file_that_is_a_folder_is_one_line(file: Path) -> None:
    file.mkdir()
    with pytest.raises(InputError, match="cannot be written: it is there and is no file"):
        Settings(file).change(theme="dark")


def test_a_planted_link_is_not_written_through(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "another's"
    other.write_text("mine")
    file.symlink_to(other)
    Settings(file).change(theme="dark")
    assert other.read_text() == "mine"
    assert not file.is_symlink()


def no_home(*_: object, **__: object) -> Path:
    raise RuntimeError("could not determine the home directory")


def left_as_it_is(*_: object, **__: object) -> Path:
    return Path("~/.config/Layerscope")


@pytest.mark.parametrize("nobody", [no_home, left_as_it_is])
def test_without_a_home_nothing_is_written_and_that_is_said(
    nobody: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer_app.state.own_folders.user_config_path", nobody)
    kept = open_settings()
    assert (kept.kept, kept.problem) == (Kept(), "")
    with pytest.raises(InputError, match="no home folder"):
        kept.change(theme="dark")


def test_of_two_that_write_the_last_one_wins_and_the_file_is_whole(file: Path) -> None:
    one, other = Settings(file), Settings(file)
    for number in range(20):
        one.change(folder=f"/one/{number}")
        assert Settings(file).kept == one.kept
        other.change(folder=f"/other/{number}" * 100)
        assert Settings(file).kept == other.kept
    assert list(file.parent.iterdir()) == [file]
