"""The command line: the core without a window.

    layerscope models                                  presets and what each is
    layerscope trace     --model M --prompt P --out F  every value of a run, to a safetensors file
    layerscope generate  --model M --prompt P          text that goes on after a prompt
    layerscope evaluate  M [--data F]                  what the heads do; bits per byte of held-out text
    layerscope train     --preset N --data F --out D   train a preset, a description, or a checkpoint further
    layerscope tokenizer --data F --vocab N --out F    learn a byte-pair vocabulary
    layerscope engine                                  answer a window over stdin and stdout

Exit codes: 0 done, 2 wrong input (one line on stderr), 1 a fault of ours, 130 stopped from outside. torch is loaded by
the commands that need it, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, NoReturn

from model_core.api import edits
from model_core.api.command import carried_out
from model_core.api.errors import InputError, TooLong
from model_core.api.files.paths import check_working_folder
from model_core.api.files.text_file import read_text
from model_core.api.files.writing import replaced, write_errors
from model_core.api.plain_text import guard_terminal
from model_core.api.recipe import AUTOCAST

if TYPE_CHECKING:
    from model_core.checkpoint.building import Loaded

# As in the engine: read when torch is first imported, and waiting threads that spin slow everything down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

REPORT_EVERY = 50  # training steps between two lines of progress, each with a checkpoint
MODELS = "a preset's name, a checkpoint's path, or untrained:family/size; see layerscope models"


class Parser(argparse.ArgumentParser):
    """Wrong arguments are wrong input like any other: one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. `--help` leaves by SystemExit, as argparse does."""
    guard_terminal()

    def run() -> int:
        arguments = command_line().parse_args(argv)
        check_working_folder()  # torch ends a process that has none, without a word that helps
        arguments.command(arguments)
        return 0

    return carried_out(run)


def command_line() -> Parser:
    """The parser of every command here. Each sets `command`, a function of the parsed arguments."""
    parser = Parser(
        prog="layerscope",
        description="See what a transformer really computed.",
        epilog="Without a command the window opens; `layerscope snapshot` draws it to a picture.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, about: str, command: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        added.set_defaults(command=command)
        return added

    add("models", "list the presets and what each is", models)

    command = add("trace", "write every value of a run to a safetensors file", trace)
    prompt = command.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", metavar="P", help="the text to run")
    prompt.add_argument("--tokens", metavar="1,2,3", type=token_ids, help="token ids instead of a text")
    prompt.add_argument("--prompt-file", metavar="F", type=Path, help="a UTF-8 file, read to its last byte")
    command.add_argument(
        "--sites", metavar="GLOB", action="append", help="which values, e.g. '*.pattern'; all without it"
    )
    add_run_options(command)
    command.add_argument("--cut", action="store_true", help="run only the tokens that fit the context")
    command.add_argument("--out", metavar="F", type=Path, required=True, help="the file to write")

    command = add("generate", "go on after a prompt", generate)
    command.add_argument("--prompt", metavar="P", required=True, help="the text to go on after")
    command.add_argument("--max-new-tokens", metavar="N", type=count, default=100, help="100 without it")
    command.add_argument("--temperature", metavar="T", type=float, default=1.0, help="0 is greedy; default 1")
    command.add_argument("--top-k", metavar="K", type=int, help="draw from the K likeliest tokens only")
    command.add_argument(
        "--top-p", metavar="P", type=float, help="draw from the fewest tokens whose probabilities reach P"
    )
    command.add_argument("--seed", metavar="S", type=seed, default=0, help="the same seed, the same text")
    add_run_options(command)
    command.add_argument(
        "--cut",
        action="store_true",
        help="of a prompt that is too long, read the end, leaving room for the new tokens",
    )

    command = add("evaluate", "score the heads on repeated random tokens; measure held-out text", evaluate)
    command.add_argument("model", metavar="MODEL", help=MODELS)
    add_data_options(command)
    add_config_option(command)
    add_device_option(command)
    add_dtype_option(command)

    command = add(
        "train",
        "train a model from nothing, or a checkpoint further; what was stopped goes on by the same command",
        train,
    )
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

    command = add("tokenizer", "learn a byte-pair vocabulary from text, and write it as ranks", tokenizer)
    add_text_option(command, required=True)
    command.add_argument(
        "--vocab",
        metavar="N",
        type=count,
        required=True,
        help="tokens, <|endoftext|> and 256 bytes among them",
    )
    command.add_argument(
        "--out", metavar="F", type=Path, required=True, help="the file to write, NAME.tiktoken"
    )

    add("engine", "answer a window over stdin and stdout", engine)
    return parser


def add_run_options(command: argparse.ArgumentParser) -> None:
    words = "; ".join(kind.words for kind in edits.KINDS)
    command.add_argument("--model", metavar="M", required=True, help=MODELS)
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
    add_config_option(command)
    add_device_option(command)
    add_dtype_option(command)


def add_config_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="what the model's files do not say, such as heads=8, or another field of an untrained model, "
        "such as layers=4 or seed=3; may be repeated",
    )


def add_device_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", metavar="D", default="cpu", help="cpu (default), cuda, cuda:1, mps")


def add_dtype_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dtype", metavar="T", default="float32", help="float32 (default), float64, float16 or bfloat16"
    )


def add_text_option(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument(
        "--data",
        metavar="FILE",
        type=Path,
        action="append",
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


def token_ids(text: str) -> list[int]:
    return whole_numbers(text, "token ids")


def held_out(text: str) -> tuple[tuple[int, ...], float]:
    """Documents by number, or a share of the text."""
    number = text.strip().removesuffix("%")
    if number != text.strip() and number.isascii() and number.isdigit() and 0 < int(number) < 100:
        return (), int(number) / 100
    return tuple(whole_numbers(text, "document numbers")), 0.0


def whole_numbers(text: str, what: str) -> list[int]:
    """Numbers separated by commas, each from 0 up."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise argparse.ArgumentTypeError(f"{short(text)} are no {what} such as 1,2,3")
    return [int(word) for word in words]


