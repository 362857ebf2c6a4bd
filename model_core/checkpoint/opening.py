"""Opening checkpoints: a format says what lies where, and the model is built here.

    loaded = open_checkpoint("folder/of/a/model", device="cpu", dtype="float32", config=["heads=8"])
    loaded.model(tokens)

No code of a checkpoint is ever run, and what it claims is checked against what it stores before any memory is taken.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from model_core.api.errors import InputError
from model_core.api.files.paths import expanded
from model_core.api.files.regular_file import check_regular, is_there, why
from model_core.checkpoint import (
    formats,  # noqa: F401  they register themselves
    said,
)
from model_core.checkpoint.building import Loaded, open_blueprint
from model_core.checkpoint.registry import READERS, Blueprint, Reader
from model_core.system import devices
from model_core.text.formats.ranks import ENCODINGS, named
from model_core.text.tokenizer import IDS, IdTokenizer, Tokenizer

ENCODING = "tokenizer"  # how an encoding is named among what a person says


def open_checkpoint(
    path: str | Path,
    device: str = "cpu",
    dtype: str = "float32",
    *,
    config: Sequence[str] = (),
    progress: Callable[[float], None] = lambda done: None,
    needs: Callable[[str], None] = lambda words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Loaded:
    """The model of a checkpoint. Peak memory is the model and one tensor.

    config     what its files do not say, "heads=8" each; "tokenizer=gpt2" names an encoding in place of its tokenizer,
               "tokenizer=ids" has token ids for a prompt
    progress   told the share of the weights that is in place, 0 to 1
    needs      told once, before memory is taken, what the model takes and what is free
    cancelled  asked before each tensor; True raises Cancelled

    InputError, in one line, for everything that is wrong with the path, the files, the device or the dtype; Unsaid
    where `config` is to say more.
    """
    devices.check(device, dtype)
    words = said.parse(config)
    encoding = words.pop(ENCODING, None)
    reader, path = reader_of(expanded(path))
    blueprint = reading(reader.read(path, words), encoding, path if path.is_dir() else path.parent)
    return open_blueprint(blueprint, path, device, dtype, progress=progress, needs=needs, cancelled=cancelled)


def reading(blueprint: Blueprint, encoding: str | None, folder: Path | None) -> Blueprint:
    """The blueprint with one of tiktoken's encodings, or token ids, in place of its tokenizer, where that was said."""
    size = blueprint.config.vocab_size
    if encoding is None:
        return replace(blueprint, tokenizer=lambda: with_a_way_on(blueprint.tokenizer, size))
    return replace(
        blueprint, tokenizer=lambda: IdTokenizer(size) if encoding == IDS else named(encoding, size, folder)
    )


def with_a_way_on(tokenizer: Callable[[], Tokenizer], size: int) -> Tokenizer:
    """The tokenizer. Where it is refused, what may read the prompt of a model of `size` ids in its place is asked."""
    try:
        return tokenizer()
    except InputError as error:
        fitting = [name for name, encoding in ENCODINGS.items() if max(encoding.special.values()) < size]
        about = "token ids such as 5 17 3, or an encoding of tiktoken's"
        ask = {"name": ENCODING, "default": IDS, "about": about, "kind": "choice", "choices": [IDS, *fitting]}
        way_on = f"to open the model without it, say --config {ENCODING}={IDS}"
        refused = InputError(f"{error}; {way_on}", window=error.window)
        refused.asks = [ask]
        raise refused from None


def reader_of(path: Path) -> tuple[Reader, Path]:
    """The reader that recognises what lies at the path, and the path: of a folder's own file, the folder."""
    if not is_there(path):
        raise InputError(f"{path} does not exist")
    try:
        folder = path.is_dir()
        if not folder:
            check_regular(path)
        for place in (path.parent, path) if is_part(path) else (path,):
            for reader in READERS:
                if reader.file != place.is_dir() and reader.recognises(place):
                    return reader, place
        inside = [file.name for file in path.iterdir() if is_model(file)] if folder else []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from None
    if inside:
        raise InputError(f"{path} is no model itself: give one of its files, such as {min(inside)}")
    folders = either(reader.what for reader in READERS if not reader.file)
    if folder:
        raise InputError(f"{path} has no {folders}: give the folder of a checkpoint")
    files = either(reader.what for reader in READERS if reader.file)
    raise InputError(f"{path} is no {files}: give such a file, or the folder that has {folders}")


def is_part(path: Path) -> bool:
    """Is it a file that says nothing without its folder?"""
    return path.is_file() and (path.suffix in (".json", ".safetensors") or path.match("consolidated.*.pth"))


def is_model(file: Path) -> bool:
    """Is it a model by itself? What cannot be read is none."""
    try:
        return file.is_file() and any(reader.file and reader.recognises(file) for reader in READERS)
    except InputError:
        return False


def either(words: Iterable[str]) -> str:
    """ "a, b or c" """
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
