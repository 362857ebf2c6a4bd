"""Whether an answer is what its query declares."""

from types import NoneType
from typing import get_args, get_type_hints

from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query, gives
from model_core.api.schema import value


def check(asked: Query, answer: Answer) -> None:
    """AssertionError where it has other facts, arrays or axes."""
    hints, axes_of = get_type_hints(asked.Gives, include_extras=True), gives(type(asked))
    lengths: dict[str, int] = {}
    for name, axes in axes_of.items():
        if axes is None:
            if name not in answer.facts and NoneType in get_args(hints[name]):
                continue
            assert name in answer.facts, f"{asked.kind}: no '{name}'"
            try:
                value(f"{asked.kind}: '{name}'", answer.facts[name], hints[name])
            except InputError as error:
                raise AssertionError(str(error)) from None
        elif name != "others" and NoneType not in get_args(get_args(hints[name])[0]):
            assert name in answer.arrays, f"{asked.kind}: no '{name}'"
    assert not answer.facts.keys() - axes_of.keys(), f"{asked.kind}: facts that are not declared"
    for name, array in answer.arrays.items():
        axes = axes_of.get(name, axes_of.get("others"))
        assert axes is not None, f"{asked.kind}: '{name}' is not declared"
        if axes == "...":
            continue
        assert len(axes.split()) == array.ndim, f"{asked.kind}: '{name}' has the shape {array.shape}"
        for letter, length in zip(axes.split(), array.shape, strict=True):
            assert letter == "_" or lengths.setdefault(letter, length) == length, (
                f"{asked.kind}: {letter} of '{name}'"
            )
