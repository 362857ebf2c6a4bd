"""Own CPU time of what cannot be done in pieces: `python -m tests.benchmarks.window_stalls [repeats]`.

A change of the theme and a reset of the layout, each until all is painted, with every panel built and drawn; and what
of it is the call alone. Then the longest turn of the event loop while models of other structure are chosen. Own time,
because it does not count what else the machine does; it still grows where another process uses the same core.
"""

import sys
import time
from collections.abc import Callable

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer_app import theme
from tests.benchmarks.window_memory import CONFIG, MODEL, Turns
from tests.benchmarks.window_speed import Bench, report  # first: it chooses the platform

TURNS = 8  # of the event loop, after which nothing is left to be laid out or painted


def own_time(app: QApplication, action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of the call, and of the call with all that follows from it."""
    begun = time.thread_time()
    action()
    called = time.thread_time()
    for _ in range(TURNS):
        app.processEvents()
    return (called - begun) * 1000, (time.thread_time() - begun) * 1000


def main(repeats: int) -> None:
    app = QApplication([])
    theme.load_fonts()
    theme.apply(app, "light")
    bench = Bench(app)
    window = bench.window
    for dock in [*window.docks.values(), window.docks["attention"]]:
        dock.raise_()
        bench.settle()
    changes: list[tuple[str, list[Callable[[], object]]]] = [
        ("theme", [lambda: window.set_theme("dark"), lambda: window.set_theme("light")]),
        ("reset of the layout", [window.arrange]),
    ]
    for what, actions in changes:
        times = []
        for n in range(repeats):
            times.append(own_time(app, actions[n % len(actions)]))
            bench.settle()
        report(f"{what}: the call, own time", [called for called, _ in times])
        report(f"{what}: until painted, own time", [whole for _, whole in times])
    for model, config in (("tales-gpt2", ()), ("dates", ()), ("growth", ()), (MODEL, CONFIG)):
        turns = Turns()
        window.open(model, config)
        bench.settle()
        QTest.qWait(2000)
        turns.timer.stop()
        report(f"{model} chosen: longest turn, own time", [turns.longest])
    window.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
