"""What is remembered between two starts: the layout, the theme, the models that were opened. One ini file."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast, get_args

from platformdirs import user_config_path
from PySide6.QtCore import QSettings

from explorer_app import theme
from explorer_app.training import Spec, spec_of

RECENT = 8
TRAININGS = 16


@dataclass(frozen=True)
class Recent:
    """A model that was opened, and what had to be said beside its files: "heads=8" each."""

    model: str
    config: tuple[str, ...] = ()


def open_settings() -> QSettings:
    """The person's settings, in the folder that their system keeps for such files."""
    path = user_config_path("Layerscope", appauthor=False) / "layerscope.ini"
    return QSettings(str(path), QSettings.Format.IniFormat)


def recent_models(settings: QSettings) -> list[Recent]:
    """The models that were opened, the latest first."""
    return [recent for line in _lines(settings, "models/recent") if (recent := _read(line))]


def _lines(settings: QSettings, name: str) -> list[str]:
    """The texts of a setting; one of them is what an ini file gives back for a list of one."""
    found = settings.value(name, [])
    entries = [found] if isinstance(found, str) else found
    return [entry for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []


def _read(entry: str) -> Recent | None:
    """A line of the settings: JSON of the model and its words, or a path alone."""
    if not entry.startswith("["):
        return Recent(entry) if entry else None
    try:
        words = json.loads(entry)
    except ValueError:
        return None
    if not words or not all(isinstance(word, str) for word in words):
        return None
    return Recent(words[0], tuple(words[1:]))


def remember_model(settings: QSettings, recent: Recent) -> None:
    """Put a model at the head of the recent ones; the same one with other words takes its place."""
    others = (other for other in recent_models(settings) if other.model != recent.model)
    entries = [recent, *others][:RECENT]
    settings.setValue("models/recent", [json.dumps([entry.model, *entry.config]) for entry in entries])


def remembered_trainings(settings: QSettings) -> list[Spec]:
    """The trainings that were started, the latest first."""
    return [spec for line in _lines(settings, "training/specs") if (spec := spec_of(line))]


def remember_trainings(settings: QSettings, specs: Iterable[Spec]) -> None:
    """Keep the latest of the trainings that were started, the latest first."""
    settings.setValue("training/specs", [spec.to_json() for spec in specs][:TRAININGS])


def forget_models(settings: QSettings) -> None:
    """No model was opened, as far as the settings know."""
    settings.remove("models/recent")


def saved_theme(settings: QSettings) -> theme.Scheme | None:
    """The theme that was chosen, None for the system's."""
    name = settings.value("window/theme")
    return cast(theme.Scheme, name) if name in get_args(theme.Scheme) else None
