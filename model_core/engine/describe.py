"""What forms and panels are told of families, configurations and models, as plain JSON.

families()        each family's text, the fields of its configuration and its published sizes
presets()         each preset's size, what it was trained on, how good it was measured to be, and how it is trained;
                  why others are damaged
size(...)         what a model of a configuration would take: counted on a model without memory
architecture(...) what a loaded model is made of, and where it came from
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from model_core.api.errors import InputError, spelled
from model_core.api.files.assets import asset
from model_core.api.files.regular_file import check_regular
from model_core.api.plain_text import one_line
from model_core.checkpoint.building import Loaded, empty_model
from model_core.checkpoint.formats.native import WEIGHTS
from model_core.checkpoint.said import changed, parse
from model_core.families.registry import FAMILIES, Family
from model_core.sources import presets as shipped
from model_core.sources.untrained import PREFIX, SEED, published_of, seed_of
from model_core.system.devices import DTYPES, find
from model_core.training.run_folder import done_in


def families() -> dict[str, dict[str, Any]]:
    """name -> title, about, fields (name, kind, choices, default) and published: size -> field -> word."""
    return {
        name: {
            "title": family.title,
            "about": family.about,
            "fields": form_fields(family),
            "published": {size: words_of(config) for size, config in family.published.items()},
        }
        for name, family in FAMILIES.items()
    }


def presets() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """name -> what a list of models shows, and what a form to train it begins with; name -> why it is damaged.

    about, title, parameters  the preset's text, its family's name and how many numbers it learned
    bytes                     of its weights on disk; 0 where it was not trained yet
    data, licence             what it was trained on; "" where its folder does not say
    quality                   what was measured of it, in words; "" where its folder does not say
    task, recipe, phases      how it is trained: the fields of a Recipe, and those of the phases after the first
    example                   the fields of a scene that show what it learned
    focus                     the fields of a selection that do
    """
    facts, damaged = {}, {}
    for name in shipped.NAMES:
        try:
            facts[name] = preset_facts(name)
        except InputError as error:
            damaged[name] = one_line(str(error))
    return facts, damaged


def preset_facts(name: str) -> dict[str, Any]:
    """InputError where it is damaged."""
    preset, folder = shipped.preset_named(name), shipped.folder_of(name)
    done = done_in(folder)
    return {
        "about": preset.about,
        "title": FAMILIES[preset.family].title,
        "parameters": parameter_count(preset.family, preset.config),
        "bytes": check_regular(folder / WEIGHTS) if shipped.has_weights(name) else 0,
        "data": re.sub(r" \([\d,]+ bytes\)", "", str(done.get("data", ""))),
        "licence": str(done.get("licence", "")),
        "quality": quality(done.get("measured", {})),
        "example": {name: getattr(preset.opening, name) for name in ("prompt", "target")},
        "focus": {name: getattr(preset.opening, name) for name in ("stack", "layer", "head")},
        "task": preset.task,
        "recipe": asdict(preset.recipe),
        "phases": [asdict(phase) for phase in preset.phases],
    }


@cache
def parameter_count(family: str, config: Any) -> int:
    """How many numbers such a model learns, counted on one without memory."""
    return empty_model(FAMILIES[family], config).parameter_count


def quality(measured: Mapping[str, float]) -> str:
    """What the last evaluation of a training found, in words: "1.78 bits per byte, induction 0.98"."""
    words = {
        "bits_per_byte": "{:.2f} bits per byte",
        "exact": "{:.2%} of unseen dates right",
        "alignment": "alignment {:.1%}",
        "previous": "previous {:.2f}",
        "induction": "induction {:.2f}",
    }
    try:
        return ", ".join(said.format(measured[name]) for name, said in words.items() if name in measured)
    except (TypeError, ValueError, OverflowError):
        return ""


def form_fields(family: Family) -> list[dict[str, Any]]:
    """Each field of a family's configuration as a form shows it; the default is a word, None where there is none."""
    kinds = get_type_hints(family.config)
    return [
        {
            "name": field.name,
            "kind": kind_of(kinds[field.name]),
            "choices": list(get_args(kinds[field.name])) if get_origin(kinds[field.name]) is Literal else [],
            "default": None if field.default is MISSING else word_of(field.default),
        }
        for field in fields(family.config)
    ]


