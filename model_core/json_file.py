"""Reading a JSON file that somebody else wrote."""

import json
from pathlib import Path
from typing import Any

from model_core.errors import InputError
from model_core.regular_file import read_regular

MOST_BYTES = 4 << 20  # of a description or a configuration; in memory an object takes up to 30 times its text


def read_json(path: Path, limit: int = MOST_BYTES) -> dict[str, Any]:
    """The object in a JSON file. InputError for anything else."""
    content = json_value(path, limit)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content


def json_value(path: Path, limit: int = MOST_BYTES) -> Any:
    """The value in a JSON file, of whatever type. InputError where it cannot be read, or is not JSON."""
    try:
        return json.loads(read_regular(path, limit).decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not JSON: {str(error).splitlines()[0]}") from None
