"""What the engine can answer: small functions, each registered under the kind of its queries."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from model_core.api.edits import beyond
from model_core.api.errors import InputError
from model_core.api.queries import Answer
from model_core.api.schema import shown
from model_core.api.schema import value as fit

Question = Callable[..., Answer]
QUESTIONS: dict[str, Question] = {}


def answers(kind: str) -> Callable[[Question], Question]:
    """Register a function (context, **arguments) -> Answer as what answers queries of a kind."""

    def registered(function: Question) -> Question:
        QUESTIONS[kind] = function
        return function

    return registered


def fitting(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a query in the types that its answer takes. InputError for others."""
    _, *takes = signature(QUESTIONS[kind]).parameters.values()
    known = {one.name: one for one in takes}
    if others := [name for name in said if name not in known]:
        raise InputError(f"{kind}: there is no {shown(others[0])}; there are {', '.join(known) or 'none'}")
    if missing := [name for name, one in known.items() if one.default is one.empty and name not in said]:
        raise InputError(f"{kind}: no '{missing[0]}' is said")
    return {name: fit(f"{kind}: '{name}'", one, known[name].annotation) for name, one in said.items()}


def number(value: int, count: int, what: str) -> int:
    """A layer, head or token of a query; InputError where there is none of that number."""
    if wrong := beyond(value, count, what):
        raise InputError(f"query: {wrong}")
    return value
