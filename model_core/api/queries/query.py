"""Queries are values: one question about a run each, with typed fields, declared once for both processes.

@declared("next_token")
class NextToken(Query):
    k: Count = 20

    class Gives:
        ids: list[int]
        probabilities: Annotated[Array, Axes("K")]

NextToken(k=40)                        hashable: answers are kept by it
read("next_token", {"k": 40})          the same, from what a frame or a command line says
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields
from typing import (
    Annotated,
    Any,
    ClassVar,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from model_core.api import queries
from model_core.api.errors import InputError
from model_core.api.schema import shown, value, words

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Axes:
    """The axes of an array of an answer, a letter each: equal letters are of one length in an answer, "_" of any.

    Letters are those of the legend; t and s are T and S that may be shrunk, U all of T but the first. "..." where the
    answer says them itself, as `dims`.
    """

    letters: str


class Query:
    """One question about a run.

    kind          its name in frames and on the command line
    of_the_model  whether its answer is the same for every text that a model reads, and for every edit of it
    """

    kind: ClassVar[str]
    of_the_model: ClassVar[bool]

    class Gives:
        """What an answer has, by annotations: facts in the types of JSON, arrays with their `Axes`.

        What may be None need not be there; `others` are arrays whose names are data.
        """

    def to_json(self) -> dict[str, Any]:
        """The query as a frame carries it."""
        return {"kind": self.kind, "arguments": asdict(self)}  # type: ignore[call-overload]


QUERIES: dict[str, type[Query]] = {}

Kind = TypeVar("Kind", bound=type[Query])


@dataclass_transform(frozen_default=True)
def declared(kind: str, *, of_the_model: bool = False) -> Callable[[Kind], Kind]:
    """Make a class a frozen dataclass and a kind of query."""

    def made(cls: Kind) -> Kind:
        cls.kind, cls.of_the_model = kind, of_the_model
        QUERIES[kind] = dataclass(frozen=True)(cls)
        return cls

    return made


def kinds() -> dict[str, type[Query]]:
    """Every kind of query, in the order of their names."""
    for module in pkgutil.iter_modules(queries.__path__):
        importlib.import_module(f"{queries.__name__}.{module.name}")
    return dict(sorted(QUERIES.items()))


def read(kind: str, arguments: Mapping[str, Any]) -> Query:
    """The query of a kind whose fields are said. InputError for any that it does not have, or of another type."""
    known = QUERIES.get(kind) or kinds().get(kind)
    if known is None:
        raise InputError(f"queries of kind {shown(kind)} are not known here")
    hints = get_type_hints(known, include_extras=True)
    names = [one.name for one in fields_of(known)]
    if others := [name for name in arguments if name not in names]:
        raise InputError(f"{kind}: there is no {shown(others[0])}; there are {', '.join(names) or 'none'}")
    for one in fields_of(known):
        if is_needed(one) and one.name not in arguments:
            raise InputError(f"{kind}: no '{one.name}' is said")
    return known(**{name: value(f"{kind}: '{name}'", one, hints[name]) for name, one in arguments.items()})


class At(dict[str, int]):
    """Positions on some axes, by letter: {"H": 3}. It does not change, and so has a hash."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def gives(kind: type[Query]) -> dict[str, str | None]:
    """What an answer has: the axes of each array by its name, None for a fact; "others" stands for the rest of them."""
    return {name: axes_of(one) for name, one in get_type_hints(kind.Gives, include_extras=True).items()}


def axes_of(declared: Any) -> str | None:
    """The axes of what is declared as an array, None for a fact."""
    if get_origin(declared) is Annotated and isinstance(axes := get_args(declared)[1], Axes):
        return axes.letters
    return None


def usage(kind: type[Query]) -> str:
    """A kind with its fields, as a person writes them: those in brackets have a value already."""
    hints = get_type_hints(kind, include_extras=True)
    return " ".join(
        [kind.kind]
        + [
            f"{one.name}=({words(hints[one.name])})"
            if is_needed(one)
            else f"[{one.name}={shown(one.default)}]"
            for one in fields_of(kind)
        ]
    )


def fields_of(kind: type[Query]) -> tuple[Field[Any], ...]:
    return fields(kind)  # type: ignore[arg-type]


def is_needed(one: Field[Any]) -> bool:
    return one.default is one.default_factory is MISSING
