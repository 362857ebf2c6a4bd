"""The tokenizers that checkpoints bring along. One file a format, found by looking, says which file it reads.

    tokenizer = tokenizer_in(Path("folder/of/a/model"), vocab_size=32000, config={"bos_token_id": 1})

The first format that finds its file opens it: tokenizer.json, vocab.json and merges.txt, tokenizer.model, a ranks file,
llama2.c's tokenizer.bin. Nothing of a folder is ever run or unpickled, and nothing is fetched.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError, Misfit, library_errors
from model_core.api.files.json_file import read_json
from model_core.api.files.regular_file import is_there
from model_core.text.tokenizer import IdTokenizer, Origin, Tokenizer
from model_core.text.tokenizer_process import ProcessTokenizer

SETTINGS = "tokenizer_config.json"
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


def tokenizer_in(
    folder: Path, vocab_size: int, config: Mapping[str, Any] | None = None, *, shared: bool = False
) -> Tokenizer:
    """The tokenizer of a checkpoint.

    folder      where its tokenizer's files may lie
    vocab_size  ids the model has; a smaller vocabulary is filled up with tokens that no text makes
    config      what the checkpoint's own configuration says: "bos_token_id" and "eos_token_id"
    shared      whether the folder may hold other models, whose tokenizers are passed over

    A folder without a tokenizer has that of `default_tokenizer`. InputError, in one line, for a damaged file or one of
    another model.
    """
    config = config or {}
    for format in sorted(FORMATS, key=lambda format: format.order):
        if (path := format.find(folder, vocab_size)) is not None:
            try:
                tokenizer = opened(format, path, wanted(folder, vocab_size, config))
            except Misfit:
                if shared:
                    continue
                raise
            files = [path, *(folder / name for name in (*format.beside, SETTINGS))]
            ids = {
                key: config[key] for key in ("bos_token_id", "eos_token_id") if config.get(key) is not None
            }
            tokenizer.origin = Origin(ids, {file.name: file for file in files if file.is_file()})
            return tokenizer
    return default_tokenizer(vocab_size)


def opened(format: Format, path: Path, wanted: Wanted) -> Tokenizer:
    """The tokenizer of a file, able to read some text. InputError as `tokenizer_in`."""
    if format.library:
        return ProcessTokenizer(format, path, wanted)
    tokenizer = format.open(path, wanted)
    check(path, tokenizer)
    return tokenizer


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


def default_tokenizer(vocab_size: int) -> Tokenizer:
    """For a model that brings no tokenizer: GPT-2's where the size is GPT-2's, else the prompt is token ids.

    50304 is GPT-2's size rounded up to a multiple of 64, as nanoGPT does.
    """
    from model_core.text.formats.ranks import named

    return named("gpt2", vocab_size) if vocab_size in (50257, 50304) else IdTokenizer(vocab_size)


def wanted(folder: Path, vocab_size: int, config: Mapping[str, Any]) -> Wanted:
    """What tokenizer_config.json says, and where it says nothing the checkpoint's configuration."""
    path = folder / SETTINGS
    settings = read_json(path) if is_there(path) else {}
    add_bos = settings.get("add_bos_token")
    return Wanted(
        vocab_size,
        add_bos if isinstance(add_bos, bool) else None,
        said(settings.get("bos_token"), config.get("bos_token_id")),
        said(settings.get("eos_token"), config.get("eos_token_id")),
        settings,
    )


def said(token: object, id: object) -> str | int | None:
    """A special token by its text, which may lie in an object with flags, else by its id or the first of several."""
    if isinstance(token, Mapping):
        token = token.get("content")
    if isinstance(token, str):
        return token
    if isinstance(id, list) and id:
        id = id[0]
    return id if isinstance(id, int) and not isinstance(id, bool) else None


def check_size(path: Path, size: int, vocab_size: int) -> None:
    """Misfit where a file has more tokens than the model has ids."""
    if size > vocab_size:
        raise Misfit(f"{path} belongs to another model: {size} tokens, where this has {vocab_size}")


def unused(id: int) -> str:
    """How an id that the model has and its vocabulary does not is called."""
    return f"<|unused{id}|>"


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
