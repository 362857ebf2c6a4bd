"""Values that somebody else wrote, made into the types of the fields that they are for, or refused in one line.

    record(Recipe, {"steps": 500}, "the recipe")     a dataclass, by the types of its fields
    value("config.json: 'width'", 192.0, int)        one value: 192, since JSON knows one kind of number

A whole number may be written as 4.0 and a number as 4; true is no number, and NaN or 1e999 is one only where something
that was measured may come out so. Fields say more by `Annotated[int, Within(...)]`.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from reprlib import repr as short
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeGuard,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from model_core.api.errors import InputError
from model_core.api.plain_text import shortened

MAX_SHOWN = 200  # letters of a value in a message

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
    known, needed = fields_of(kind)
    if not others and (unknown := [name for name in said if name not in known]):
        raise InputError(f"{where} has {shown(unknown[0])}; it may have {', '.join(known)}")
    for name in needed:
        if name not in said:
            raise InputError(f"{where} has no '{name}'")
    return kind(
        **{
            name: check(where + field.format(name), said[name], others)
            for name, check in known.items()
            if name in said
        }
    )


def value(what: str, said: Any, kind: Any) -> Any:
    """The value in the type. InputError, which begins with `what`, where it is of another or does not fit."""
    return check_of(kind)(what, said, False)


# Given what is read, the value, and whether objects may have more than their fields: the value in its type.
Check = Callable[[str, Any, bool], Any]
# A type takes longer to look through than a line of a log to read.
CHECKS: dict[Any, Check] = {}
FIELDS: dict[type, tuple[dict[str, Check], list[str]]] = {}


def fields_of(kind: Any) -> tuple[dict[str, Check], list[str]]:
    """The checks of a dataclass's fields, and the names of those that have no default."""
    if kind not in FIELDS:
        needed = [one.name for one in fields(kind) if one.default is one.default_factory is MISSING]
        types = kinds(kind)
        FIELDS[kind] = {one.name: check_of(types[one.name]) for one in fields(kind)}, needed
    return FIELDS[kind]


def kinds(kind: Any) -> dict[str, Any]:
    """Field -> type of a dataclass, with what `Annotated` says."""
    return get_type_hints(kind, include_extras=True)


def check_of(kind: Any) -> Check:
    """The check of a type."""
    if kind not in CHECKS:
        CHECKS[kind] = new_check(kind)
    return CHECKS[kind]


def new_check(kind: Any) -> Check:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda what, said, others: said
    if origin in (Union, UnionType):
        given = check_of(next(part for part in parts if part is not NoneType))
        return lambda what, said, others: None if said is None else given(what, said, others)
    if is_dataclass(kind):
        return lambda what, said, others: record(cast(type, kind), said, what, others=others)
    fit, wanted = fitting(kind), words(kind)

    def refuse(what: str, said: Any) -> InputError:
        if beyond(kind, said):
            than = "larger" if said > 0 else "smaller"
            return InputError(f"{what} is {shown(said)}, {than} than any that is used")
        return InputError(f"{what} is {shown(said)}, not {wanted}")

    if origin in (tuple, list):
        each = check_of(parts[0])

        def all_of(what: str, said: Any, others: bool) -> Any:
            if not isinstance(said, list | tuple):
                raise refuse(what, said)
            return origin(each(what, one, others) for one in said)

        return all_of
    if origin in (dict, Mapping):
        named = check_of(parts[1])

        def each_name(what: str, said: Any, others: bool) -> Any:
            if not isinstance(said, Mapping):
                raise refuse(what, said)
            return {name: named(f"{what} of {name}", one, others) for name, one in said.items()}

        return each_name

    def single(what: str, said: Any, others: bool) -> Any:
        found = fit(said)
        if found is None:
            raise refuse(what, said)
        return found

    return single


def fitting(kind: Any) -> Callable[[Any], Any]:
    """What makes a single value one of the type, and None of a value that is none."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        within = parts[1]
        inner = fitting(parts[0]) if within.finite else measured
        return lambda said: found if (found := inner(said)) is not None and within.fits(found) else None
    if origin is Literal:
        return lambda said: said if isinstance(said, str) and said in parts else None
    known = {int: whole, float: finite}
    return known.get(kind, lambda said: said if isinstance(kind, type) and isinstance(said, kind) else None)


def whole(said: Any) -> int | None:
    fits = is_number(said) and abs(said) < LARGEST and said == int(said)
    return int(said) if fits else None


def beyond(kind: Any, said: object) -> bool:
    """Is it a number of the type but for its size?"""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    most = {int: LARGEST - 1, float: sys.float_info.max}.get(plain)
    return most is not None and is_number(said) and most < abs(said) != math.inf


def finite(said: Any) -> float | None:
    return float(said) if is_number(said) and abs(said) <= sys.float_info.max else None


def measured(said: Any) -> float | None:
    """A number that may be NaN or infinite."""
    return said if isinstance(said, float) else finite(said)


def is_number(said: object) -> TypeGuard[float]:
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
        return shortened(short(said), MAX_SHOWN)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
