"""`layerscope COMMAND`: the core without a window; `layerscope --help` lists the commands.

Exit codes: 0 done, 2 wrong input (one line on stderr), 1 a fault of ours, 130 stopped from outside. torch is loaded by
the commands that need it, so that --help answers at once.
"""

import os
import sys
from collections.abc import Sequence

from model_core.api.command import Parser, carried_out
from model_core.api.files.paths import check_working_folder
from model_core.api.plain_text import guard_terminal
from model_core.cli import commands  # noqa: F401  they register themselves
from model_core.cli.registry import COMMANDS

# As in the engine: read when torch is first imported, and waiting threads that spin slow everything down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. `--help` leaves by SystemExit, as argparse does."""
    guard_terminal()

    def run() -> int:
        words = sys.argv[1:] if argv is None else argv
        arguments = command_line(words).parse_args(words)
        check_working_folder()  # torch ends a process that has none, without a word that helps
        command = COMMANDS[arguments.command]
        command.run(command.parsed(arguments))
        return 0

    return carried_out(run)


def command_line(words: Sequence[str]) -> Parser:
    """The parser of every command here; those among the words know their arguments."""
    parser = Parser(
        prog="layerscope",
        description="See what a transformer really computed.",
        epilog="Without a command the window opens; `layerscope snapshot` draws it to a picture.",
    )
    listed = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in sorted(COMMANDS.values(), key=lambda command: command.order):
        about = command.about
        added = listed.add_parser(command.name, help=about, description=about[0].upper() + about[1:] + ".")
        added.set_defaults(command=command.name)
        if command.name in words:
            command.add(added)
    return parser


if __name__ == "__main__":
    sys.exit(main())
