"""What Qt needs of a Linux system and does not bring along, and the packages that have it on Debian and Ubuntu.

Where some of it is missing, importing Qt fails, or Qt ends the process with a message that names another package. So it
is looked for before, with the linker's own rules: the module and the plugin that will draw are loaded, or are not.
"""

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from model_core.api.errors import InputError

DRAWING = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}
X11 = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libX11-xcb.so.1": "libx11-xcb1",
}


def check() -> None:
    """InputError where Qt could not draw, with what to install."""
    if not sys.platform.startswith("linux"):
        return
    wanted = platforms(os.environ)
    libraries = DRAWING | (X11 if "xcb" in wanted else {})
    try:
        from PySide6 import QtWidgets  # noqa: F401
        from PySide6.QtCore import QLibraryInfo
    except ImportError as error:
        raise InputError(what_to_install(str(error), libraries)) from None
    folder = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)) / "platforms"
    refused = [why for name in wanted if (why := load(folder / f"libq{name}.so")) is not None]
    if wanted and len(refused) == len(wanted):
        raise InputError(what_to_install(refused[-1], libraries))


def platforms(environment: Mapping[str, str]) -> list[str]:
    """The plugins that Qt tries one after the other; none where nothing is to be drawn on a screen."""
    chosen = environment.get("QT_QPA_PLATFORM", "")
    if chosen:
        return [name.partition(":")[0].partition("-")[0] for name in chosen.split(";")]
    wayland = ["wayland"] if environment.get("WAYLAND_DISPLAY") else []
    return [*wayland, "xcb"] if wayland or environment.get("DISPLAY") else []


def load(library: str | Path) -> str | None:
    """Load a library as the linker does; why it could not be, None where it could or Qt has none of that name."""
    if isinstance(library, Path) and not library.is_file():
        return None
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return None


def what_to_install(error: str, libraries: Mapping[str, str]) -> str:
    """In a line: what is missing, and the packages that have it; what the linker says of anything else."""
    missing = [name for name in libraries if load(name) is not None]
    if not missing:
        return f"Qt cannot be loaded: {error}"
    packages = " ".join(libraries[name] for name in missing)
    return (
        f"Qt needs {', '.join(missing)}, which this system does not have; "
        f"on Debian and Ubuntu: sudo apt install {packages}"
    )
