"""Opening a file that a stranger may have put there: regular files alone, without waiting, none larger than expected.

Every reader goes through here: a FIFO would wait for ever, a device has no end, and a sparse file takes all memory.
"""

import errno
import mmap
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from model_core.errors import InputError, first_line

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


@dataclass(frozen=True)
class Mapped:
    """The bytes of a file that was open, none of which is read before it is used.

    They stay what they were when another file takes its name, or none.
    """

    path: Path
    bytes: mmap.mmap

    @property
    def size(self) -> int:
        return len(self.bytes)

    def whole(self) -> mmap.mmap:
        """The bytes; what is written on them stays here. InputError where the file has been cut since it was mapped."""
        # To touch what is no longer there would end the process.
        if self.bytes.size() < self.size:
            raise InputError(f"{self.path} was cut while it was read: open it again when it is whole")
        return self.bytes


def mapped(path: Path, file: BinaryIO) -> Mapped:
    """The bytes of the open file that was found under that path. InputError where it is empty or cannot be mapped."""
    try:
        return Mapped(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from None


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
