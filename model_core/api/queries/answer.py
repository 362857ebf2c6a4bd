"""Answers: facts and arrays, and what it takes to keep them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

ANSWER_BYTES = 1024  # the answer, its query, the scene, and their places in the dicts that find it
ARRAY_BYTES = 256  # an array beside its numbers
BLOCK_BYTES = 16  # Python hands out memory in multiples of it


@dataclass(frozen=True, eq=False)
class Answer:
    """Facts (JSON) and arrays (read-only numpy) that answer a query."""

    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name] if name in self.arrays else self.facts[name]

    @cached_property
    def nbytes(self) -> int:
        """What it takes to keep it, in bytes: numbers, facts, and the objects around them."""
        arrays = sum(array.nbytes + ARRAY_BYTES for array in self.arrays.values())
        return arrays + held(self.facts) + ANSWER_BYTES


def held(facts: Any) -> int:
    """How many bytes a JSON value takes in memory, each of its objects counted once."""
    seen: set[int] = set()
    waiting, size = [facts], 0
    while waiting:
        value = waiting.pop()
        # Python has one object for each small number.
        if value is None or isinstance(value, bool) or (isinstance(value, int) and -5 <= value <= 256):
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        size += -(-sys.getsizeof(value) // BLOCK_BYTES) * BLOCK_BYTES
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
    return size
