"""Reading TOML that somebody wrote by hand: small, and not deep. Imports neither torch nor Qt."""

import tomllib
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError, first_line
from model_core.api.files.json_file import check_depth
from model_core.api.files.text_file import read_text

MOST_BYTES = 1 << 17
MOST_DOTS = 100


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file. InputError where it cannot be read, or is none such."""
    text = read_text(path, MOST_BYTES)
    # What reads TOML takes the square of the parts of a name in time.
    if any(line.count(".") > MOST_DOTS for line in text.split("\n")):  # other ends of a line are text in TOML
        raise InputError(f"{path} has a line of more than {MOST_DOTS} dots: such a file has short names")
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{path} is not TOML: {first_line(error)}") from None
    check_depth(said, str(path))
    return said
