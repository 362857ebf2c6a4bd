"""A folder that one process at a time works in: a lock that goes with its process, however that ends.

Where the file system knows no locks, as some network folders do, everybody is let in.
"""

import os
import platform
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_core.api.errors import InputError
from model_core.api.files.regular_file import read_regular, why

LOCK = "training.lock"
FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
MOST_SAID = 200  # bytes that say who holds it


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, is this process's while the block runs.

    InputError, which says whose it is, where another process has it; or where it cannot be written.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = locked(path)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {why(error)}") from None
    if descriptor is None:
        raise InputError(
            f"{folder} is being trained in already, by {holder(path)}: "
            "wait until it ends, stop it, or name another folder"
        )
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that is open: there it stays, and keeps nobody out
            if is_same(descriptor, path):
                path.unlink()
        os.close(descriptor)


def locked(path: Path) -> int | None:
    """A descriptor that holds the lock as long as it is open; None where another process holds it."""
    while True:
        descriptor = os.open(path, FLAGS, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(f"its {LOCK} is no regular file")
            if not taken(descriptor):
                os.close(descriptor)
                return None
            # Whoever had it before may have removed the file since it was opened here.
            if is_same(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def is_same(descriptor: int, path: Path) -> bool:
    """Does the file still have that name?"""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def holder(path: Path) -> str:
    """Who says to hold it."""
    with suppress(InputError, UnicodeDecodeError):
        said = read_regular(path, MOST_SAID).decode().strip()
        if said.isprintable() and said:
            return said
    return "another process"


if sys.platform == "win32":
    import msvcrt

    BEHIND = 1 << 30  # what is locked cannot be read by others, so it lies behind what is to be read

    def taken(descriptor: int) -> bool:
        """Take the lock; False where another process has it."""
        os.lseek(descriptor, BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def taken(descriptor: int) -> bool:
        """Take the lock; False where another process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # no locks there
        return True
