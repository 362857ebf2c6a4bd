"""What a family says of itself, and how it is read from outside: sizes, numbers of a config.json, places of weights."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from torch import Tensor

from model_core.errors import InputError


@dataclass(frozen=True)
class Source:
    """A parameter's place in a foreign checkpoint, and how the stored tensor becomes ours."""

    name: str
    convert: Callable[[Tensor], Tensor] = lambda stored: stored


Number = TypeVar("Number", int, float)


def needed(
    config: Mapping[str, Any],
    key: str,
    kind: type[Number],
    default: Number | None = None,
    *,
    file: str = "config.json",
) -> Number:
    """A positive number from a config.json; InputError names the file and the key that is missing or is not one."""
    value = config.get(key)
    if value is None:
        if default is None:
            raise InputError(f"{file} has no '{key}'")
        return default
    check_number(f"{file}: '{key}'", value, kind)
    return kind(value)


def flag(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """A true or false from a config.json; InputError names the key that is neither."""
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise InputError(f"config.json: '{key}' is {short(value)}, not true or false")
    return value


# More than any axis of a real model; products of two such sizes can still be counted.
LARGEST = 2**28


def check_number(what: str, value: Any, kind: type) -> None:
    """InputError unless the value is a positive number, whole and of a sensible size where `kind` is int."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int and not (real and value == value and 0 < value <= LARGEST and int(value) == value):
        raise InputError(f"{what} is {short(value)}, not a whole number from 1 to {LARGEST}")
    if kind is float and not (real and 0 < value <= sys.float_info.max):
        raise InputError(f"{what} is {short(value)}, not a positive number")


def check_share(what: str, value: Any) -> None:
    """InputError unless the value is a number from 0 to below 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise InputError(f"{what} is {short(value)}, not a share from 0 to below 1")


def check_config(config: Any) -> None:
    """For a configuration's `__post_init__`: InputError for a wrong type, or sizes that do not fit."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if name == "dropout":
            check_share(f"'{name}'", value)
        elif get_origin(kind) is Literal:
            if value not in get_args(kind):
                raise InputError(f"'{name}' is {short(value)}, not one of {', '.join(get_args(kind))}")
        elif kind in (int, float):
            check_number(f"'{name}'", value, kind)
        elif isinstance(kind, type) and not isinstance(value, kind):
            raise InputError(f"'{name}' is {short(value)}, not of type {kind.__name__}")
    heads = config.heads
    kv_heads = getattr(config, "kv_heads", heads)
    if not hasattr(config, "head_dim") and config.width % heads:
        raise InputError(f"a width of {config.width} cannot be split into {heads} heads")
    if heads % kv_heads:
        raise InputError(f"{heads} query heads cannot share {kv_heads} key/value heads evenly")
