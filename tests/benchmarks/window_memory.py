"""What window and engine hold while prompts come and go: `python -m tests.benchmarks.window_memory [prompts]`.

Measured with an untrained model of 48 narrow layers, every panel built, the real engine process and the real event
loop, offscreen unless QT_QPA_PLATFORM says otherwise: first while the store of answers grows, then with the store full
and capped. The last line is the same as JSON, MB each; the stall is the longest stretch of own CPU time for which the
event loop did not come round, in milliseconds.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

from explorer_app import theme
from explorer_app.state.session import Session
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene

MODEL = "untrained:gpt2/124M"
CONFIG = ("layers=48", "width=32", "heads=2", "hidden=64")
WORDS = (
    "once",
    "upon",
    "a",
    "time",
    "there",
    "was",
    "little",
    "girl",
    "who",
    "had",
    "cat",
    "and",
    "the",
    "hat",
)
WARM_UP = 20


def resident(pid: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Turns(QObject):
    """The most own CPU time, in milliseconds, that one turn of the event loop took."""

    def __init__(self) -> None:
        super().__init__()
        self.longest, self.last = 0.0, time.thread_time()
        self.timer = QTimer(self, interval=0)
        self.timer.timeout.connect(self.tick)
        self.timer.start()

    def tick(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, (now - self.last) * 1000)
        self.last = now


class Soak:
    """A window with a live engine that is given one prompt after the other."""

    def __init__(self, app: QApplication) -> None:
        self.app, self.random, self.count, self.stall = app, Random(1), 0, 0.0
        self.window = MainWindow(Session(Scene(MODEL, self.prompt(), config=CONFIG)))
        self.session = self.window.session
        self.window.show()
        self.window.client.start()
        self.settle()
        docks = self.window.docks.values()
        self.spin(lambda: all(dock.panel_if_built is not None for dock in docks))
        assert self.session.message == "", self.session.message

    def prompt(self) -> str:
        self.count += 1
        return " ".join(self.random.choices(WORDS, k=10)) + f" {self.count}"

    def spin(self, true: Callable[[], bool]) -> None:
        """Run the event loop until something is so."""
        deadline = time.monotonic() + 300
        while not true():
            self.app.processEvents()
            time.sleep(0.001)
            assert time.monotonic() < deadline, "nothing happened for five minutes"

    def settle(self) -> None:
        """Until all that is wanted is there and drawn."""
        for _ in range(2):
            self.spin(lambda: self.session.engine == "ready" and not self.window.client.busy)
            until = time.monotonic() + 0.03
            self.spin(lambda until=until: time.monotonic() > until)

    def go(self, prompts: int) -> None:
        """Prompts, and at every third a walk to another head and step."""
        turns = Turns()
        for n in range(prompts):
            self.session.change(prompt=self.prompt())
            self.settle()
            if n % 3 == 0:
                self.session.select(layer=self.random.randrange(48), head=self.random.randrange(2))
                self.session.go_to_step(self.random.randrange(len(self.session.sites)))
                self.settle()
        turns.timer.stop()
        self.stall = max(self.stall, turns.longest)

    def held(self) -> dict[str, float]:
        gc.collect()
        engine = self.session.greeting["pid"]
        return {
            "window": resident(os.getpid()),
            "store": self.session.store.size / 1e6,
            "engine": resident(engine),
        }

    def growth(self, prompts: int) -> dict[str, float]:
        before = self.held()
        self.go(prompts)
        return {name: round(size - before[name], 2) for name, size in self.held().items()}


def main(prompts: int) -> None:
    app = QApplication([])
    theme.load_fonts()
    theme.apply(app, "light")
    soak = Soak(app)
    soak.go(WARM_UP)
    print("begun", {name: round(size, 1) for name, size in soak.held().items()})
    growing = soak.growth(prompts)
    print(f"{prompts} prompts, the store growing", growing)
    soak.session.store.limit = soak.session.store.size
    full = soak.growth(prompts)
    print(f"{prompts} prompts more, the store full", full)
    soak.window.close()
    print(json.dumps({"prompts": prompts, "growing": growing, "full": full, "stall": round(soak.stall)}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
