"""What the engine can answer: small functions, each registered for the kind of query that it answers."""

from collections.abc import Callable
from typing import Any, TypeVar

from model_core.api.edits import beyond
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.engine.context import Context

Asked = TypeVar("Asked", bound=Query)
QUESTIONS: dict[type[Query], Callable[[Context, Any], Answer]] = {}


def answers(
    kind: type[Asked],
) -> Callable[[Callable[[Context, Asked], Answer]], Callable[[Context, Asked], Answer]]:
    """Register a function (context, query) -> Answer as what answers queries of a kind."""

    def registered(function: Callable[[Context, Asked], Answer]) -> Callable[[Context, Asked], Answer]:
        QUESTIONS[kind] = function
        return function

    return registered


def number(value: int, count: int, what: str) -> int:
    """A layer, head or token of a query; InputError where there is none of that number."""
    if wrong := beyond(value, count, what):
        raise InputError(f"query: {wrong}")
    return value
