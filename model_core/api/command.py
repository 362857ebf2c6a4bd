"""How a command begins and ends: wrong arguments are one line, and so is whatever else becomes of it, on stderr."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO, cast

from model_core.api.errors import Cancelled, InputError
from model_core.api.plain_text import Guarded, Passed, one_line, unguarded

WRONG = 2
STOPPED = 130


class Parser(argparse.ArgumentParser):
    """Wrong arguments are wrong input like any other: one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def carried_out(command: Callable[[], int]) -> int:
    """Run a command; returns its exit code, another where it could not be done: WRONG input, or STOPPED from outside.

    What it printed is written when this returns. That it cannot be is wrong input, and a reader that left is a stop.
    """
    with printing():
        try:
            try:
                return command()
            finally:
                print(end="", flush=True)
        except InputError as error:
            complain(str(error))
            return WRONG
        except (KeyboardInterrupt, Cancelled):
            return STOPPED


def complain(why: str) -> None:
    """One line on stderr, where there is a place for it."""
    with suppress(OSError, InputError, Cancelled):
        print("layerscope:", one_line(why), file=sys.stderr, flush=True)


@contextmanager
def printing() -> Iterator[None]:
    """Inside the block a failure to print is told apart from one to write a file.

    What is printed is guarded there; `unguarded` gives what fails in the same way.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        stream and cast(TextIO, Guarded(cast(TextIO, Printed(unguarded(stream), name))))
        for stream, name in zip(before, ("stdout", "stderr"), strict=True)
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class Printed(Passed):
    """A stream that says what is wrong with it: InputError where it cannot be written, Cancelled where nobody reads."""

    def __init__(self, stream: TextIO, name: str) -> None:
        super().__init__(stream)
        self._name = name

    def write(self, text: str) -> int:
        with self._failing():
            return super().write(text)

    def flush(self) -> None:
        with self._failing():
            self.stream.flush()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is still held would fail again, and again when Python ends.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            if isinstance(error, BrokenPipeError):
                raise Cancelled from None
            raise InputError(f"{self._name} cannot be written: {error.strerror}") from None
