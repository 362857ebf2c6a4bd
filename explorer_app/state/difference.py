"""B − A: what differs between the answers to one query about two scenes.

Arrays are subtracted along the axes that their query declares. Positions of texts are paired by an `Alignment`; one
that has no partner is NaN in the difference. What an answer says beside its arrays is what B says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.query import Query, gives
from numpy.typing import NDArray

from explorer_app.state.alignment import Alignment

Along = Callable[[str], Alignment]
"""The alignment of the text that an axis runs along: A's tokens are `ours`, B's `theirs`."""

POSITIONS = {"T": "T", "S": "S", "t": "T", "s": "S", "U": "T"}
"""Axes along a text, and the axis of the legend that each is: `t` and `s` may be shrunk, `U` is all but the first."""


@dataclass(frozen=True)
class Incomparable(Exception):
    """Why there is no difference: a sentence with fields in braces, for people."""

    sentence: str
    fields: tuple[tuple[str, Any], ...] = ()


Subtract = Callable[[Any, Answer, Answer, Along], Answer]
SPECIAL: dict[type[Query], Subtract] = {}


def subtracts(kind: type[Query]) -> Callable[[Subtract], Subtract]:
    """Register how answers of a kind are subtracted that are more than arrays with axes."""

    def registered(function: Subtract) -> Subtract:
        SPECIAL[kind] = function
        return function

    return registered


def difference(asked: Query, b: Answer, a: Answer, along: Along) -> Answer:
    """B − A. Incomparable where they have no difference."""
    return SPECIAL.get(type(asked), of_arrays)(asked, b, a, along)


def of_arrays(asked: Query, b: Answer, a: Answer, along: Along) -> Answer:
    """B − A of every array along its declared axes."""
    declared = gives(type(asked))
    if not b.arrays:
        raise Incomparable("These are no numbers that could be subtracted.")
    arrays = {}
    for name, array in b.arrays.items():
        if name not in a.arrays:
            raise Incomparable("Only one of the two models has this.")
        axes = declared.get(name, declared.get("others")) or ""
        letters = (b["dims"] if axes == "..." else axes).split()
        arrays[name] = subtract(array, a.arrays[name], letters, along)
    return Answer(b.facts, arrays)


def subtract(b: NDArray[Any], a: NDArray[Any], letters: list[str], along: Along) -> NDArray[Any]:
    """B − A with the axes of B; NaN where a position of B has no partner in A. Equal infinities differ by nothing."""
    there: list[slice | NDArray[np.intp]] = []
    here: list[slice | NDArray[np.intp]] = []
    for letter, of_b, of_a in zip(letters, b.shape, a.shape, strict=True):
        alignment = aligned(letter, along)
        if alignment is not None and (of_a, of_b) == alignment.lengths and not alignment.is_whole:
            here.append(np.array(alignment.theirs, np.intp))
            there.append(np.array(alignment.ours, np.intp))
        elif of_b == of_a:
            here.append(slice(None))
            there.append(slice(None))
        else:
            raise Incomparable(
                "A has {a} here and B {b}: they have no difference.", (("a", of_a), ("b", of_b))
            )
    found = np.full(b.shape, np.nan, np.result_type(b.dtype, np.float32))
    if not b.ndim:
        return np.asarray(minus(b, a))
    found[open_mesh(here, b.shape)] = minus(
        b[open_mesh(here, b.shape)].astype(found.dtype), a[open_mesh(there, a.shape)].astype(found.dtype)
    )
    return found


def aligned(letter: str, along: Along) -> Alignment | None:
    if letter not in POSITIONS:
        return None
    alignment = along(POSITIONS[letter])
    return alignment.after_first() if letter == "U" else alignment


def open_mesh(parts: list[slice | NDArray[np.intp]], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
    """What picks these positions of every axis, all of them where it is a slice."""
    return np.ix_(
        *(np.arange(n) if isinstance(part, slice) else part for part, n in zip(parts, shape, strict=True))
    )


def minus(b: NDArray[Any], a: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore"):
        return np.where(b == a, 0, b - a)


@subtracts(NextTokens)
def of_next_tokens(asked: NextTokens, b: Answer, a: Answer, along: Along) -> Answer:
    """By what they are and not by their rank: NaN for one that is not among the likeliest of A."""
    others = {name: array for name, array in b.arrays.items() if name != "probabilities"}
    found = of_arrays(asked, Answer(b.facts, others), a, along)
    before = dict(zip(a["ids"], a["probabilities"].tolist(), strict=True))
    known = np.array([before.get(id, np.nan) for id in b["ids"]])
    return Answer(b.facts, {**found.arrays, "probabilities": minus(b["probabilities"].astype(float), known)})
