"""How long the event loop of a window is kept by the window's own work, and by what."""

import signal
import time
from dataclasses import dataclass, field
from types import FrameType

from PySide6.QtCore import QObject, QTimer

TICK_MS = 5
STALL_S = 0.050


@dataclass
class Stalls:
    """worst  seconds of the thread's own CPU of the longest stretch in which no timer was served, by what was done then
    count  how many stretches were over `STALL_S`
    told   the longest of these by what was done then, and where the thread was seen in it: all would be memory of
           the window's own process, which is measured
    """

    worst: dict[str, float] = field(default_factory=dict)
    count: int = 0
    told: dict[str, str] = field(default_factory=dict)


class Watch(QObject):
    """Ticks in the event loop; where a tick is late, a signal looks at what the thread is doing."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.found = Stalls()
        self.doing = "start"
        self._last = time.thread_time()
        self._seen: list[str] = []
        signal.signal(signal.SIGALRM, self._look)
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        used = time.thread_time() - self._last
        longest = used > self.found.worst.get(self.doing, 0.0)
        if longest:
            self.found.worst[self.doing] = used
        if used > STALL_S:
            self.found.count += 1
            if longest:
                seen = " | ".join(dict.fromkeys(self._seen)) or "not seen"
                self.found.told[self.doing] = f"{used * 1000:.0f} ms: {seen}"
        self._seen = []
        signal.setitimer(signal.ITIMER_REAL, STALL_S / 2, STALL_S / 2)
        self._last = time.thread_time()

    def _look(self, _: int, frame: FrameType | None) -> None:
        self._seen.append(place(frame))

    def end(self) -> Stalls:
        self._timer.stop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        return self.found


def place(frame: FrameType | None) -> str:
    """The innermost functions of the project in a stack. No source is read: that would be seen as a stall itself."""
    own: list[str] = []
    while frame is not None and len(own) < 4:
        code = frame.f_code
        if "explorer_app" in code.co_filename or "model_core" in code.co_filename:
            own.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return " < ".join(own) or "outside the project"
