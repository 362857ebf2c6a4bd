"""Stopping, pausing and going on from outside: a signal, or a word on stdin, which every system has."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

WORDS = ("pause", "resume", "stop")


class Control:
    """What was asked for from outside. Words come from another thread."""

    def __init__(self, tell: Callable[[str], None] = lambda word: None) -> None:
        """tell  told "paused" and "resumed" when it comes to that"""
        self.tell = tell
        self.stopped = False
        self._going = threading.Event()
        self._going.set()

    def say(self, word: str) -> None:
        """Do as one of the WORDS says; others say nothing."""
        if word == "stop":
            self.stopped = True
        if word == "pause":
            self._going.clear()
        elif word in WORDS:
            self._going.set()

    def cancelled(self) -> bool:
        """Whether to stop now; while paused, it waits to be told to go on or to stop."""
        if not self._going.is_set() and not self.stopped:
            self.tell("paused")
            while (
                not self._going.wait(0.2) and not self.stopped
            ):  # a signal cannot interrupt a wait without an end
                pass
            self.tell("resumed")
        return self.stopped

    def listen(self) -> None:
        """Take words from stdin, a line each, until it ends; its end says stop."""
        threading.Thread(target=self._read, name="control", daemon=True).start()

    def _read(self) -> None:
        # Not through sys.stdin: a thread that waits in it would keep Python from ending.
        descriptor, unread = sys.stdin.fileno(), b""
        while read := os.read(descriptor, 4096):
            *lines, unread = (unread + read).split(b"\n")
            for line in lines:
                self.say(line.decode(errors="replace").strip())
        self.say("stop")

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Inside the block the first Ctrl-C or SIGTERM asks to stop after the step; the second stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def asked(number: int, frame: FrameType | None) -> None:
            signal.signal(number, before[signal.Signals(number)])
            self.say("stop")

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, asked)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
