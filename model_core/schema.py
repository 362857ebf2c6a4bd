"""Values that somebody else wrote, made into the types of the fields that they are for, or refused in one line.

    record(Recipe, {"steps": 500}, "the recipe")     a dataclass, by the types of its fields
    value("config.json: 'width'", 192.0, int)        one value: 192, since JSON knows one kind of number

A whole number may be written as 4.0 and a number as 4; true is no number, and NaN or 1e999 is one only where something
that was measured may come out so. Fields say more by `Annotated[int, Within(...)]`.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from reprlib import repr as short
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from model_core.errors import InputError

LARGEST = 2**63  # what other programs count with ends before


@dataclass(frozen=True)
class Within:
    """Which numbers fit a field, and in words what it is to be. `finite`: whether NaN and infinities are none."""

    fits: Callable[[Any], bool]
    words: str
    finite: bool = True


Count = Annotated[int, Within(lambda n: n >= 0, "a whole number from 0 up")]
Positive = Annotated[float, Within(lambda x: x > 0, "a positive number")]
Share = Annotated[float, Within(lambda x: 0 <= x < 1, "a share from 0 to below 1")]
Duration = Annotated[float, Within(lambda x: 0 <= x < 1e12, "a number of seconds")]
Measured = Annotated[float, Within(lambda x: True, "a number", finite=False)]

Kind = TypeVar("Kind")
KNOWN: dict[type, dict[str, Any]] = {}  # they take longer to find than a line of a log to read


def record(
    kind: type[Kind], said: object, where: str, *, field: str = ": '{}'", others: bool = False
) -> Kind:
    """The dataclass that an object of JSON or TOML spells out.

    where   what is read, as messages name it; `field` is put behind it for one of its fields
    others  whether it, and what it holds, may have more than the fields

    InputError names what is missing, not known, or of another type.
    """
    if not isinstance(said, Mapping):
        raise InputError(f"{where} is {shown(said)}, not an object")
    known = kinds(kind)
    if not others and (unknown := [name for name in said if name not in known]):
        raise InputError(f"{where} has {shown(unknown[0])}; it may have {', '.join(known)}")
    for name in required(kind):
        if name not in said:
            raise InputError(f"{where} has no '{name}'")
    return kind(
        **{
            name: value(where + field.format(name), said[name], type_, others=others)
            for name, type_ in known.items()
            if name in said
        }
    )


def value(what: str, said: Any, kind: Any, *, others: bool = False) -> Any:
    """The value in the type. InputError, which begins with `what`, where it is of another or does not fit."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return said
    if origin in (Union, UnionType):
        if said is None:
            return None
        return value(what, said, next(part for part in parts if part is not NoneType), others=others)
    if origin in (tuple, list) and isinstance(said, list | tuple):
        return origin(value(what, one, parts[0], others=others) for one in said)
    if origin in (dict, Mapping) and isinstance(said, Mapping):
        return {name: value(f"{what} of {name}", one, parts[1], others=others) for name, one in said.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return record(kind, said, what, others=others)
    found = fitting(said, kind)
    if found is None:
        raise InputError(f"{what} is {shown(said)}, not {words(kind)}")
    return found


def fitting(said: Any, kind: Any) -> Any:
    """A single value in the type; None where it is of another or does not fit."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner, within = parts
        found = fitting(said, inner) if within.finite else measured(said)
        return found if found is not None and within.fits(found) else None
    if origin is Literal:
        return said if isinstance(said, str) and said in parts else None
    if kind is int:
        whole = is_number(said) and abs(said) < LARGEST and said == int(said)
        return int(said) if whole else None
    if kind is float:
        return float(said) if is_number(said) and abs(said) <= sys.float_info.max else None
    return said if isinstance(kind, type) and isinstance(said, kind) else None


def measured(said: Any) -> float | None:
    """A number that may be NaN or infinite."""
    return said if isinstance(said, float) else fitting(said, float)


def is_number(said: object) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool)


def words(kind: Any) -> str:
    """What a value of the type is, as a message says it."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return str(parts[1].words)
    if origin is Literal:
        return f"one of {', '.join(parts)}"
    if origin in (tuple, list):
        return "a list"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return plain.get(kind, "an object")


def shown(said: object) -> str:
    """A value as a message has room for it."""
    try:
        return short(said)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def kinds(kind: Any) -> dict[str, Any]:
    """Field -> type of a dataclass, with what `Annotated` says."""
    if kind not in KNOWN:
        KNOWN[kind] = get_type_hints(kind, include_extras=True)
    return KNOWN[kind]


def required(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass that have no default."""
    return tuple(
        field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
    )
