"""What several commands read alike: their arguments, the options these become, and the numbers written in them."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short

MODELS = "a preset's name, a checkpoint's path, or untrained:family/size; see layerscope models"


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and where it computes.

    config  NAME=VALUE for what the model's files do not say
    """

    model: str
    config: tuple[str, ...]
    device: str
    dtype: str


@dataclass(frozen=True, kw_only=True)
class RunOptions(ModelOptions):
    """A run of a model.

    edit     changes of the run, in words
    target   what the decoder of an encoder-decoder reads, "" where nothing was said
    special  whether what the model puts before a prompt (BOS) is put there
    """

    edit: tuple[str, ...]
    target: str
    special: bool


def add_run_options(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The arguments of RunOptions. required: whether a model must be named"""
    from model_core.api import edits

    words = "; ".join(kind.words for kind in edits.KINDS)
    command.add_argument("--model", metavar="M", required=required, help=MODELS)
    command.add_argument(
        "--edit",
        metavar="SPEC",
        action="append",
        default=[],
        help=f"change the run; may be repeated: {words}",
    )
    command.add_argument(
        "--target",
        metavar="P",
        default="",
        help="what the decoder of an encoder-decoder reads; without it the decoder starts from BOS, "
        "and a model that has no BOS reads the prompt there too",
    )
    command.add_argument(
        "--no-special",
        dest="special",
        action="store_false",
        help="leave away what the model's configuration puts before a prompt (BOS)",
    )
    add_opening_options(command)


def add_opening_options(command: argparse.ArgumentParser) -> None:
    """The arguments of ModelOptions but for the model itself."""
    command.add_argument(
        "--config",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="what the model's files do not say, such as heads=8, or another field of an untrained model, "
        "such as layers=4 or seed=3; may be repeated",
    )
    add_device_option(command)
    command.add_argument(
        "--dtype", metavar="T", default="float32", help="float32 (default), float64, float16 or bfloat16"
    )


def add_device_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", metavar="D", default="cpu", help="cpu (default), cuda, cuda:1, mps")


def add_text_option(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument(
        "--data",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        required=required,
        help="a UTF-8 text of documents separated by <|endoftext|>; may be repeated",
    )


def add_data_options(command: argparse.ArgumentParser) -> None:
    add_text_option(command, required=False)
    command.add_argument(
        "--held-out",
        metavar="1,2,3",
        type=held_out,
        help="documents, counted from 0, that are never trained on, or 5%% for the end of the text "
        "(default: what the recipe of the preset or of the model says)",
    )


def token_ids(text: str) -> tuple[int, ...]:
    return whole_numbers(text, "token ids")


def held_out(text: str) -> tuple[tuple[int, ...], float]:
    """Documents by number, or a share of the text."""
    number = text.strip().removesuffix("%")
    if number != text.strip() and number.isascii() and number.isdigit() and 0 < int(number) < 100:
        return (), int(number) / 100
    return whole_numbers(text, "document numbers"), 0.0


def whole_numbers(text: str, what: str) -> tuple[int, ...]:
    """Numbers separated by commas, each from 0 up."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise argparse.ArgumentTypeError(f"{short(text)} are no {what} such as 1,2,3")
    return tuple(int(word) for word in words)


def count(text: str) -> int:
    return whole_number(text, first=1)


def seed(text: str) -> int:
    return whole_number(text, first=0)


def whole_number(text: str, first: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= first):
        raise argparse.ArgumentTypeError(f"{short(text)} is not a whole number from {first} up")
    return int(text)
