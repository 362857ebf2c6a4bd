"""A monkey at the window: `python -m tests.monkey [--minutes N] [--seed S]`. Prints what came of it as JSON.

The real window with a real engine, every panel open; models of one text and of two, edits that fit and that do not,
keys and clicks anywhere, the engine killed and stopped. Counted are exceptions in slots, words of Qt's, children that
are left, stretches in which the window's own work kept the event loop, and how much memory window and engine hold.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QMessageLogContext, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication, QDialog

from explorer_app import theme
from explorer_app.window import first_screen
from explorer_app.window.window import MainWindow
from tests.monkey.hands import Hands
from tests.monkey.stalls import Watch

ACT_MS = 40
LOOK_S = 5.0
STORE_BYTES = 4 << 20  # full after some minutes
NOT_OURS = (
    "This plugin does not support",
    "Release of profile",
    "propagateSizeHints",
    "Unable to detect a web browser",  # for a link to a paper that was clicked
)


class Monkey:
    """Acts every few milliseconds until its time is over, and notes what happens."""

    def __init__(self, window: MainWindow, seconds: float, seed: int) -> None:
        self.window = window
        self.seconds = seconds
        self.random = Random(seed)
        self.hands = Hands(window, self.random)
        self.watch = Watch(window)
        self.faults: list[str] = []
        self.said: list[str] = []
        self.memory: list[tuple[float, int, int]] = []
        self.counts: dict[str, int] = {}
        self.zombies = 0
        self._dead: set[int] = set()
        self.begun = time.monotonic()
        self._looked = 0.0
        sys.excepthook = self._caught
        qInstallMessageHandler(self._told)
        self._timer = QTimer(window, interval=ACT_MS)
        self._timer.timeout.connect(self._act)
        self._timer.start()
        # An action may wait for an answer; its own timer waits with it.
        self._closer = QTimer(window, interval=ACT_MS)
        self._closer.timeout.connect(self._close_dialogs)
        self._closer.start()

    def _caught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        story = "".join(traceback.format_exception(kind, error, trace))
        self.faults.append(f"{self.watch.doing}: {story}")
        self.window.fault(story, error)

    def _told(self, kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
        if not text.startswith(NOT_OURS):
            self.said.append(f"{self.watch.doing}: {text}")

    def _act(self) -> None:
        since = time.monotonic() - self.begun
        if since - self._looked > LOOK_S:
            self._looked = since
            self._look(since)
        if since > self.seconds:
            self._timer.stop()
            QTimer.singleShot(0, self.window, self._end)
            return
        if QApplication.activeModalWidget() is not None:
            return
        name, action = self.hands.choose()
        self.watch.doing = name
        self.counts[name] = self.counts.get(name, 0) + 1
        action()

    def _close_dialogs(self) -> None:
        """Whatever waits for an answer gets one; the monkey would wait for ever."""
        modal, popup = QApplication.activeModalWidget(), QApplication.activePopupWidget()
        if popup is not None:
            popup.close()
        elif isinstance(modal, QDialog) and self.random.random() < 0.2:
            modal.reject()

    def _look(self, since: float) -> None:
        pid = self.window.session.greeting.get("pid", 0)
        self.memory.append((since, resident(os.getpid()), resident(pid)))
        # One that was ended a moment ago is waited for soon; one that is still there at the next look is left.
        dead = {pid for pid, state in children().items() if state == "Z"}
        self.zombies = max(self.zombies, len(dead & self._dead))
        self._dead = dead

    def _end(self) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        self._look(time.monotonic() - self.begun)
        training = self.window.session.training
        if training.active:
            # Asked once more it stops at once; the window asks whether it may close as long as it runs.
            training.stop()
            QTimer.singleShot(ACT_MS, self.window, self._end)
            return
        self.window.close()
        app.quit()

    def told(self) -> dict[str, Any]:
        """What came of it."""
        stalls = self.watch.end()

        def held(begin: float, end: float) -> float:
            """Median of the window's memory in MB between two parts of the time."""
            found = [window for since, window, _ in self.memory if begin < since / self.seconds <= end]
            return round(statistics.median(found) / 1e6, 1) if found else 0.0

        return {
            "actions": sum(self.counts.values()),
            "counts": self.counts,
            "faults": self.faults,
            "qt": self.said,
            "zombies": self.zombies,
            "left": list(children()),
            "stalls": stalls.count,
            "longest": stalls.told,
            "worst_ms": {name: round(cpu * 1000) for name, cpu in sorted(stalls.worst.items())},
            # Of 40 minutes these are minutes 10 to 15 and 35 to 40.
            "early_mb": held(2 / 8, 3 / 8),
            "late_mb": held(7 / 8, 1),
            "window_mb": [round(window / 1e6, 1) for _, window, _ in self.memory[::12]],
            "engine_mb": [round(engine / 1e6, 1) for _, _, engine in self.memory[::12]],
            "store": [self.window.session.store.size, self.window.session.store.limit],
        }


def resident(pid: int) -> int:
    """Bytes of memory that a process holds, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def children() -> dict[int, str]:
    """The processes that this one has started and that are not gone, with the state of each."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid():
            found[int(place.name)] = state
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.monkey")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for folder in (
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
        ):  # it writes nothing of anybody's
            os.environ[folder] = scratch
        return use(arguments.minutes, arguments.seed)


def use(minutes: float, seed: int) -> int:
    """Use a window at random, and print what came of it; 1 where a fault did."""
    app = QApplication(["monkey"])
    theme.load_fonts()
    theme.apply(app, "light")
    session = first_screen.load()
    session.store.limit = STORE_BYTES
    window = MainWindow(session)
    window.completed.connect(gc.freeze)  # as the program does
    monkey = Monkey(window, minutes * 60, seed)
    window.show()
    window.client.start()
    for dock in window.docks.values():
        dock.panel  # noqa: B018, built when it is asked for
    app.exec()
    print(json.dumps(monkey.told(), indent=1, ensure_ascii=False))
    return 1 if monkey.faults else 0


if __name__ == "__main__":
    sys.exit(main())
