"""Opening a file that a stranger may have put there: regular files alone, without waiting, none larger than expected.

Every reader goes through here: a FIFO would wait for ever, a device has no end, and a sparse file takes all memory.
"""

import errno
import os
import stat
import weakref
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from model_core.api.errors import InputError, first_line

WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
AS_IT_IS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: Path, limit: int | None = None) -> BinaryIO:
    """The file, open for reading bytes; it is the caller's to close.

    InputError where it is missing, may not be read, is no regular file (a FIFO, a device, a folder), or has more than
    `limit` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | WITHOUT_WAITING | AS_IT_IS)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from None
    status = os.fstat(descriptor)
    if problem := unfit(status, limit):
        os.close(descriptor)
        raise InputError(f"{path} cannot be read: {problem}")
    return os.fdopen(descriptor, "rb")


def check_regular(path: Path, limit: int | None = None) -> int:
    """The size in bytes of a file that a library is about to open by its name. InputError as `open_regular`."""
    with open_regular(path, limit) as file:
        return os.fstat(file.fileno()).st_size


def read_regular(path: Path, limit: int) -> bytes:
    """The whole content of a file. InputError as `open_regular`."""
    with open_regular(path, limit) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {why(error)}") from None
    if len(data) > limit:
        raise InputError(f"{path} cannot be read: it grew beyond {limit:,} bytes")
    return data


class StaysOpen:
    """A regular file that is open as long as anybody has this: a part of it is read when it is asked for.

    The bytes stay what they were when another file takes its name, or none.

    Where another text is written into the very same file, nothing more is read of it.

    size  in bytes, when it was opened
    """

    # It is never mapped: whoever touches a page of a file that was cut is ended by the system, without a word.

    def __init__(self, path: Path) -> None:
        """InputError as `open_regular`."""
        self.path = path
        self.file = open_regular(path)
        weakref.finalize(self, self.file.close)
        self.size, self.written = self._now()
        self.lock = Lock()

    def _now(self) -> tuple[int, int]:
        """How large it is, and when it was written, in nanoseconds."""
        found = os.fstat(self.file.fileno())
        return found.st_size, found.st_mtime_ns

    def read_into(self, memory: Any, start: int) -> None:
        """Fill all bytes of a writable buffer with those from `start` on. InputError where the file has changed."""
        try:
            with self.lock:
                self.file.seek(start)
                read = self.file.readinto(memory)  # type: ignore[attr-defined]
                size, written = self._now()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {why(error)}") from None
        if size < self.size or read < memoryview(memory).nbytes:
            raise InputError(f"{self.path} was cut while it was read: open it again when it is whole")
        if written != self.written:
            raise InputError(f"{self.path} was written while it was read: open it again")

    def read(self, start: int, size: int) -> bytearray:
        """So many bytes from `start` on. InputError as `read_into`."""
        memory = bytearray(size)
        self.read_into(memory, start)
        return memory


def is_there(path: Path) -> bool:
    """Does anything lie under that name? What may not be looked at does: unreadable is not missing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG  # nothing can have such a name
    return True


def unfit(status: os.stat_result, limit: int | None) -> str:
    """Why something with that status is not read, "" where it is."""
    if stat.S_ISDIR(status.st_mode):
        return os.strerror(errno.EISDIR)
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if limit is not None and status.st_size > limit:
        return f"it has {status.st_size:,} bytes, and such a file may have at most {limit:,}"
    return ""


def why(error: Exception) -> str:
    """What the system says of it, without the path; of an error that is none of the system's, its first line."""
    return getattr(error, "strerror", None) or first_line(error)
