"""Layerscope's own folders: layerscope.json says what the model is, model.safetensors has its parameters.

{"format": 1, "family": "llama", "config": {"width": 192, ...}, "tokenizer": "tales-2048", "name": ...}

The tokenizer is a name, of a vocabulary in the folder or bundled or of tiktoken's; an object, what is to be known
beside the tokenizer's files in the folder, {"bos_token_id": 1}; or null for token ids.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.files.paths import expanded
from model_core.api.files.regular_file import is_there, read_regular, why
from model_core.api.files.writing import replaced, write_bytes
from model_core.api.schema import record, shown
from model_core.checkpoint.building import empty_model, is_finite
from model_core.checkpoint.files import (
    check_layers,
    is_plain,
    read_json,
)
from model_core.checkpoint.registry import Blueprint, Reader, register
from model_core.checkpoint.safetensors_file import read_safetensors
from model_core.checkpoint.said import as_dict, settle
from model_core.families.config import Source
from model_core.families.registry import FAMILIES, Family
from model_core.parts.model import Model
from model_core.text.formats import characters
from model_core.text.formats.characters import SUFFIX
from model_core.text.formats.ranks import ENCODINGS, named, ranks_tokenizer
from model_core.text.opening import tokenizer_in
from model_core.text.registry import FORMATS
from model_core.text.tokenizer import IdTokenizer, Origin, Tokenizer

MANIFEST = "layerscope.json"
WEIGHTS = "model.safetensors"
FORMAT = 1
MOST_VOCABULARY = 1 << 28  # bytes of a tokenizer's file that a copy is made of
SAVED_DTYPES = {"float16": torch.float16, "float32": torch.float32}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is read of layerscope.json; there is more in it, for people."""

    format: int
    family: str
    config: Any
    name: str
    tokenizer: Any = None


def recognises(path: Path) -> bool:
    return is_there(path / MANIFEST)


def read(path: Path, said: Mapping[str, str]) -> Blueprint:
    """What the folder holds. Its parameters have our names already, and its manifest says everything."""
    file = path / MANIFEST
    manifest = record(Manifest, read_json(file), str(file), others=True)
    if manifest.format != FORMAT:
        raise InputError(f"{file} has the format {manifest.format}; this version reads {FORMAT}")
    family = FAMILIES.get(manifest.family)
    if family is None:
        raise InputError(
            f"{file} has the family {shown(manifest.family)}; known are {', '.join(sorted(FAMILIES))}"
        )
    said_there: Any = record(family.config, manifest.config, f"{file}: the config")
    config = settle(manifest.name, family, as_dict(said_there), said)
    name = manifest.tokenizer
    if not (name is None or isinstance(name, dict) or is_plain(name)):
        raise InputError(f"{file}: 'tokenizer' is {shown(name)}, which is no tokenizer's name")
    stored = read_safetensors(path / WEIGHTS)
    check_layers(config, stored)
    parameters = [parameter for parameter, _ in empty_model(family, config).named_parameters()]
    sources = {parameter: Source(parameter) for parameter in parameters}
    tokenizer = partial(tokenizer_of, path, name, config.vocab_size)
    return Blueprint.matched(manifest.name, family, config, sources, stored, tokenizer)


def tokenizer_of(path: Path, said: str | Mapping[str, Any] | None, vocab_size: int) -> Tokenizer:
    """What the manifest says: a vocabulary by its name, the folder's own files, or token ids."""
    if said is None:
        return IdTokenizer(vocab_size)
    if isinstance(said, str):
        return vocabulary(said, vocab_size, path)
    if not any(format.find(path, vocab_size) for format in FORMATS):
        raise InputError(f"{path / MANIFEST} says that the tokenizer lies beside it, but {path} has none")
    known = {key: said[key] for key in ("bos_token_id", "eos_token_id") if key in said}
    return tokenizer_in(path, vocab_size, known)


def vocabulary(name: str, vocab_size: int | None, folder: Path) -> Tokenizer:
    """The vocabulary of that name, in the folder or bundled, or tiktoken's encoding. InputError where there is none.

    Without a size of the model's, it has all of its tokens.
    """
    for place in (folder, asset("tokenizers")):
        for suffix in (".tiktoken", SUFFIX):
            if is_there(path := place / f"{name}{suffix}"):
                return vocabulary_file(path, vocab_size)
    if name in ENCODINGS:
        return named(name, vocab_size, folder)
    raise InputError(
        f"there is no tokenizer {name}: {folder / name}.tiktoken does not exist, and none such is bundled"
    )


def vocabulary_file(path: Path, vocab_size: int | None) -> Tokenizer:
    """The vocabulary of a file: of single characters, or ranks."""
    if path.suffix == SUFFIX:
        return characters.open_characters(path, vocab_size)
    return ranks_tokenizer(path, vocab_size)


def save(
    folder: str | Path,
    model: Model,
    family: Family,
    *,
    tokenizer: str | Origin | None,
    name: str,
    about: str,
    dtype: str = "float16",
) -> None:
    """Write the model so that `open_checkpoint` opens it. Weights that share a parameter are written once.

    tokenizer  a bundled vocabulary by name, where the model's own came from, or None for token ids

    Both files are complete on disk before the first takes its name. InputError, with the previous files as
    they were, where the folder cannot be written, the disk is full, or a weight is not finite in the dtype.
    """
    if dtype not in SAVED_DTYPES:
        raise InputError(f"weights are saved as {' or '.join(SAVED_DTYPES)}, not as '{dtype}'")
    manifest = {
        "format": FORMAT,
        "family": family.name,
        "config": dataclasses.asdict(model.config),
        "tokenizer": tokenizer.said if isinstance(tokenizer, Origin) else tokenizer,
        "name": name,
        "about": about,
    }
    weights = {key: saved(key, parameter, dtype) for key, parameter in model.named_parameters()}
    folder = expanded(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(tokenizer, Origin):
            for file, origin in tokenizer.files.items():
                bring(origin, folder / file)
        write_together(folder, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", weights)
    except (OSError, SafetensorError) as error:
        raise InputError(f"the model could not be saved in {folder}: {why(error)}") from None


def bring(origin: Path, to: Path) -> None:
    """A copy of a file, complete before it takes its name; none where the same is there."""
    content = read_regular(origin, MOST_VOCABULARY)
    if is_there(to) and read_regular(to, MOST_VOCABULARY) == content:
        return
    write_bytes(to, content)


def saved(key: str, parameter: Tensor, dtype: str) -> Tensor:
    """The parameter as it goes to disk."""
    values = parameter.detach().to("cpu", SAVED_DTYPES[dtype]).contiguous()
    if not is_finite(values):
        raise InputError(
            f"{key} is not finite in {dtype}, so nothing was saved: training diverged, or use float32"
        )
    return values


@torch.no_grad()
def round_as_saved(model: Model, dtype: str = "float16") -> None:
    """Give the model the weights that it would have if it were saved and opened again."""
    for parameter in model.parameters():
        parameter.copy_(parameter.to(SAVED_DTYPES[dtype]))


def write_together(folder: Path, manifest: str, weights: Mapping[str, Tensor]) -> None:
    """Both files are complete before the first of them, the weights, takes its name."""
    with replaced(folder / MANIFEST) as described, replaced(folder / WEIGHTS) as stored:
        save_file(dict(weights), stored)
        described.write_text(manifest, encoding="utf-8")


register(Reader(MANIFEST, recognises, read))
