"""`layerscope`: the window. `layerscope snapshot` draws it to a picture; every other command is the core's."""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from model_core.api.command import WRONG, carried_out, complain
from model_core.api.errors import InputError
from model_core.api.plain_text import guard_terminal

from explorer_app.window import system_libraries

if TYPE_CHECKING:
    from explorer_app.window.window import MainWindow

PICTURE = "layerscope.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, or the window without any; returns the exit code."""
    guard_terminal()
    arguments = list(sys.argv[1:] if argv is None else argv)
    drawing = arguments[:1] == ["snapshot"]
    if arguments and not drawing:
        from model_core.cli.__main__ import main as core

        return core(arguments)
    try:
        system_libraries.check()
    except InputError as error:
        complain(str(error))
        return WRONG
    if drawing:
        from explorer_app.window.snapshot import main as snapshot

        return snapshot(arguments[1:])
    return open_window() if has_display() else carried_out(draw_window)


def has_display() -> bool:
    """False on a Linux machine where no window can appear, unless Qt was told where to draw."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in names)


def open_window() -> int:
    """The window, until it is closed."""
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from explorer_app import theme
    from explorer_app.state.settings import open_settings
    from explorer_app.window import first_screen
    from explorer_app.window.window import MainWindow

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Qt's own file dialog reads settings that all of its programs share, and a Python object in them would be made.
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, os.devnull)
    app = QApplication(["layerscope"])
    app.setApplicationName("Layerscope")
    theme.load_fonts()
    settings = open_settings()
    theme.apply(app, settings.kept.theme)
    window = MainWindow(first_screen.load(), settings)
    catch_faults(window)
    # What was built by now lasts as long as the window. Left out of every search for garbage, it makes none of them
    # longer, nor rare: what is let go of later goes soon.
    window.completed.connect(gc.freeze)
    window.show()
    window.client.start()
    return app.exec()


def draw_window() -> int:
    """The same window as a picture, where there is no display."""
    from explorer_app import theme
    from explorer_app.window import first_screen, snapshot

    snapshot.start_application()
    theme.apply(snapshot.application(), "light")
    snapshot.render(first_screen.load(), Path(PICTURE), snapshot.size("1280x800"))
    print(
        f"no display here, so the window is drawn to {PICTURE}; `layerscope --help` lists what needs no window"
    )
    return 0


def catch_faults(window: "MainWindow") -> None:
    """A fault of ours in a slot leaves the window as it is, one line by the prompt, and the story in the log."""

    def caught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        story = "".join(traceback.format_exception(kind, error, trace))
        window.fault(story, error)
        with suppress(OSError):
            print(story, file=sys.stderr, end="")

    sys.excepthook = caught


if __name__ == "__main__":
    sys.exit(main())
