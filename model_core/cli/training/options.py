"""What `layerscope train` reads. Loads no torch."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from model_core.cli.arguments import MODELS, add_data_options, add_device_option, count, seed

REPORT_EVERY = 50  # training steps between two lines of progress, each with a checkpoint


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """One of preset, source and config says what is trained; what is None is as the recipe says.

    config         the file of a description; with a source, NAME=VALUE for what its files do not say
    source         the checkpoint that is trained further
    held_out       documents by number, or a share from the text's end
    measure_every  steps, as are report_every and save_every
    controlled     whether pause, resume and stop are read from stdin
    """

    preset: str | None
    config: tuple[str, ...]
    source: str | None
    data: tuple[Path, ...]
    held_out: tuple[tuple[int, ...], float] | None
    out: Path
    steps: int | None
    batch: int | None
    length: int | None
    lr: float | None
    accumulate: int | None
    dtype: str | None
    device: str
    seed: int | None
    measure_every: int | None
    report_every: int
    save_every: int | None
    licence: str | None
    json: bool
    controlled: bool


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of TrainOptions."""
    from model_core.api.recipe import AUTOCAST

    command.add_argument("--preset", metavar="NAME", help="one of those that layerscope models lists")
    command.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        default=[],
        help="a JSON or TOML file that describes a model and its recipe; with --from, NAME=VALUE for what the "
        "checkpoint's files do not say",
    )
    command.add_argument("--from", dest="source", metavar="MODEL", help=f"fine-tune {MODELS}")
    add_data_options(command)
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder to write")
    command.add_argument(
        "--steps",
        metavar="N",
        type=count,
        help="the recipe's without it, like all that follow; steps, batch and lr are those of its first phase",
    )
    command.add_argument("--batch", metavar="N", type=count, help="rows of a step")
    command.add_argument("--length", metavar="N", type=count, help="tokens of a row")
    command.add_argument("--lr", metavar="R", type=float, help="the highest learning rate")
    command.add_argument(
        "--accumulate",
        metavar="N",
        type=count,
        help="compute a step in so many parts: less memory, the same step",
    )
    command.add_argument("--dtype", choices=AUTOCAST, help="of matrix products; weights are float32")
    add_device_option(command)
    command.add_argument("--seed", metavar="S", type=seed, help="of the first weights and batches")
    command.add_argument(
        "--measure-every", metavar="N", type=count, help="steps between two measures of held-out text"
    )
    command.add_argument(
        "--report-every",
        metavar="N",
        type=count,
        default=REPORT_EVERY,
        help=f"steps between two lines of the log; default {REPORT_EVERY}",
    )
    command.add_argument("--save-every", metavar="N", type=count, help="steps between two checkpoints")
    command.add_argument("--licence", help="of the data, for the model card")
    command.add_argument(
        "--json", action="store_true", help="tell on stdout what happens, one JSON object a line"
    )
    command.add_argument(
        "--controlled", action="store_true", help="read pause, resume and stop from stdin, a line each"
    )
