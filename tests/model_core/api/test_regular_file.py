"""Files of strangers are opened without waiting, without end, and without following what was planted."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from model_core.api.errors import InputError
from model_core.api.files.json_file import read_json
from model_core.api.files.regular_file import check_regular, is_there, open_regular, read_regular
from model_core.api.files.text_file import read_text
from model_core.api.files.writing import replaced, write_errors, write_text

pytestmark = pytest.mark.unit


def fifo(place: Path) -> Path:
    os.mkfifo(place / "waits")
    return place / "waits"


def folder(place: Path) -> Path:
    (place / "folder").mkdir()
    return place / "folder"


def device(place: Path) -> Path:
    (place / "endless").symlink_to("/dev/zero")
    return place / "endless"


def socket(place: Path) -> Path:
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX) as one:
        one.bind(str(place / "socket"))
    return place / "socket"


def missing(place: Path) -> Path:
    return place / "nothing"


def around(place: Path) -> Path:
    (place / "around").symlink_to("around")
    return place / "around"


def impossible(place: Path) -> Path:
    return place / "a\0b"


def sparse(place: Path) -> Path:
    with (place / "sparse").open("wb") as file:
        file.truncate(6 << 30)
    return place / "sparse"


STRANGE = [fifo, folder, device, socket, missing, around, impossible, sparse]


@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.parametrize(
    "read",
    [
        lambda path: open_regular(path, 1000).close(),
        lambda path: check_regular(path, 1000),
        lambda path: read_regular(path, 1000),
        read_json,
        read_text,
    ],
)
def test_what_is_no_regular_file_of_a_fitting_size_is_refused_in_one_line(
    make: Callable[[Path], Path], read: Callable[[Path], object], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="cannot be read") as refused:
        read(make(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_regular_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    assert check_regular(path) == 5
    with pytest.raises(InputError, match="has 5 bytes, and such a file may have at most 4"):
        read_regular(path, 4)


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 5) == b"12345"


@pytest.mark.parametrize("make", [fifo, folder, device, around])
def test_what_cannot_be_read_is_there_all_the_same(make: Callable[[Path], Path], tmp_path: Path) -> None:
    assert is_there(make(tmp_path))


@pytest.mark.parametrize("make", [missing, impossible])
def test_what_is_missing_is_not_there(make: Callable[[Path], Path], tmp_path: Path) -> None:
    assert not is_there(make(tmp_path))


def test_a_planted_link_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    (tmp_path / ".mine.txt.known.part").symlink_to(theirs)
    with pytest.raises(InputError, match="cannot be written: File exists"):
        write_text(tmp_path / "mine.txt", "text")
    assert theirs.read_text() == "precious"


def test_what_is_left_of_a_killed_writer_does_not_stop_the_next(tmp_path: Path) -> None:
    with replaced(tmp_path / "mine.txt") as first:
        write_text(tmp_path / "mine.txt", "text")
        first.write_text("more")
    assert (tmp_path / "mine.txt").read_text() == "more"


@pytest.mark.parametrize("error", [OSError(), OSError("\n"), SafetensorError()])
def test_a_failure_without_a_word_is_told_by_its_name(error: Exception, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=rf"^\S*file cannot be written: {type(error).__name__}$"),
        write_errors(tmp_path / "file"),
    ):
        raise error


def test_what_a_killed_writer_left_goes_when_its_file_is_next_written_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    id, long_ago = "0123456789abcdef", time.time() - 7200
    left, new = tmp_path / f".mine.txt.{id}.part", tmp_path / f".mine.txt.{id[::-1]}.part"
    link = tmp_path / f".mine.txt.{'a' * 16}.part"
    others = [
        tmp_path / f".other.txt.{id}.part",
        tmp_path / f".mine.txt.{id}x.part",
        tmp_path / f"mine.txt.{id}.part",
    ]
    for file in (left, new, *others):
        file.write_text("unfinished")
    link.symlink_to(others[0])
    for file in (left, link, *others):
        os.utime(file, (long_ago, long_ago), follow_symlinks=False)
    write_text(tmp_path / "mine.txt", "whole")
    assert not left.exists()
    assert {*tmp_path.iterdir()} == {tmp_path / "mine.txt", new, link, *others}
