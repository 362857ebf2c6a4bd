"""Hugging Face folders: config.json and model.safetensors, or shards listed in model.safetensors.index.json.

Code that a folder carries (auto_map) is never run.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError
from model_core.api.files.paths import followed
from model_core.api.files.regular_file import is_there
from model_core.api.schema import shown
from model_core.checkpoint.files import (
    Stored,
    check_layers,
    is_plain,
    read_json,
    readable,
)
from model_core.checkpoint.registry import Blueprint, Reader, register
from model_core.checkpoint.safetensors_file import read_safetensors
from model_core.checkpoint.said import as_dict, settle
from model_core.families.registry import FAMILIES, Family
from model_core.text.opening import tokenizer_in

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def recognises(path: Path) -> bool:
    return is_there(path / CONFIG)


def read(path: Path, said: Mapping[str, str]) -> Blueprint:
    """What the folder holds, by the weight map of its family. Its config.json says everything."""
    hf = read_json(path / CONFIG)
    family = family_of_type(hf.get("model_type"))
    if hf.get("quantization_config") is not None:
        raise InputError("config.json has quantised weights, which cannot be read: use the unquantised model")
    assert family.from_hf is not None
    assert family.hf_weights is not None
    name = followed(path).name
    config = settle(name, family, as_dict(family.from_hf(hf)), said)
    named = stored_tensors(path)
    stored = {name.removeprefix(family.hf_prefix): tensor for name, tensor in named.items()}
    if len(stored) < len(named):
        raise InputError(f"{path} stores names both with and without '{family.hf_prefix}' before them")
    check_layers(config, stored)
    tokenizer = partial(tokenizer_in, path, config.vocab_size, hf)
    blueprint = Blueprint.matched(
        name, family, config, family.hf_weights(config), stored, tokenizer, family.hf_ignored
    )
    if getattr(config, "tied", False) and not blueprint.missing:
        check_tied(family, config, stored)
    return blueprint


def family_of_type(model_type: object) -> Family:
    """The family that reads this model_type; InputError says which types are known."""
    known = {name: family for family in FAMILIES.values() for name in family.hf_types}
    if not isinstance(model_type, str) or model_type not in known:
        asked = "has no 'model_type'" if model_type is None else f"has the model_type {shown(model_type)}"
        raise InputError(f"config.json {asked}; the types known here are {', '.join(sorted(known))}")
    return known[model_type]


def stored_tensors(path: Path) -> dict[str, Stored]:
    """Every tensor of the folder's file or shards."""
    sharded = is_there(path / INDEX) and not is_there(path / WEIGHTS)
    shards = shard_names(path) if sharded else [weights_name(path)]
    stored: dict[str, Stored] = {}
    for shard in shards:
        tensors = read_safetensors(path / shard)
        if twice := stored.keys() & tensors.keys():
            raise InputError(
                f"{path / shard} stores {readable(min(twice))}, which an earlier shard has as well"
            )
        stored |= tensors
    return stored


def weights_name(path: Path) -> str:
    """model.safetensors, or the one safetensors file there is."""
    names = [file.name for file in path.glob("*.safetensors")]
    if WEIGHTS in names:
        return WEIGHTS
    if len(names) == 1:
        return names[0]
    if not names and any(path.glob("*.bin")):
        raise InputError(
            f"{path} has its weights in a pickle, which could run code: save them as safetensors"
        )
    raise InputError(f"{path} has no {WEIGHTS}")


def shard_names(path: Path) -> list[str]:
    """The files that the index lists, each once. InputError for one that is missing or outside the folder."""
    places = read_json(path / INDEX).get("weight_map")
    if not isinstance(places, Mapping) or not places:
        raise InputError(f"{path / INDEX} has no 'weight_map'")
    for name in places.values():
        if not is_plain(name):
            raise InputError(f"{path / INDEX} names the shard {shown(name)}, which is no file of this folder")
    shards = sorted(set(places.values()))
    for name in shards:
        if not is_there(path / name):
            raise InputError(f"{path / INDEX} names the shard {name}, which is missing: download it again")
    return shards


def check_tied(family: Family, config: Any, stored: Mapping[str, Stored]) -> None:
    """InputError where the head is stored although it should be the embedding, and differs from it."""
    assert family.hf_weights is not None
    sources = family.hf_weights(dataclasses.replace(config, tied=False))
    head, embed = (stored.get(sources[name].name) for name in ("head.weight", "embed.weight"))
    if head is None or embed is None:
        return
    if not head.is_same(embed):
        raise InputError(
            f"config.json ties the output head to the embedding, but {head.name} is stored and differs: "
            "set tie_word_embeddings to false"
        )


register(Reader(CONFIG, recognises, read))
