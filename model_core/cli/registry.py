"""What a command says of itself, and all that there are: one file each in `commands/`, which registers itself."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

Options = TypeVar("Options")


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A command: `layerscope NAME ...`.

    about    what it does, as `layerscope --help` says it
    order    commands of lower order are listed first; each has its own
    options  a frozen dataclass with a field for each argument that `add` names
    add      says to the command's own parser what it reads; called where the command is wanted
    run      does it

    All files are read for `layerscope --help`, which is to answer at once: what only `add` or `run` needs, torch above
    all, is imported inside them.
    """

    name: str
    about: str
    order: int
    options: type[Options]
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Options], None]

    def parsed(self, arguments: argparse.Namespace) -> Options:
        """What was parsed, as the command's own options: an argument that may be repeated is a tuple."""
        found = {field.name: getattr(arguments, field.name) for field in fields(self.options)}  # type: ignore[arg-type]
        return self.options(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
        )


COMMANDS: dict[str, Command[Any]] = {}


def register(command: Command[Any]) -> None:
    """Called once at the end of each command's file."""
    assert all(command.order != other.order for other in COMMANDS.values()), "each has an order of its own"
    COMMANDS[command.name] = command
