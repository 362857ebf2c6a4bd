"""How fast the window answers: `python -m tests.benchmarks.window_speed [repeats]` prints medians and the worst case.

Measured with the preset, the real engine process and the real event loop, offscreen unless QT_QPA_PLATFORM says
otherwise. Every time is until the picture is painted, and every ratio is taken within one run.
"""

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsView, QWidget

from explorer_app import theme
from explorer_app.panel.base import still_drawing
from explorer_app.panels.attention import Attention
from explorer_app.panels.growth import Growth
from explorer_app.state.session import Session
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene

PROMPT = "Once upon a time there was a little girl who had a cat. The cat had a hat, and the girl had a "
DECODERS = "tales-gpt2", "tales-llama", "tales-qwen2", "tales-mini"


def milliseconds(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def spin(app: QApplication, true: Callable[[], bool]) -> None:
    """Run the event loop until something is so."""
    deadline = time.monotonic() + 60
    while not true():
        app.processEvents()
        assert time.monotonic() < deadline, "nothing happened for a minute"


class Paints(QObject):
    """Sees when a widget is painted while something is so."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self.seen = False
        self.new_picture: Callable[[], bool] = lambda: False
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint and self.new_picture():
            self.seen = True
        return False


class Bench:
    """A window with a live engine, and the moments at which its attention panel has painted."""

    def __init__(self, app: QApplication, model: str = "tales-llama") -> None:
        self.app = app
        self.window = MainWindow(Session(Scene(model, PROMPT)))
        self.window.completed.connect(gc.freeze)  # as the program does
        self.window.resize(1280, 800)
        self.window.show()
        panel = self.window.docks["attention"].panel
        assert isinstance(panel, Attention)
        self.attention, self.session = panel, self.window.session
        self.paints = Paints(panel.heatmap.findChildren(QGraphicsView)[0].viewport())
        self.window.client.start()
        spin(app, self.idle)

    def idle(self) -> bool:
        """Nothing is computed or is to be drawn."""
        return (
            self.session.engine == "ready" and not self.window.client.busy and not still_drawing(self.window)
        )

    def settle(self) -> None:
        spin(self.app, self.idle)
        QTest.qWait(30)

    def until_painted(self, act: Callable[[], None], drawn: Callable[[], bool]) -> float:
        """From the key until the turn of the event loop is over in which the heatmap's new picture was painted."""

        def whole() -> None:
            self.paints.new_picture = drawn
            self.paints.seen = False
            act()
            spin(self.app, lambda: self.paints.seen)

        return milliseconds(whole)


class Stalls(QObject):
    """The longest time for which the event loop did not come round."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.last = time.perf_counter()
        self.timer = QTimer(self, interval=0, timerType=Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.tick)

    def tick(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, (now - self.last) * 1000)
        self.last = now

    def during(self, action: Callable[[], None]) -> float:
        self.longest, self.last = 0.0, time.perf_counter()
        self.timer.start()
        action()
        self.timer.stop()
        return self.longest


def report(what: str, times: list[float]) -> None:
    print(
        f"{what:58} median {statistics.median(times):7.1f} ms   worst {max(times):7.1f} ms   n {len(times)}"
    )


def key_to_heatmap(bench: Bench, repeats: int) -> list[float]:
    """A letter typed at the end of a prompt of about 32 tokens, until the new map is painted."""
    field = bench.window.prompt_bar.prompt
    times = []
    for n in range(repeats):
        bench.settle()
        shown = bench.session.shown
        key = "abcdefghijklmnopqrstuvwxyz"[n % 26]
        drawn_before = bench.attention.heatmap.image_values()
        times.append(
            bench.until_painted(
                lambda key=key: QTest.keyClicks(field, key),
                lambda shown=shown, before=drawn_before: (
                    bench.session.shown != shown and bench.attention.heatmap.image_values() is not before
                ),
            )
        )
        bench.settle()
        QTest.keyClick(field, Qt.Key.Key_Backspace)
    bench.settle()
    return times


def walk(bench: Bench, keys: list[Qt.Key], repeats: int, fresh: bool) -> list[float]:
    """An arrow key in the attention panel, until the new map is painted. `fresh`: the layer was never asked for."""
    times = []
    for n in range(repeats):
        if fresh:
            bench.session.change(prompt=PROMPT + "x" * (n + 1))
        bench.settle()
        before = bench.attention.heatmap.image_values()
        key = keys[n % len(keys)]
        times.append(
            bench.until_painted(
                lambda key=key: QTest.keyClick(bench.attention.grid, key),
                lambda before=before: bench.attention.heatmap.image_values() is not before,
            )
        )
    return times


def training_slider(bench: Bench, rounds: int, fresh: bool) -> list[float]:
    """A key on the slider through the steps of the growing model, until the new map is painted.

    `fresh`: the step was never asked for with this prompt; its model was loaded while nobody waited.
    """
    panel = bench.window.docks["growth"].panel
    assert isinstance(panel, Growth)
    times = []
    for n in range(rounds):
        if fresh:
            bench.session.change(prompt=PROMPT[: -n - 1])
        key = Qt.Key.Key_Left if n % 2 == 0 else Qt.Key.Key_Right
        for _ in range(panel.slider.maximum()):
            bench.settle()
            before = bench.attention.heatmap.image_values()
            times.append(
                bench.until_painted(
                    lambda key=key: QTest.keyClick(panel.slider, key),
                    lambda before=before: bench.attention.heatmap.image_values() is not before,
                )
            )
    return times


def choosing(app: QApplication, rounds: int) -> dict[str, list[float]]:
    """Another preset chosen, until its first map is painted: an engine with torch up, that never loaded this preset."""
    times: dict[str, list[float]] = {name: [] for name in DECODERS}
    for _ in range(rounds):
        bench = Bench(app, "growth")
        for name in times:
            bench.settle()
            before = bench.attention.heatmap.image_values()
            times[name].append(
                bench.until_painted(
                    lambda bench=bench, name=name: bench.window.open(name),
                    lambda bench=bench, name=name, before=before: (
                        bench.session.shown.model == name
                        and bench.attention.heatmap.image_values() is not before
                    ),
                )
            )
        bench.settle()
        bench.window.close()
    return times


def longest_stalls(bench: Bench) -> tuple[float, float]:
    """While a model of 124 M parameters loads and runs; while thirty keys are typed at 60 a second."""
    stalls = Stalls()
    field = bench.window.prompt_bar.prompt

    def typing() -> None:
        for n in range(30):
            QTest.keyClicks(field, " abcdefgh"[n % 9])
            QTest.qWait(16)
        bench.settle()

    def loading(folder: str) -> Callable[[], None]:
        def load() -> None:
            bench.session.change(model=folder, prompt="a b c")
            spin(bench.app, lambda: bench.session.shown.model == folder)
            bench.settle()

        return load

    typed = stalls.during(typing)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.large_model", folder]
        subprocess.run(command, check=True)
        loaded = stalls.during(loading(folder))
    return loaded, typed


START = """
import sys, time
begun = time.perf_counter()
from PySide6.QtWidgets import QApplication, QGraphicsView, QWidget
from PySide6.QtCore import QEvent, QObject, QTimer
app = QApplication([])
{build}
class Painted(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and watched is target:
            watched.removeEventFilter(self)
            # The rest of the window is painted in the same turn of the event loop.
            QTimer.singleShot(0, done)
        return False
def done():
    print(time.perf_counter() - begun)
    app.quit()
filter = Painted()
target.installEventFilter(filter)
window.show()
app.exec()
"""
BARE = """
import numpy as np, pyqtgraph
from PySide6.QtWidgets import QMainWindow
window = QMainWindow()
view = pyqtgraph.GraphicsLayoutWidget()
view.addPlot().addItem(pyqtgraph.ImageItem(np.zeros((9, 9))))
target = view.viewport()
window.setCentralWidget(view)
window.resize(1280, 800)
"""
OURS = """
from explorer_app.window import first_screen
from explorer_app import theme
from explorer_app.window.window import MainWindow
theme.load_fonts()
theme.apply(app, None)
window = MainWindow(first_screen.load())
target = window.docks["attention"].panel.grid
"""


def start(build: str) -> float:
    """Seconds from the first import until the first picture is painted, in a process of its own."""
    # An installed program has its bytecode.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", START.format(build=build)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout) * 1000


def main(repeats: int) -> None:
    bare, ours = [], []
    start(OURS)
    for _ in range(repeats):
        bare.append(start(BARE))
        ours.append(start(OURS))
    report("a bare PySide6 + pyqtgraph window, start to painted", bare)
    report("the window with its stored first trace, start to painted", ours)
    print(f"{'ratio of the medians':58} {statistics.median(ours) / statistics.median(bare):.2f}")
    app = QApplication([])
    theme.load_fonts()
    theme.apply(app, "light")
    bench = Bench(app)
    run = bench.session.run
    assert run is not None
    print(f"prompt of {len(run['tokens'])} tokens, {app.platformName()}, {os.cpu_count()} cores")
    report("key press to painted heatmap", key_to_heatmap(bench, repeats))
    right_left = [Qt.Key.Key_Right, Qt.Key.Key_Left]
    down_up = [Qt.Key.Key_Down, Qt.Key.Key_Up]
    report("head change to painted", walk(bench, right_left, repeats, fresh=False))
    report("layer change to painted, layer seen before", walk(bench, down_up, repeats, fresh=False))
    report(
        "layer change to painted, layer asked for the first time", walk(bench, down_up, repeats, fresh=True)
    )
    bench.session.change(model="growth")
    bench.settle()
    QTest.qWait(2000)  # the engine loads the other steps
    report("training slider to painted, step never shown before", training_slider(bench, 4, fresh=True))
    report("training slider to painted, step shown before", training_slider(bench, 4, fresh=False))
    bench.session.change(model="tales-llama")
    bench.settle()
    loaded, typed = longest_stalls(bench)
    report("longest stall of the event loop while a 124 M model loads", [loaded])
    report("longest stall of the event loop while typing fast", [typed])
    bench.window.close()
    for name, times in choosing(app, 5).items():
        report(f"{name} chosen to its first map painted", times)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