def count(text: str) -> int:
    return whole_number(text, first=1)


def seed(text: str) -> int:
    return whole_number(text, first=0)


def whole_number(text: str, first: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= first):
        raise argparse.ArgumentTypeError(f"{short(text)} is not a whole number from {first} up")
    return int(text)


def models(arguments: argparse.Namespace) -> None:
    """The presets, one paragraph each."""
    from model_core.checkpoint.opening import either
    from model_core.checkpoint.registry import READERS
    from model_core.engine import describe
    from model_core.families.registry import FAMILIES
    from model_core.sources import presets
    from model_core.sources.untrained import PREFIX

    known, damaged = describe.presets()
    for name in presets.NAMES:
        if name in damaged:
            print(f"{name}\n    {damaged[name]}")
            continue
        preset = known[name]
        weights = f"{preset['bytes'] / 1e6:.1f} MB in {presets.folder_of(name)}"
        if not preset["bytes"]:
            weights = f"no weights yet: layerscope train --preset {name}"
        print(
            f"{name}\n    {preset['about']}\n    {preset['title']}, {preset['parameters']:,} parameters, {weights}"
        )
        if preset["data"]:
            print(f"    trained on {preset['data']} ({preset['licence']})")
        if preset["quality"]:
            print(f"    measured: {preset['quality']}")
    folders, files = (
        either(reader.what for reader in READERS if reader.file == file) for file in (False, True)
    )
    types = ", ".join(name for family in FAMILIES.values() for name in family.hf_types)
    print(f"\nA path works as well: a {files}, or the folder that has {folders} (families: {types}).")
    print(
        "\nWithout training, for --model; fields of the configuration may be changed, such as --config layers=4:"
    )
    for name, family in FAMILIES.items():
        print("    " + "  ".join(f"{PREFIX}{name}/{size}" for size in family.published))


