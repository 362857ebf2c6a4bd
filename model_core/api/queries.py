"""What window and engine say to each other about a run: scenes, queries and answers. No torch, no Qt."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from model_core.api.model_ref import split

OF_THE_MODEL = frozenset({"architecture", "graph", "growth", "sites"})
"""The kinds of queries whose answers are the same for every text that a model reads, and for every edit of it."""


@dataclass(frozen=True)
class Scene:
    """What is run: a model (preset name or path) on a device, a prompt, and edits in words.

    target   what the decoder of an encoder-decoder reads; "" for what is put before every text, or where nothing is
             for the prompt that its encoder reads
    config   what is said of the model beside its files, "heads=8" each
    special  whether the tokens that the model's own configuration puts before a prompt (BOS) are put there
    version  the stamp (stamp.py) of the model's files when they were opened, "" for whatever is there

    Equal scenes give equal answers, whoever asks and whenever.
    """

    model: str
    prompt: str
    target: str = ""
    device: str = "cpu"
    dtype: str = "float32"
    edits: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    special: bool = True
    version: str = ""

    @property
    def opened(self) -> tuple[str, tuple[str, ...], str, str, str]:
        """What decides which model is loaded, and how: scenes that share it share the loaded model."""
        return self.model, self.config, self.device, self.dtype, self.version

    @property
    def shape(self) -> tuple[str, tuple[str, ...]]:
        """What decides how many layers and heads there are: a model has them alike at every step of its training."""
        return split(self.model)[0], self.config

    def asked_by(self, asked: "Query") -> "Scene":
        """What the answer to a query depends on: without texts and edits where these have no part in it."""
        if asked.kind not in OF_THE_MODEL:
            return self
        return replace(self, prompt="", target="", edits=(), special=True)

    def to_json(self) -> dict[str, Any]:
        """The scene as a frame carries it."""
        return {**self.__dict__, "edits": list(self.edits), "config": list(self.config)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Scene":
        """The scene of a frame. Raises TypeError or KeyError where it is none."""
        words = {name: fields[name] for name in ("model", "prompt", "target", "device", "dtype")}
        # What was stored before there were versions says none.
        words["version"] = fields.get("version", "")
        edits, config, special = tuple(fields["edits"]), tuple(fields["config"]), fields["special"]
        if not all(isinstance(value, str) for value in (*words.values(), *edits, *config)):
            raise TypeError("a scene is made of strings")
        if not isinstance(special, bool):
            raise TypeError("'special' is true or false")
        return cls(**words, edits=edits, config=config, special=special)


@dataclass(frozen=True)
class Query:
    """One question about a run: a kind that the engine registers, and its arguments as canonical JSON.

    Made with `query("value", site="blocks.3.attn.pattern", at={"H": 2})`; hashable, so that answers are kept by it.
    """

    kind: str
    arguments: str

    def to_json(self) -> dict[str, Any]:
        """The query as a frame carries it."""
        return {"kind": self.kind, "arguments": json.loads(self.arguments)}


def query(kind: str, **arguments: Any) -> Query:
    """A query; the order of the arguments does not matter."""
    return Query(kind, json.dumps(arguments, sort_keys=True))


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


def layer_of(site: str) -> int | None:
    """The block that a site lies in: 3 for "blocks.3.attn.q", None outside the blocks."""
    parts = site.split(".")
    return next((int(b) for a, b in pairwise(parts) if a == "blocks" and b.isdigit()), None)


def axis_index(dims: str, at: Mapping[str, int]) -> tuple[int | slice, ...]:
    """The numpy or torch index that picks `at` (letter -> position) from axes `dims`, keeping the other axes."""
    return tuple(at.get(letter, slice(None)) for letter in dims.split())


def left_axes(dims: str, at: Mapping[str, int]) -> Sequence[str]:
    """The letters that are left after picking `at`."""
    return [letter for letter in dims.split() if letter not in at]
