"""The formats that tokenizers are kept in: what one says of itself, and what holds for each.

One file a format, in `formats/`, found by looking; it registers itself at its end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError, Misfit, library_errors
from model_core.text.tokenizer import Tokenizer

MOST_PREFIX = 32  # tokens before every text; more would be no sign of a beginning
TRIED = 64  # tokens whose text is encoded, until one can be
LOOKED_AT = 10_000  # ids, for some that stand for text; a model may have a hundred million that do not


@dataclass(frozen=True)
class Wanted:
    """What the model and its files say about its tokenizer, whatever the format.

    vocab_size  ids the model has
    add_bos     whether a prompt begins with BOS; None where nothing is said
    bos, eos    the tokens themselves, or their ids; None where nothing is said
    """

    vocab_size: int
    add_bos: bool | None = None
    bos: str | int | None = None
    eos: str | int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A tokenizer's file format.

    order    formats of lower order are preferred where a folder has several; each has its own
    find     the file that it reads in a folder, for a model of that many ids; None where there is none
    open     its tokenizer; InputError where the file is damaged, Misfit where it belongs to another model
    beside   names of further files that it reads
    library  whether a library works with what the file says; it then does so in a process of its own
    """

    order: int
    find: Callable[[Path, int], Path | None]
    open: Callable[[Path, Wanted], Tokenizer]
    beside: tuple[str, ...] = ()
    library: bool = False


FORMATS: list[Format] = []


def register(format: Format) -> None:
    """Called once at the end of each format's file."""
    assert all(format.order != other.order for other in FORMATS), "each format has an order of its own"
    FORMATS.append(format)


def check(path: Path, tokenizer: Tokenizer) -> None:
    """InputError where a token that a file speaks of is none of the model's, or no text at all can be read."""
    single = (("BOS", tokenizer.bos), ("EOS", tokenizer.eos))
    listed = [("before every text", id) for id in tokenizer.prefix]
    for what, id in (*single, *listed):
        if id is not None and not 0 <= id < tokenizer.vocab_size:
            raise InputError(
                f"{path} has token {id} ({what}), but the model's ids go from 0 to {tokenizer.vocab_size - 1}"
            )
    if len(tokenizer.prefix) > MOST_PREFIX:
        raise InputError(
            f"{path} puts {len(tokenizer.prefix):,} tokens before every text, more than any model has"
        )
    readable(path, tokenizer)


def readable(path: Path, tokenizer: Tokenizer) -> str:
    """A short text that the tokenizer makes tokens of. InputError, with its own words, where it reads none."""
    why = "it makes no tokens"
    ordinary = (id for id in range(min(tokenizer.vocab_size, LOOKED_AT)) if id not in tokenizer.special)
    tried: list[Callable[[], str]] = [lambda: "a", lambda: "0"]
    tried += [partial(tokenizer.decode, [id]) for id in islice(ordinary, TRIED)]
    for text_of in tried:
        try:
            with library_errors("it stopped with"):
                text = text_of()
                ids = tokenizer.encode(text)
                tokenizer.decode(ids)
        except InputError as error:
            why = str(error)
        else:
            if ids:
                return text
    raise InputError(f"{path} reads no text at all: {why}")


def check_size(path: Path, size: int, vocab_size: int) -> None:
    """Misfit where a file has more tokens than the model has ids."""
    if size > vocab_size:
        raise Misfit(f"{path} belongs to another model: {size} tokens, where this has {vocab_size}")


def unused(id: int) -> str:
    """How an id that the model has and its vocabulary does not is called."""
    return f"<|unused{id}|>"
