"""The command line: the core without a window.

    layerscope models                                  presets and what each is
    layerscope trace     --model M --prompt P --out F  every value of a run, to a safetensors file
    layerscope generate  --model M --prompt P          text that goes on after a prompt
    layerscope evaluate  M [--data F]                  what the heads do; bits per byte of held-out text
    layerscope train     --preset N --data F --out D   train a preset
    layerscope engine                                  answer a window over stdin and stdout

Exit codes: 0 done, 2 wrong input (one line on stderr), 1 a fault of ours, 130 stopped from outside. torch is loaded by
the commands that need it, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, NoReturn

from model_core import edits
from model_core.errors import InputError, TooLong

if TYPE_CHECKING:
    from model_core.checkpoint import Loaded
    from model_core.corpus import Corpus
    from model_core.tokenizer import Tokenizer
    from model_core.train import Progress

# As in the engine: read when torch is first imported, and waiting threads that spin slow everything down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

REPORT_EVERY = 50  # training steps between two lines of progress, each with a checkpoint
STOPPED = 130
MODELS = "a preset's name, a checkpoint's path, or untrained:family/size; see layerscope models"


class Parser(argparse.ArgumentParser):
    """Wrong arguments are wrong input like any other: one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. `--help` leaves by SystemExit, as argparse does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may not know every character of a text
    try:
        arguments = command_line().parse_args(argv)
        arguments.command(arguments)
        print(end="", flush=True)
    except InputError as error:
        print("layerscope:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        # Nobody reads any more; what is still buffered would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED
    return 0


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
    add_data_options(command, required=False)
    add_config_option(command)
    add_device_option(command)
    add_dtype_option(command)

    command = add("train", "train a preset from nothing", train)
    command.add_argument("--preset", metavar="NAME", required=True, help="see layerscope models")
    add_data_options(command, required=True)
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder to write")
    command.add_argument("--steps", metavar="N", type=count, help="the preset's without it")
    command.add_argument(
        "--dtype", choices=("float32", "bfloat16"), help="of matrix products; the preset's without it"
    )
    add_device_option(command)
    command.add_argument("--seed", metavar="S", type=seed, default=0, help="of the first weights and batches")
    command.add_argument("--licence", default="not stated", help="of the data, for the model card")

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
        help="what the decoder of an encoder-decoder reads; the prompt without it",
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


def add_data_options(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument(
        "--data",
        metavar="FILE",
        type=Path,
        action="append",
        required=required,
        help="a UTF-8 text of documents separated by <|endoftext|>; may be repeated",
    )
    command.add_argument(
        "--held-out",
        metavar="1,2,3",
        type=document_numbers,
        help="documents, counted from 0, that are never trained on; the preset's without it",
    )


def token_ids(text: str) -> list[int]:
    return whole_numbers(text, "token ids")


def document_numbers(text: str) -> tuple[int, ...]:
    return tuple(whole_numbers(text, "document numbers"))


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
    from model_core.checkpoint import READERS, either, empty_model
    from model_core.families import FAMILIES
    from model_core.presets import PRESETS, folder_of
    from model_core.untrained import PREFIX

    for name, preset in PRESETS.items():
        family, folder = FAMILIES[preset.family], folder_of(name)
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        parameters = empty_model(family, preset.config).parameter_count
        weights = f"{size / 1e6:.1f} MB in {folder}"
        if not size:
            weights = f"no weights yet: layerscope train --preset {name}"
        print(f"{name}\n    {preset.about}\n    {family.title}, {parameters:,} parameters, {weights}")
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

    from model_core.devices import memory_errors
    from model_core.names import select
    from model_core.queries import Scene
    from model_core.replay import Run, sites

    text = arguments.prompt if arguments.prompt_file is None else read_text(arguments.prompt_file)
    with replaced(arguments.out) as unfinished:
        loaded = opened(arguments)
        prefix, tokens = list(loaded.tokenizer.prefix), arguments.tokens
        if tokens is None:
            tokens = [*prefix_of(loaded, arguments), *encoded(loaded, text)]
        special = tokens[: len(prefix)] == prefix
        strings = [loaded.tokenizer.token(token) for token in tokens]
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
            run = Run(loaded.model, tokens, changes, target=target)
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
    from model_core import generate as generate_
    from model_core.devices import memory_errors

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
    with memory_errors("this text"):
        for token in generate_.generate(
            loaded.model,
            target or tokens,
            arguments.max_new_tokens,
            sampling,
            changes,
            source=tokens,
            stop=stop,
        ):
            if token != stop:
                written.append(token)
                show(finished=False)
    show(finished=True)
    print()


def evaluate(arguments: argparse.Namespace) -> None:
    """Print the scores of the heads, and how well held-out text is foreseen."""
    from model_core.card import held_out
    from model_core.devices import memory_errors
    from model_core.presets import PRESETS
    from model_core.scores import describe, head_scores

    loaded = opened(arguments)
    chosen = arguments.held_out
    if arguments.data and chosen is None:
        if loaded.name not in PRESETS:
            raise InputError(f"{loaded.name} is no preset: say with --held-out which documents to measure")
        chosen = PRESETS[loaded.name].recipe.held_out
    with memory_errors("this evaluation"):
        corpus = corpus_of(arguments.data, loaded.tokenizer, chosen) if arguments.data else None
        print(describe(head_scores(loaded.model)))
        if corpus is not None:
            print(f"\nheld out: {held_out(loaded.model, corpus, chosen) or 'nothing'}")


def train(arguments: argparse.Namespace) -> None:
    """Train, leaving a checkpoint now and then, and a model card at the end."""
    from dataclasses import replace
    from datetime import timedelta

    from model_core import devices
    from model_core import train as train_
    from model_core.assets import asset
    from model_core.card import card, held_out
    from model_core.checkpoint import native, open_checkpoint
    from model_core.families import FAMILIES
    from model_core.presets import PRESETS
    from model_core.scores import head_scores
    from model_core.tokenizers.ranks import ranks_tokenizer

    if arguments.preset not in PRESETS:
        raise InputError(f"there is no preset '{arguments.preset}': name one of {', '.join(PRESETS)}")
    preset = PRESETS[arguments.preset]
    recipe = replace(
        preset.recipe,
        steps=arguments.steps or preset.recipe.steps,
        autocast=arguments.dtype or preset.recipe.autocast,
        held_out=preset.recipe.held_out if arguments.held_out is None else arguments.held_out,
        seed=arguments.seed,
    )
    devices.configure_threads()
    device, _ = devices.check(arguments.device, recipe.autocast)
    ranks = asset("tokenizers", f"{preset.tokenizer}.tiktoken")
    tokenizer = ranks_tokenizer(ranks, preset.config.vocab_size)
    corpus = corpus_of(arguments.data, tokenizer, recipe.held_out)
    with write_errors(arguments.out):
        arguments.out.mkdir(parents=True, exist_ok=True)

    family = FAMILIES[preset.family]
    model = family.build(preset.config)
    train_.initialise(model, recipe.seed)

    def report(progress: Progress) -> None:
        left = timedelta(seconds=round(progress.seconds_left))
        native.save(
            arguments.out,
            model,
            family,
            tokenizer=preset.tokenizer,
            name=arguments.preset,
            about=preset.about,
        )
        line = f"step {progress.step} of {progress.steps}  loss {progress.loss:.3f}"
        print(f"{line}  {progress.tokens_per_second:,.0f} tokens/s  {left} left", file=sys.stderr)

    with devices.memory_errors("training", "a smaller preset or another device"):
        model.to(device)
        begun = time.monotonic()
        train_.train(model, corpus.train, recipe, report, every=REPORT_EVERY)
        seconds = time.monotonic() - begun
        # Measured as it was saved: that is the model which anybody will open.
        saved = open_checkpoint(arguments.out, arguments.device).model
        measured = held_out(saved, corpus, recipe.held_out)
        scores = head_scores(saved)
    words = card(
        name=arguments.preset,
        preset=preset,
        recipe=recipe,
        model=saved,
        tokenizer=tokenizer,
        data=arguments.data,
        licence=arguments.licence,
        seconds=seconds,
        device=arguments.device,
        measured=measured,
        scores=scores,
        command=command_of(arguments, recipe.steps, recipe.autocast, recipe.held_out),
    )
    readme = arguments.out / "README.md"
    with replaced(readme) as unfinished, write_errors(readme):
        unfinished.write_text(words, encoding="utf-8")
    print(f"{arguments.out}: {arguments.preset}, held out: {measured or 'nothing'}")


def command_of(arguments: argparse.Namespace, steps: int, dtype: str, held_out: Sequence[int]) -> str:
    """The training command with every choice written out, and files by their names alone."""
    words = ["layerscope", "train", "--preset", arguments.preset]
    for path in arguments.data:
        words += ["--data", path.name]
    words += ["--held-out", ",".join(map(str, held_out)), "--out", arguments.out.resolve().name]
    words += ["--steps", str(steps), "--dtype", dtype, "--device", arguments.device]
    words += ["--seed", str(arguments.seed), "--licence", arguments.licence]
    return shlex.join(words)


def engine(arguments: argparse.Namespace) -> None:
    """Answer frames until stdin ends."""
    from model_core import engine

    engine.main()


def opened(arguments: argparse.Namespace) -> Loaded:
    """The model that the arguments name, with as many threads as in the engine: the same sums, the same digits."""
    from model_core.devices import configure_threads
    from model_core.presets import open_model

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
    """The tokens of --target. InputError where they are too many, or the model reads one text only."""
    if not arguments.target:
        return []
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


def corpus_of(paths: Sequence[Path], tokenizer: Tokenizer, held_out: tuple[int, ...]) -> Corpus:
    """The documents of all files, in their order, as tokens."""
    from model_core.corpus import read_corpus
    from model_core.tokenizer import END_OF_TEXT

    return read_corpus(END_OF_TEXT.join(map(read_text, paths)), tokenizer, held_out)


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, line ends as they are. InputError where it cannot be read, or is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte {error.start} cannot be read") from None


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to. It takes that name when the block ends well, and goes when it does not.

    InputError, before the block runs, where nothing can be written there.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    with write_errors(path):
        if path.exists() and not path.is_file():
            raise InputError(f"{path} cannot be written: it is there and is no file")
        unfinished.touch()
    mode = unfinished.stat().st_mode
    try:
        yield unfinished
        with write_errors(path):
            unfinished.chmod(mode)  # safetensors makes files that their owner alone can read
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turns a failure to write inside the block into an InputError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"{path} cannot be written: {reason}") from None


if __name__ == "__main__":
    sys.exit(main())
