"""Where a person's system keeps what programs write of themselves; nowhere for who has no home."""

from collections.abc import Callable
from pathlib import Path

from platformdirs import user_config_path, user_data_path


def config_folder() -> Path | None:
    """The folder for settings."""
    return _folder(user_config_path)


def data_folder() -> Path | None:
    """The folder for what a person makes."""
    return _folder(user_data_path)


def _folder(of: Callable[..., Path]) -> Path | None:
    try:
        folder = of("Layerscope", appauthor=False)
    except RuntimeError:
        return None
    # Where no home was found, its sign may be left as it is.
    return folder if folder.is_absolute() else None
