"""Reading a JSON file that somebody else wrote."""

import json
from pathlib import Path
from typing import Any

from model_core.errors import InputError


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. InputError for anything else."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content
