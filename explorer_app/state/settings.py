"""What is remembered between two starts, without Qt: the layout, the theme, the models and trainings of before.

One JSON file, written whole. Whatever it holds, it is read: what is not as we write it counts as not remembered.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from model_core.api.errors import InputError
from model_core.api.files.json_file import read_json
from model_core.api.files.regular_file import is_there
from model_core.api.files.writing import write_errors, write_text

from explorer_app.state.own_folders import config_folder
from explorer_app.state.training import Spec, is_text, spec_of

FILE = "settings.json"
FORMAT = 1
MOST_BYTES = 1 << 20
RECENT = 8
TRAININGS = 16
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Recent:
    """A model that was opened, and what had to be said beside its files: "heads=8" each."""

    model: str
    config: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where the window was, and its panels in it, in Qt's own bytes. Qt trusts them: a flipped bit can end it.

    shares  of the window's width, of each panel that was seen in a column; for a window that comes back in another
            size, which Qt takes from the columns as it can
    """

    geometry: bytes
    state: bytes
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def checksum(self) -> str:
        shares = json.dumps(dict(self.shares)).encode()
        return hashlib.sha256(
            b"%d %d %b%b%b" % (len(self.geometry), len(self.state), self.geometry, self.state, shares)
        ).hexdigest()


@dataclass(frozen=True)
class Kept:
    """theme      what was chosen, None for the system's
    layout     None where none was kept, or nobody knows whether it can be restored
    restoring  a start is about to restore the layout; where that stays, it died of it
    recent     the models that were opened, the latest first
    folder     where the last one was chosen
    trainings  what was started, the latest first
    """

    theme: Scheme | None = None
    layout: Layout | None = None
    restoring: bool = False
    recent: tuple[Recent, ...] = ()
    folder: str = ""
    trainings: tuple[Spec, ...] = ()


class Settings:
    """What is kept, and the file of it; without a path no file can be written.

    problem  why the file was not read as it is, in one line; "" where it was, or where there is none
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept, self.problem = read(path)
        self._unwritten = False

    def change(self, **fields: Any) -> None:
        """Keep other values, in the file as well: `change(theme="dark")`.

        InputError where it cannot be written: it stays as it was, and the next change is to write all of them.
        """
        kept = replace(self.kept, **fields)
        if kept == self.kept and not self._unwritten:
            return
        self.kept, self._unwritten = kept, True
        if self.path is None:
            raise InputError("settings are not remembered: there is no home folder to keep them in")
        with write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, json.dumps(to_json(kept), indent=1) + "\n")
        self._unwritten = False


def open_settings() -> Settings:
    """The person's settings, in the folder that their system keeps for such files."""
    folder = config_folder()
    return Settings(None if folder is None else folder / FILE)


def read(path: Path | None) -> tuple[Kept, str]:
    """What a file keeps, and why that is not all that it says, "" where it is; defaults where there is no file."""
    if path is None or not is_there(path):
        return Kept(), ""
    try:
        said = read_json(path, MOST_BYTES)
    except InputError as error:
        return Kept(), f"{error}: nothing is remembered of the last time"
    if said.get("format") != FORMAT:
        return Kept(), f"{path} is of another version: nothing is remembered of the last time"
    kept = kept_of(said)
    if kept.restoring:
        kept = replace(kept, layout=None, restoring=False)
        return kept, "the last start ended while it restored its layout: this is the default one"
    return kept, ""


def to_json(kept: Kept) -> dict[str, Any]:
    """What `kept_of` reads."""
    layout = kept.layout
    return {
        "format": FORMAT,
        "theme": kept.theme,
        "restoring": kept.restoring,
        "layout": layout
        and {
            "geometry": base64.b64encode(layout.geometry).decode(),
            "state": base64.b64encode(layout.state).decode(),
            "checksum": layout.checksum,
            "shares": dict(layout.shares),
        },
        "recent": [[recent.model, *recent.config] for recent in kept.recent[:RECENT]],
        "folder": kept.folder,
        "trainings": [spec.to_json() for spec in kept.trainings[:TRAININGS]],
    }


def kept_of(said: dict[str, Any]) -> Kept:
    """What an object keeps; a default in the place of what is not as `to_json` says it."""
    theme, folder = said.get("theme"), said.get("folder")
    recent = [Recent(one[0], tuple(one[1:])) for one in entries(said, "recent") if is_model(one)]
    trainings = [spec for one in entries(said, "trainings") if (spec := spec_of(one)) is not None]
    return Kept(
        theme=cast(Scheme, theme) if theme in get_args(Scheme) else None,
        layout=layout_of(said.get("layout")),
        restoring=said.get("restoring") is True,
        recent=tuple(recent[:RECENT]),
        folder=folder if is_text(folder) else "",
        trainings=tuple(trainings[:TRAININGS]),
    )


def entries(said: dict[str, Any], name: str) -> list[Any]:
    """A list of that name, empty where there is none."""
    found = said.get(name)
    return found if isinstance(found, list) else []


def is_model(said: object) -> bool:
    """Is it a list of a model's name and of what is said beside its files?"""
    return isinstance(said, list) and bool(said) and bool(said[0]) and all(map(is_text, said))


def layout_of(said: object) -> Layout | None:
    """The layout that an object holds, None where it is not, to the last bit, what was kept."""
    if not isinstance(said, dict):
        return None
    try:
        geometry, state = (base64.b64decode(said[name], validate=True) for name in ("geometry", "state"))
    except (KeyError, TypeError, ValueError):
        return None
    kept = said.get("shares")
    found = kept.items() if isinstance(kept, dict) else ()
    shares = {name: share for name, share in found if isinstance(share, float) and 0 < share < 1}
    layout = Layout(geometry, state, shares)
    return layout if said.get("checksum") == layout.checksum else None
