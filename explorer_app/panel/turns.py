"""Work of the window that is done one piece in a turn of the event loop, so that none makes a person wait for all."""

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

Work = Callable[[], None]


class Turns(QObject):
    """A queue of work. Between two pieces of it is painted what the first has changed, and answered what is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[Work, None] = {}
        self._next = QTimer(self, interval=0, singleShot=True)
        self._next.timeout.connect(self._take)

    def ask(self, work: Work) -> None:
        """Do it when it is its turn, once however often it was asked for."""
        self._waiting[work] = None
        self._next.start()

    def waits(self, work: Work) -> bool:
        return work in self._waiting

    def drop(self, work: Work) -> None:
        """Do not do it."""
        self._waiting.pop(work, None)

    def _take(self) -> None:
        work = next(iter(self._waiting), None)
        if work is not None:
            del self._waiting[work]
            if self._waiting:
                self._next.start()
            work()


turns = Turns()
