"""`layerscope engine`: answer frames until stdin ends."""

import argparse
from dataclasses import dataclass

from model_core.cli.registry import Command, register


@dataclass(frozen=True)
class EngineOptions:
    """None: what it is asked comes in frames."""


def add(command: argparse.ArgumentParser) -> None:
    """It reads frames alone."""


def run(options: EngineOptions) -> None:
    from model_core.engine import server

    server.main()


register(Command("engine", "answer a window over stdin and stdout", 8, EngineOptions, add, run))
