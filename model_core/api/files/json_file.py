"""Reading JSON that somebody else wrote."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError, first_line
from model_core.api.files.regular_file import read_regular

MOST_BYTES = 4 << 20  # of a description or a configuration; in memory an object takes up to 30 times its text
MOST_DEEP = 100  # lists and objects inside each other; whoever goes through them calls itself as often


def read_json(path: Path, limit: int = MOST_BYTES) -> dict[str, Any]:
    """The object in a JSON file. InputError for anything else."""
    content = json_value(path, limit)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content


def json_value(path: Path, limit: int = MOST_BYTES) -> Any:
    """The value in a JSON file, of whatever type. InputError where it cannot be read, or is not JSON."""
    try:
        text = read_regular(path, limit).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    return json_in(text, str(path))


def json_in(text: str, what: str) -> Any:
    """The value that a text of JSON spells out. InputError, which names `what` was read, where it is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {first_line(error)}") from None
    check_depth(content, what)
    return content


def check_depth(content: Any, what: str) -> None:
    """InputError where lists and objects lie deeper inside each other than anybody would write them."""
    level = [content]
    for _ in range(MOST_DEEP):
        level = [one for held in level for one in inside(held) if isinstance(one, list | dict)]
        if not level:
            return
    raise InputError(f"{what} has lists or objects more than {MOST_DEEP} deep in each other")


def inside(held: Any) -> Iterable[Any]:
    """What a list or an object holds; nothing where it is neither."""
    if isinstance(held, dict):
        return held.values()
    return held if isinstance(held, list) else ()
