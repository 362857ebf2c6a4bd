"""What a stranger may put where a file is expected: each takes a path at which nothing lies, or that it replaces."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

PATIENCE_S = 60  # a reader that waits for ever fails; how fast it is, is not measured


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(6 << 30)


STRANGE: dict[str, Callable[[Path], None]] = {
    "a FIFO": fifo,
    "a device": device,
    "a folder": folder,
    "a link to itself": loop,
    "six gigabytes of nothing": sparse,
}


def put(kind: str, path: Path) -> None:
    """Put a strange file in the place of what lies there."""
    path.unlink(missing_ok=True)
    STRANGE[kind](path)


def forbid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on that file may not be opened, which the system itself does not refuse its administrator."""
    path.touch()
    opened = os.open

    def open_(name: os.PathLike[str] | str, *more: int, **how: int) -> int:
        if Path(name) == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(name, *more, **how)

    monkeypatch.setattr(os, "open", open_)


@contextmanager
def at_once() -> Iterator[None]:
    """Fails where the block waits for what never comes."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("it waits for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
