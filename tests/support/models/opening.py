"""A checkpoint that does not open."""

from pathlib import Path
from typing import Any

import pytest

from model_core.api.errors import InputError
from model_core.checkpoint.opening import open_checkpoint


def refused(path: Path, **how: Any) -> str:
    """The one line that opening it ends in."""
    with pytest.raises(InputError) as error:
        open_checkpoint(path, **how)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    return message
