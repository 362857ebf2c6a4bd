"""What is remembered between two starts: the layout, the theme, the folders that were opened. One ini file."""

from typing import cast, get_args

from platformdirs import user_config_path
from PySide6.QtCore import QSettings

from explorer_app import theme

RECENT = 8


def open_settings() -> QSettings:
    """The person's settings, in the folder that their system keeps for such files."""
    path = user_config_path("Layerscope", appauthor=False) / "layerscope.ini"
    return QSettings(str(path), QSettings.Format.IniFormat)


def recent_models(settings: QSettings) -> list[str]:
    """Paths of checkpoints that were opened, the latest first."""
    found = settings.value("models/recent", [])
    # One string is what an ini file gives back for a list of one.
    paths = [found] if isinstance(found, str) else found
    return [path for path in paths if isinstance(path, str) and path] if isinstance(paths, list) else []


def remember_model(settings: QSettings, path: str) -> None:
    """Put a path at the head of the recent ones."""
    paths = [path, *(other for other in recent_models(settings) if other != path)]
    settings.setValue("models/recent", paths[:RECENT])


def saved_theme(settings: QSettings) -> theme.Scheme | None:
    """The theme that was chosen, None for the system's."""
    name = settings.value("window/theme")
    return cast(theme.Scheme, name) if name in get_args(theme.Scheme) else None
