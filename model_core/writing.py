"""Files that are whole or not there: written beside their place, and renamed when they are complete."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_core.errors import InputError
from model_core.regular_file import why

# A link that somebody put under the name beforehand would lead the writing elsewhere: a new file, or none.
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to. It takes that name when the block ends well, and goes when it does not.

    InputError, before the block runs, where nothing can be written there.
    """
    unfinished = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    with write_errors(path):
        if path.exists() and not path.is_file():
            raise InputError(f"{path} cannot be written: it is there and is no file")
        os.close(os.open(unfinished, NEW_FILE, 0o666))
    try:
        with write_errors(path):
            mode = unfinished.stat().st_mode
        yield unfinished
        with write_errors(path):
            unfinished.chmod(mode)  # safetensors makes files that their owner alone can read
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