def trace(arguments: argparse.Namespace) -> None:
    """Write the sites of a run with what is needed to repeat it."""
    from dataclasses import asdict

    import torch
    from safetensors.torch import save_file

    from model_core.api.names import select
    from model_core.api.scene import Scene
    from model_core.checkpoint.traced import read_site
    from model_core.runs.run import Run, sites
    from model_core.system.devices import memory_errors

    text = arguments.prompt if arguments.prompt_file is None else read_text(arguments.prompt_file)
    with replaced(arguments.out) as unfinished:
        loaded = opened(arguments)
        prefix, tokens = list(loaded.tokenizer.prefix), arguments.tokens
        if tokens is None:
            tokens = [*prefix_of(loaded, arguments), *encoded(loaded, text)]
        special = tokens[: len(prefix)] == prefix
        strings = loaded.tokenizer.strings(tokens)
        limit = loaded.model.context
        if len(tokens) > limit:
            if not arguments.cut:
                raise too_long(tokens, limit)
            tokens, strings, text = tokens[:limit], strings[:limit], None
        changes = [edits.parse(edit) for edit in arguments.edit]
        target = target_of(loaded, arguments)
        with memory_errors("this run"):
            lengths = [max(1, len(tokens)), max(1, len(target or tokens))][: len(loaded.model.inputs)]
            passed = {site.key: site for site in sites(loaded.model, *lengths)}
            keys = select(arguments.sites or ["*"], passed)
            run = Run(loaded.model, tokens, changes, target=target, read_site=read_site)
            # Each value its own: the file knows no views, and sites of a pass may share their memory.
            values = {key: run.value(key).clone(memory_format=torch.contiguous_format) for key in keys}
        scene = Scene(
            model=arguments.model,
            prompt=loaded.tokenizer.decode(tokens[special * len(prefix) :]) if text is None else text,
            target=arguments.target,
            device=arguments.device,
            dtype=arguments.dtype,
            edits=tuple(map(str, changes)),
            config=tuple(arguments.config),
            special=special,
        )
        about = {
            "tokens": tokens,
            "strings": strings,
            "texts": dict(zip(loaded.model.inputs, run.inputs, strict=True)),
            "family": loaded.family.name,
            "config": asdict(loaded.model.config),
            "edits": list(scene.edits),
            "dims": {key: passed[key].dims for key in keys},
            "scene": scene.to_json(),
        }
        with write_errors(arguments.out):
            save_file(values, unfinished, {name: json.dumps(value) for name, value in about.items()})
    size = arguments.out.stat().st_size
    read = " and ".join(map(str, map(len, run.inputs)))
    print(f"{arguments.out}: {len(keys)} sites of {read} tokens, {size / 1e6:.1f} MB")


