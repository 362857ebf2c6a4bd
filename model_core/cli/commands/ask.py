"""`layerscope ask`: whatever a panel shows, for a script; without a question, which questions there are."""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_core.api.errors import InputError
from model_core.cli.arguments import RunOptions, add_run_options, token_ids
from model_core.cli.registry import Command, register

if TYPE_CHECKING:
    from model_core.api.queries.answer import Answer

SHOWN = 1000  # numbers of an array that are printed whole; --json prints all


@dataclass(frozen=True, kw_only=True)
class AskOptions(RunOptions):
    """question  the kind of query, None for a list of all; field  NAME=VALUE for each field of it

    Of prompt, tokens and prompt_file one is given, the others are None.
    """

    question: str | None
    field: tuple[str, ...]
    prompt: str | None
    tokens: tuple[int, ...] | None
    prompt_file: Path | None
    json: bool


def add(command: argparse.ArgumentParser) -> None:
    command.add_argument("question", metavar="QUESTION", nargs="?", help="which; without one, all are listed")
    command.add_argument(
        "field", metavar="NAME=VALUE", nargs="*", help='what it asks for, such as at={"H":3}'
    )
    prompt = command.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", metavar="P", help="the text to run")
    prompt.add_argument("--tokens", metavar="1,2,3", type=token_ids, help="token ids instead of a text")
    prompt.add_argument("--prompt-file", metavar="F", type=Path, help="a UTF-8 file, read to its last byte")
    command.add_argument(
        "--json", action="store_true", help="print facts and arrays whole, as one JSON object"
    )
    add_run_options(command, required=False)


def run(options: AskOptions) -> None:
    from model_core.api.queries.query import kinds, read, usage

    if options.question is None:
        for kind in kinds().values():
            print(usage(kind))
            print(f"    {' '.join((kind.__doc__ or '').split(chr(10) + chr(10))[0].split())}")
        return
    answer = answered(options, read(options.question, dict(map(field, options.field))).to_json())
    print("\n".join([json.dumps(whole(answer))] if options.json else told(answer)))


def field(said: str) -> tuple[str, Any]:
    """A name, and its value: JSON, or a text as it stands."""
    name, equals, value = said.partition("=")
    if not equals:
        raise InputError(f"'{said}' is no field: write NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def answered(options: AskOptions, asked: Mapping[str, Any]) -> "Answer":
    """As the engine answers the window. InputError for what it refuses."""
    from model_core.api.files.text_file import read_text
    from model_core.api.protocol import Frame
    from model_core.api.queries.answer import Answer
    from model_core.api.scene import Scene
    from model_core.engine.answering import Engine
    from model_core.system.devices import configure_threads

    configure_threads()
    if options.model is None or (options.prompt, options.tokens, options.prompt_file) == (None, None, None):
        raise InputError("say what is asked about: --model and --prompt")
    text = options.prompt if options.prompt_file is None else read_text(options.prompt_file)
    scene = Scene(
        model=options.model,
        prompt=text or "",
        ids=options.tokens or (),
        target=options.target,
        device=options.device,
        dtype=options.dtype,
        edits=options.edit,
        config=options.config,
        special=options.special,
    )
    frames: list[Frame] = []
    request = {"asks": [{"scene": scene.to_json(), "queries": [asked]}]}
    Engine(frames.append).handle(Frame("ask", 0, request), lambda: False)
    for frame in frames:
        if frame.kind == "error":
            raise InputError(frame.fields["message"])
        if frame.kind == "answer":
            return Answer(frame.fields["facts"], frame.arrays)
    raise AssertionError("a request ends in an answer or an error")


def whole(answer: "Answer") -> dict[str, Any]:
    """Facts and arrays as JSON; what JSON has no number for is a text: "NaN", "Infinity", "-Infinity"."""
    arrays = {name: plain(array.tolist()) for name, array in answer.arrays.items()}
    return {"facts": answer.facts, "arrays": arrays}


def plain(values: Any) -> Any:
    if isinstance(values, list):
        return [plain(value) for value in values]
    finite = not isinstance(values, float) or values - values == 0
    return values if finite else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(values)]


def told(answer: "Answer") -> Iterator[str]:
    """Facts a line each, then arrays with their shapes, long ones without their middle."""
    import numpy as np

    for name, fact in answer.facts.items():
        yield f"{name}: {fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)}"
    for name, array in answer.arrays.items():
        shape = " × ".join(map(str, array.shape))
        yield f"{name} [{shape}]" if shape else name
        yield np.array2string(array, threshold=SHOWN, precision=6, max_line_width=120)


register(
    Command(
        "ask",
        "print what a panel shows: the facts and arrays that answer a question",
        3,
        AskOptions,
        add,
        run,
    )
)