def kind_of(kind: Any) -> str:
    """ "int", "float", "bool", "choice", or "text" for everything else."""
    if get_origin(kind) is Literal:
        return "choice"
    return kind.__name__ if kind in (int, float, bool) else "text"


def words_of(config: Any) -> dict[str, str]:
    """A configuration with its values as they are said: {"heads": "12", "tied": "true"}."""
    return {field.name: word_of(getattr(config, field.name)) for field in fields(config)}


def word_of(value: Any) -> str:
    """A value as `said.value_of` reads it back."""
    if isinstance(value, tuple):
        return ",".join(word_of(part) for part in value) or "none"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return "none" if value is None else spelled(value)


def size(model: str, config: Sequence[str], device: str) -> dict[str, Any]:
    """What "untrained:family/size" with changed fields takes.

    parameters  how many numbers are learned, None where the configuration makes no model
    bytes       dtype -> what its weights take
    free        bytes that are left on the device, None where the system does not say
    error       why it makes no model, in one line; "" where it does
    """
    found = find(device)
    answer: dict[str, Any] = {"parameters": None, "bytes": {}, "free": found.free_bytes, "error": ""}
    try:
        said = parse(config)
        seed_of(said.pop(SEED, "0"))
        family, published = published_of(model)
        empty = empty_model(family, changed(model.removeprefix(PREFIX), family, published, said))
    except InputError as error:
        return {**answer, "error": one_line(str(error))}
    count = empty.parameter_count
    return {
        **answer,
        "parameters": count,
        "bytes": {name: count * dtype.itemsize for name, dtype in DTYPES.items()},
    }


def architecture(loaded: Loaded) -> dict[str, Any]:
    """A loaded model: what its family says, its configuration, its parameters by part, where it came from.

    parts   stack ("encoder", "decoder", "" where there is one), part, parameters and bytes, in order of computation
    shared  parts that use another's weights: they count once
    path    None for a model without files; of a bundled one its place among the bundled files, the same everywhere
    """
    model, tokenizer, family = loaded.model, loaded.tokenizer, loaded.family
    bundled = loaded.path is not None and loaded.path.is_relative_to(asset())
    path = loaded.path.relative_to(asset()).as_posix() if loaded.path and bundled else loaded.path
    weights = list(model.parameters())
    return {
        "family": family.name,
        "title": family.title,
        "about": family.about,
        "name": loaded.name,
        "path": None if path is None else str(path),
        "bundled": bundled,
        "config": words_of(model.config),
        "parameters": model.parameter_count,
        "bytes": model.nbytes,
        "dtype": str(weights[0].dtype).removeprefix("torch."),
        "device": str(weights[0].device),
        "parts": parts(dict(model.named_parameters())),
        "shared": shared(model),
        "tokenizer": {
            "name": tokenizer.name,
            "vocab_size": tokenizer.vocab_size,
            "bos": token_of(loaded, tokenizer.bos),
            "eos": token_of(loaded, tokenizer.eos),
        },
    }


def token_of(loaded: Loaded, id: int | None) -> dict[str, Any] | None:
    return None if id is None else {"id": id, "string": loaded.tokenizer.token(id)}


def parts(parameters: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """The parameters summed by part of the model, in the order in which the parts come."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, weight in parameters.items():
        stack, part = part_of(name)
        entry = found.setdefault((stack, part), {"stack": stack, "part": part, "parameters": 0, "bytes": 0})
        entry["parameters"] += weight.numel()
        entry["bytes"] += weight.nbytes
    return list(found.values())


def part_of(name: str) -> tuple[str, str]:
    """The stack and the part that a parameter belongs to: "decoder.blocks.0.cross.q.weight" -> decoder, cross."""
    modules = name.split(".")[:-1]
    stack = modules[0] if modules[0] in ("encoder", "decoder") else ""
    if any("norm" in module for module in modules):
        return stack, "norm"
    known = ("embed", "pos", "attn", "cross", "mlp", "head")
    return stack, next((module for module in modules if module in known), "other")


def shared(model: torch.nn.Module) -> list[list[str]]:
    """Groups of names that are one and the same parameter."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [group for group in names.values() if len(group) > 1]
