"""The names that window and engine share: axis letters, sites and globs over their keys. No torch, no Qt."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from itertools import pairwise

from model_core.api.errors import InputError

AXES = {
    "B": "batch",
    "T": "query position",
    "S": "key position",
    "C": "width",
    "H": "query head",
    "G": "key/value head",
    "D": "head dimension",
    "P": "rotary pair",
    "F": "hidden unit",
    "V": "vocabulary",
}


@dataclass(frozen=True)
class Site:
    """A place in the forward pass that has a name: `key` is the module path plus a word.

    dims has one axis letter for each entry of shape, in order: "B H T S".
    """

    key: str
    dims: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def module(self) -> str:
        """The path of the module that computes it, "" for the model itself."""
        return self.key.rpartition(".")[0]

    def at_lengths(self, lengths: Mapping[int, int]) -> "Site":
        """The same site for other texts: `lengths` says of each length it was described with what it is now."""
        sizes = zip(self.dims.split(), self.shape, strict=True)
        return replace(self, shape=tuple(lengths[size] if letter in "TS" else size for letter, size in sizes))

    @property
    def word(self) -> str:
        """The last part of the key: "pattern" of "blocks.3.attn.pattern"."""
        return self.key.rpartition(".")[2]


# Where the attention of a layer lies, by the name of its kind; a model with one kind only has no name for it.
ATTENTION_PATHS = {
    "": "blocks.{layer}.attn",
    "encoder": "encoder.blocks.{layer}.attn",
    "decoder": "decoder.blocks.{layer}.attn",
    "cross": "decoder.blocks.{layer}.cross",
}


@dataclass(frozen=True)
class AttentionKind:
    """One kind of attention of a model, the same in all its layers.

    name     a key of ATTENTION_PATHS
    queries  which of the texts that the model reads looks, an index into its `inputs`
    keys     which of them is looked at
    causal   whether a mask hides what comes later
    window   the fewest tokens that a sliding window leaves to a query in some layer, None where there is none
    """

    name: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    queries: int = 0
    keys: int = 0
    causal: bool = True
    window: int | None = None

    def site(self, layer: int, word: str) -> str:
        """The key of a value of this attention: "blocks.3.attn.pattern"."""
        return f"{ATTENTION_PATHS[self.name].format(layer=layer)}.{word}"


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """A predicate: does a key match one of the globs? `*` crosses dots."""
    patterns = [translate(glob) for glob in globs]
    if not patterns:
        return lambda key: False
    known: dict[str, bool] = {}
    match = re.compile("|".join(patterns)).match

    def matches(key: str) -> bool:
        if key not in known:
            known[key] = match(key) is not None
        return known[key]

    return matches


def select(globs: Iterable[str], keys: Iterable[str]) -> list[str]:
    """The keys that match, in the order of `keys`. InputError, with the nearest keys, where a glob matches none."""
    keys = list(keys)
    globs = list(globs)
    for glob in globs:
        if not any(map(matcher([glob]), keys)):
            near = difflib.get_close_matches(glob, keys, n=3, cutoff=0.4)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise InputError(f"no site matches '{glob}'{hint}")
    return [key for key in keys if matcher(globs)(key)]


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
