"""What widgets hear of the session, whose signals are not Qt's: forgotten with them.

psygnal holds the methods that it calls weakly, which is not enough for a widget: Qt may delete it while something in
Python still holds it, and the next signal would call a widget that is gone. Qt's own signals know when that happens,
and need none of this.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakMethod

from psygnal import SignalInstance
from PySide6.QtCore import QObject

Heard = list[tuple[SignalInstance, WeakMethod[Callable[..., Any]]]]


class Listening(QObject):
    """The signals that a widget listens to, until it is deleted or `detach` is called on it or on what it lies in."""

    def __init__(self, owner: QObject) -> None:
        super().__init__(owner)
        self._heard: Heard = []
        owner.destroyed.connect(partial(_forget, self._heard))

    def to(self, signal: SignalInstance, slot: Callable[..., Any]) -> None:
        """Call a method, of the owner or of what lies in it, whenever the signal is emitted."""
        signal.connect(slot)
        self._heard.append((signal, WeakMethod(slot)))

    def stop(self) -> None:
        _forget(self._heard)


def detach(widget: QObject) -> None:
    """Nothing in it listens any more: it is about to be deleted, or will be seen no more."""
    for listening in widget.findChildren(Listening):
        listening.stop()


def _forget(heard: Heard, _: QObject | None = None) -> None:
    for signal, slot in heard:
        if (method := slot()) is not None:
            signal.disconnect(method)
    heard.clear()
