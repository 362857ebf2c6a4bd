"""What a path that somebody wrote means: "~" is a home, and what does not begin at the root begins where we are."""

import os
from pathlib import Path

from model_core.api.errors import InputError


def expanded(path: str | Path) -> Path:
    """The path with a home for its "~". InputError where there is no such home: not everybody has one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path} cannot be found: there is no home folder of that name") from None


def whole(path: str | Path) -> Path:
    """The path from the root, which means the same wherever it is read. InputError where it begins nowhere."""
    written = expanded(path)
    if written.is_absolute():
        return written
    check_working_folder()
    return written.absolute()


def followed(path: Path) -> Path:
    """What the path leads to through its links; of links that have become a circle, as far as they lead."""
    return Path(os.path.realpath(path))


def check_working_folder() -> None:
    """InputError where the folder that we were started in is gone: a path that begins there means nothing."""
    if not has_working_folder():
        raise InputError("the working folder is gone: change to one that is there")


def has_working_folder() -> bool:
    """Is the folder that we were started in still there?"""
    try:
        Path.cwd()
    except OSError:
        return False
    return True
