"""What a layout of a state dict says, all that there are, and how they look at tensors.

A layout is known by a name that its tensors have and no other layout's. It says which family the model is of, what
the shapes tell of its configuration, what is to be asked, and where each parameter lies.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from model_core.api.errors import InputError
from model_core.checkpoint.files import Stored, readable
from model_core.checkpoint.said import Ask
from model_core.families.config import Source
from model_core.families.registry import Family
from model_core.parts.position import SinusoidalPositions

Tensors = Mapping[str, Stored]


@dataclass(frozen=True)
class Plan:
    """What a layout found.

    known    fields of the family's configuration that the tensors tell
    asks     those that they do not
    weights  given the configuration, where each parameter of ours lies
    ignored  globs of stored tensors that are no parameters
    added    tensors that our model has and the stored one does without, such as biases of zero
    """

    family: Family
    known: Mapping[str, Any]
    asks: Sequence[Ask]
    weights: Callable[[Any], dict[str, Source]]
    ignored: Sequence[str] = ()
    added: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """title: what people call it. mark: a pattern of a name that only it has. read: given what lies beside as well."""

    title: str
    mark: str
    read: Callable[[Tensors, Mapping[str, Any]], Plan]

    def recognises(self, found: Tensors) -> bool:
        return any(re.fullmatch(self.mark, name) for name in found)


LAYOUTS: list[Layout] = []


def register(layout: Layout) -> None:
    """Called once at the end of each layout's file."""
    LAYOUTS.append(layout)


def matrix(found: Tensors, name: str) -> tuple[int, int]:
    """The shape of a stored matrix. InputError where it is missing or none."""
    if name not in found:
        raise InputError(f"the file lacks {name}: it is not whole")
    if len(found[name].shape) != 2 or 0 in found[name].shape:
        raise InputError(f"{name} has the shape {found[name].shape}, which is no matrix")
    rows, columns = found[name].shape
    return rows, columns


def count(found: Tensors, pattern: str) -> int:
    """One more than the largest number that the group of a pattern stands for among the names.

    InputError where there are fewer tensors: names are made for so many, before it is seen which are missing.
    """
    numbers = [int(m[1]) for name in found if (m := re.match(pattern, name)) and len(m[1]) < 9]
    counted = max(numbers, default=-1) + 1
    if counted > len(found):
        raise InputError(f"the file has a number {counted - 1:,} of {len(found):,} tensors: it is not whole")
    return counted


def is_tied(found: Tensors, head: str, embed: str) -> bool:
    """Whether the output head is the embedding: it is not stored, or as the same numbers."""
    if head not in found:
        return True
    if embed not in found or found[head].shape != found[embed].shape:
        return False
    return found[head].is_same(found[embed])


def table_length(table: Stored, width: int) -> int:
    """How many positions a stored table [T C] has, axes of 1 aside. InputError where it is none."""
    longer = [axis for axis in table.shape if axis != 1]
    if longer[-1:] != [width] or len(longer) > 2:
        raise InputError(
            f"{readable(table.name)} has the shape {table.shape}, which is no table of positions"
        )
    return longer[0] if len(longer) == 2 else 1


def is_sincos(table: Stored, width: int) -> bool:
    """Whether a stored table begins as sines and cosines do here; old ones were computed in float32 or less."""
    length = min(64, table_length(table, width))
    stored = table.rows(0, length if length > 1 else width).reshape(length, width).double()
    computed = SinusoidalPositions(width)(torch.arange(length), torch.float64)
    return bool((stored - computed).abs().max() < 0.01)


def zeros(name: str, length: int) -> Stored:
    """A bias that is not there."""
    return Stored(name, (length,), "F32", lambda: torch.zeros(length))