def generate(arguments: argparse.Namespace) -> None:
    """Print the prompt and what comes after it, as it comes."""
    from model_core.checkpoint.traced import read_site
    from model_core.generation import generate as generate_
    from model_core.system.devices import memory_errors

    sampling = generate_.Sampling(arguments.temperature, arguments.top_k, arguments.top_p, arguments.seed)
    changes = [edits.parse(edit) for edit in arguments.edit]
    loaded = opened(arguments)
    prefix, limit = prefix_of(loaded, arguments), loaded.model.context
    tokens = [*prefix, *encoded(loaded, arguments.prompt)]
    if len(tokens) > limit:
        if not arguments.cut:
            raise too_long(tokens, limit)
        room = limit - min(arguments.max_new_tokens, limit // 2) - len(prefix)
        tokens = [*prefix, *tokens[-room:]]
    target = target_of(loaded, arguments)
    written, shown = (target or tokens)[len(prefix) :], 0

    def show(*, finished: bool) -> None:
        """Print what is new. A character whose last bytes are still to come waits for them."""
        nonlocal shown
        text = loaded.tokenizer.decode(written)
        ready = text if finished else text.rstrip("\ufffd")
        print(ready[shown:], end="", flush=True)
        shown = len(ready)

    stop = loaded.tokenizer.eos
    try:
        with memory_errors("this text"):
            for token in generate_.generate(
                loaded.model,
                target or tokens,
                arguments.max_new_tokens,
                sampling,
                changes,
                source=tokens,
                read_site=read_site,
                stop=stop,
            ):
                if token != stop:
                    written.append(token)
                    show(finished=False)
    except InputError:
        if shown:
            # What there is of the text is told before the line that says why there is no more.
            show(finished=True)
            print(flush=True)
        raise
    show(finished=True)
    print()


def evaluate(arguments: argparse.Namespace) -> None:
    """Print what a model card holds: scores of the heads and held-out text, or answers to unseen dates."""
    from model_core.system.devices import memory_errors
    from model_core.training.corpus import corpus_in
    from model_core.training.evaluation import answers_dates, evaluation

    loaded = opened(arguments)
    if arguments.data and answers_dates(loaded):
        raise InputError(f"{loaded.name} is measured by dates that are made: leave out --data")
    documents, share = held_out_of(loaded, arguments) if arguments.data else ((), 0.0)
    with memory_errors("this evaluation"):
        corpus = corpus_in(arguments.data, loaded.tokenizer, documents, share) if arguments.data else None
        print(evaluation(loaded, corpus, documents, share))


def held_out_of(loaded: Loaded, arguments: argparse.Namespace) -> tuple[tuple[int, ...], float]:
    """What of the text to measure: what was said, what the training held out, or what the preset does."""
    from model_core.api.model_ref import split
    from model_core.sources.presets import NAMES, preset_named
    from model_core.training.run_folder import held_out_in

    if arguments.held_out is not None:
        said: tuple[tuple[int, ...], float] = arguments.held_out
        return said
    if loaded.path is not None and (found := held_out_in(loaded.path)) is not None:
        return found
    name, _ = split(loaded.name)
    if name not in NAMES:
        raise InputError(f"{loaded.name} is no preset: say with --held-out which documents to measure")
    recipe = preset_named(name).recipe
    return recipe.held_out, recipe.held_out_share


def train(arguments: argparse.Namespace) -> None:
    """Train, leaving a checkpoint now and then, and a model card at the end."""
    from model_core.cli import train_command

    train_command.run(arguments, arguments.report_every or REPORT_EVERY)


def tokenizer(arguments: argparse.Namespace) -> None:
    """Learn a vocabulary and write its ranks, <|endoftext|> being the token behind them."""
    from model_core.text.tokenizer import END_OF_TEXT
    from model_core.text.vocabulary import save_ranks, train_ranks

    with replaced(arguments.out) as unfinished:
        text = END_OF_TEXT.join(map(read_text, arguments.data))
        ranks = train_ranks(text, arguments.vocab, [END_OF_TEXT])
        with write_errors(arguments.out):
            save_ranks(ranks, unfinished)
    print(f"{arguments.out}: {arguments.vocab:,} tokens, the last of them {END_OF_TEXT}")


def engine(arguments: argparse.Namespace) -> None:
    """Answer frames until stdin ends."""
    from model_core.engine import server as engine

    engine.main()


def opened(arguments: argparse.Namespace) -> Loaded:
    """The model that the arguments name, with as many threads as in the engine: the same sums, the same digits."""
    from model_core.sources.presets import open_model
    from model_core.system.devices import configure_threads

    configure_threads()
    return open_model(arguments.model, arguments.device, arguments.dtype, config=arguments.config)


def encoded(loaded: Loaded, text: str) -> list[int]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("the prompt is not valid UTF-8 text") from None
    return loaded.tokenizer.encode(text)


def prefix_of(loaded: Loaded, arguments: argparse.Namespace) -> list[int]:
    """What is put before every text: the model's own BOS, unless --no-special leaves it away."""
    return list(loaded.tokenizer.prefix) if arguments.special else []


def target_of(loaded: Loaded, arguments: argparse.Namespace) -> list[int]:
    """The tokens of --target, or without it what is put before every text.

    InputError where they are too many, or the model reads one text only.
    """
    if not arguments.target:
        return prefix_of(loaded, arguments) if len(loaded.model.inputs) > 1 else []
    if len(loaded.model.inputs) == 1:
        raise InputError(
            f"{loaded.name} reads one text: --target is what the decoder of an encoder-decoder reads"
        )
    tokens = [*prefix_of(loaded, arguments), *encoded(loaded, arguments.target)]
    if len(tokens) > loaded.model.context:
        raise TooLong(len(tokens), loaded.model.context)
    return tokens


def too_long(tokens: Sequence[int], limit: int) -> InputError:
    return InputError(f"{TooLong(len(tokens), limit)}, or let --cut do so")


if __name__ == "__main__":
    sys.exit(main())
