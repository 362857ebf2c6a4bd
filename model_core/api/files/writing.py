"""Files that are whole or not there: written beside their place, and renamed when they are complete."""

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_core.api.errors import InputError
from model_core.api.files.regular_file import why

# A link that somebody put under the name beforehand would lead the writing elsewhere: a new file, or none.
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)


ABANDONED = 3600  # seconds; no file is being written for so long without a byte


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to. It takes that name when the block ends well, and goes when it does not.

    InputError, before the block runs, where nothing can be written there.
    """
    begin = f".{path.name[:100]}."
    unfinished = path.with_name(f"{begin}{secrets.token_hex(8)}.part")
    with write_errors(path):
        if path.exists() and not path.is_file():
            raise InputError(f"{path} cannot be written: it is there and is no file")
        os.close(os.open(unfinished, NEW_FILE, 0o666))
    try:
        with write_errors(path):
            mode = unfinished.stat().st_mode
        with suppress(OSError):  # a folder may be writable, and not to be listed
            clear_abandoned(unfinished, begin)
        yield unfinished
        with write_errors(path):
            unfinished.chmod(mode)  # safetensors makes files that their owner alone can read
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def clear_abandoned(mine: Path, begin: str) -> None:
    """Remove what writers like that of `mine` left that were ended in the middle and could not remove it."""
    name, owner = re.compile(re.escape(begin) + r"[0-9a-f]{16}\.part"), mine.stat().st_uid
    with os.scandir(mine.parent) as found:
        for one in found:
            if name.fullmatch(one.name):
                about = one.stat(follow_symlinks=False)
                old = time.time() - about.st_mtime > ABANDONED
                if old and stat.S_ISREG(about.st_mode) and about.st_uid == owner:
                    os.unlink(one.path)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turns a failure to write inside the block into an InputError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be written: {why(error)}") from None


def write_text(path: Path, text: str) -> None:
    """A UTF-8 file, whole. InputError where it cannot be written."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """A file, whole. InputError where it cannot be written."""
    with replaced(path) as unfinished, write_errors(path):
        unfinished.write_bytes(data)
