"""Starts the window as `layerscope` does, closes it once it was painted, and prints what it showed as JSON.

Run by test_start.py, in a process of its own. A word says what is wrong in it:

    dies    Qt ends the process while it restores the layout
    nobody  the user has neither a home nor an entry in the list of users
    stays   it is left open until its stdin ends
    asks    it asks for a file, in Qt's own dialog
"""

import json
import os
import sys
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog

from explorer_app import __main__ as start
from explorer_app.window.window import MainWindow


def nobody() -> None:
    import pwd

    def no_entry(_: Any) -> Any:
        raise KeyError("no such user")

    pwd.getpwuid = pwd.getpwnam = no_entry
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ.pop(name, None)


def look() -> None:
    """Print what the window shows, once it is complete."""
    window = next(w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow))
    if len(window.arrangement.panels) < len(window.docks) or window.memory.kept.restoring:
        QTimer.singleShot(20, look)
        return
    facts = {
        "message": window.session.message,
        "recent": [recent.model for recent in window.prompt_bar.model.recent],
        "hidden": [name for name, dock in window.docks.items() if dock.isHidden()],
        "size": [window.width(), window.height()],
        "out": window.docks["train"].panel.form.out.text(),
    }
    print(json.dumps(facts), flush=True)
    if "asks" in sys.argv:
        QFileDialog(window).setOption(QFileDialog.Option.DontUseNativeDialog)
    if "stays" in sys.argv:
        sys.stdin.read()
    window.close()


def main() -> int:
    if "nobody" in sys.argv:
        nobody()
    if "dies" in sys.argv:
        MainWindow.restoreState = lambda *_: os.abort()
    run = QApplication.exec

    def exec() -> int:
        QTimer.singleShot(0, look)
        return run()

    QApplication.exec = staticmethod(exec)
    return start.main([])


if __name__ == "__main__":
    sys.exit(main())
