"""What a family says of itself, and how it is read from outside: sizes, numbers of a config.json, places of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.schema import Positive, Within, kinds, value


@dataclass(frozen=True)
class Source:
    """A parameter's place in a foreign checkpoint, and how the stored tensor becomes ours."""

    name: str
    convert: Callable[[Tensor], Tensor] = lambda stored: stored


# More than any axis of a real model; products of two such sizes can still be counted.
LARGEST = 2**28
Size = Annotated[int, Within(lambda n: 1 <= n <= LARGEST, f"a whole number from 1 to {LARGEST}")]
KINDS = {int: Size, float: Positive}
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
    said = config.get(key)
    if said is None:
        if default is None:
            raise InputError(f"{file} has no '{key}'")
        return default
    found: Number = value(f"{file}: '{key}'", said, KINDS[kind])
    return found


def flag(config: Mapping[str, Any], key: str, default: bool, *, file: str = "config.json") -> bool:
    """A true or false from a config.json; InputError names the key that is neither."""
    found: bool = value(f"{file}: '{key}'", config.get(key, default), bool)
    return found


def check_config(config: Any) -> None:
    """For a configuration's `__post_init__`: its fields in their types. InputError for others, or no fitting sizes."""
    for name, kind in kinds(type(config)).items():
        object.__setattr__(config, name, value(f"'{name}'", getattr(config, name), kind))
    heads = config.heads
    kv_heads = getattr(config, "kv_heads", heads)
    if not hasattr(config, "head_dim") and config.width % heads:
        raise InputError(f"a width of {config.width} cannot be split into {heads} heads")
    if heads % kv_heads:
        raise InputError(f"{heads} query heads cannot share {kv_heads} key/value heads evenly")
