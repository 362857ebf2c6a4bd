"""The families: one file each, found by looking. A family says what it is, how it is built and where its weights lie."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from model_core.decoder import Decoder
from model_core.errors import InputError


@dataclass(frozen=True)
class Source:
    """A parameter's place in a foreign checkpoint, and how the stored tensor becomes ours."""

    name: str
    convert: Callable[[Tensor], Tensor] = lambda stored: stored


@dataclass(frozen=True)
class Family:
    """hf_ignored: globs of stored tensors that are not parameters. hf_prefix: what some files put before each name."""

    name: str
    title: str
    about: str
    config: type
    build: Callable[[Any], Decoder]
    hf_types: tuple[str, ...]
    from_hf: Callable[[Mapping[str, Any]], Any]
    hf_weights: Callable[[Any], dict[str, Source]]
    hf_ignored: tuple[str, ...] = ()
    hf_prefix: str = ""


FAMILIES: dict[str, Family] = {}


def register(family: Family) -> None:
    """Called once at the end of each family's file."""
    FAMILIES[family.name] = family


def family_of(config: Any) -> Family:
    """The family that a configuration belongs to."""
    return next(family for family in FAMILIES.values() if type(config) is family.config)


Number = TypeVar("Number", int, float)


def needed(config: Mapping[str, Any], key: str, kind: type[Number], default: Number | None = None) -> Number:
    """A positive number from a config.json; InputError names the key that is missing or is not one."""
    value = config.get(key)
    if value is None:
        if default is None:
            raise InputError(f"config.json has no '{key}'")
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0 or kind(value) != value:
        raise InputError(f"config.json: '{key}' is {value!r}, not a positive {'whole ' if kind is int else ''}number")
    return kind(value)


for _, _name, _ in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_name}")
