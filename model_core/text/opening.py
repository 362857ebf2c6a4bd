"""The tokenizers that checkpoints bring along.

    tokenizer = tokenizer_in(Path("folder/of/a/model"), vocab_size=32000, config={"bos_token_id": 1})

The first format that finds its file opens it: tokenizer.json, vocab.json and merges.txt, tokenizer.model, a ranks file,
llama2.c's tokenizer.bin. Nothing of a folder is ever run or unpickled, and nothing is fetched.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_core.api.errors import Misfit
from model_core.api.files.json_file import read_json
from model_core.api.files.regular_file import is_there
from model_core.text.formats.ranks import named
from model_core.text.registry import FORMATS, Format, Wanted, check
from model_core.text.tokenizer import IdTokenizer, Origin, Tokenizer
from model_core.text.tokenizer_process import ProcessTokenizer

SETTINGS = "tokenizer_config.json"


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


def default_tokenizer(vocab_size: int) -> Tokenizer:
    """For a model that brings no tokenizer: GPT-2's where the size is GPT-2's, else the prompt is token ids.

    50304 is GPT-2's size rounded up to a multiple of 64, as nanoGPT does.
    """
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
