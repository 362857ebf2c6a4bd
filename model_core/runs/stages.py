"""The parts of a model that a run computes again alone, or takes from another run: its blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from model_core.api.edits import Edit
from model_core.api.edits.edit import Reference
from model_core.api.names import Site, matcher
from model_core.parts.cache import LayerCache
from model_core.taps.tap import Part, Recorder, Stage
from model_core.taps.trace import Trace


@dataclass(frozen=True)
class Call:
    """What a stage was called with in a run and what it gave; the sites that it passed, and the values kept of them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    sites: dict[str, Site]
    values: dict[str, Tensor]

    @property
    def cache(self) -> LayerCache | None:
        """The keys and values that it went on after."""
        given = [*self.args, *self.kwargs.values()]
        return next((one for one in given if isinstance(one, LayerCache)), None)

    @property
    def queries_from(self) -> int:
        """The position of its first query."""
        return 0 if self.cache is None else self.cache.start


class StageRecorder(Recorder):
    """A recorder that notes how each stage is called, and does not compute those whose calls are `given`."""

    def __init__(self, *args: Any, given: Mapping[str, Call], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = given
        self.calls: dict[str, Call] = {}

    def call(
        self, part: Part, compute: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        if not isinstance(part, Stage):
            return compute(*args, **kwargs)
        path = self.paths[part]
        if (known := self.given.get(path)) is not None:
            self.trace.sites |= known.sites
            self.trace.values |= known.values
            self.calls[path] = known
            return known.output
        told, kept = len(self.trace.sites), len(self.trace.values)
        output = compute(*args, **kwargs)
        sites = dict(islice(self.trace.sites.items(), told, None))
        values = dict(islice(self.trace.values.items(), kept, None))
        self.calls[path] = Call(args, kwargs, output, sites, values)
        return output


class Enough(Exception):
    """All that was asked of a replay is there."""


class ReplayRecorder(Recorder):
    """A recorder that keeps everything, and ends the pass after the site `last`.

    had  what a replay has found that ended earlier: an attention that is in it is not computed again
    """

    def __init__(self, *args: Any, last: str | None, had: Trace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last = last
        self.had = had

    def call(
        self, part: Part, compute: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        path = self.paths[part]
        if isinstance(part, Stage) or f"{path}.out" not in self.had:
            return compute(*args, **kwargs)
        for key in self.had:
            if key.startswith(path + "."):
                self.trace.sites[key], self.trace.values[key] = self.had.sites[key], self.had[key]
        return self.had[f"{path}.out"]

    def visit(self, module: nn.Module, word: str, value: Tensor, dims: str, keys_from: int = 0) -> Tensor:
        value = super().visit(module, word, value, dims, keys_from)
        if self.key(module, word) == self.last:
            raise Enough
        return value


class CallRecorder(Recorder):
    """A recorder that ends the pass where a part is called, and says how."""

    def __init__(self, *args: Any, part: Part, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.part = part
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}

    def call(
        self, part: Part, compute: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        if part is self.part:
            self.args, self.kwargs = args, kwargs
            raise Enough
        return compute(*args, **kwargs)


@dataclass(frozen=True)
class Changes:
    """The edits of a run, with the tensors that they refer to."""

    edits: Sequence[Edit]
    tensors: Mapping[Reference, Tensor]

    def first_unlike(self, other: "Changes", keys: Sequence[str]) -> int:
        """The index of the first site of which the other makes something else; the number of sites where none is."""
        stale = {
            name
            for name in self.tensors.keys() & other.tensors.keys()
            if not torch.equal(self.tensors[name], other.tensors[name])
        }
        ours, theirs = self.matched(), other.matched()

        def unlike(key: str) -> bool:
            here = [edit for matches, edit in ours if matches(key)]
            there = [edit for matches, edit in theirs if matches(key)]
            return here != there or any(stale & set(edit.refers) for edit in here)

        return next((n for n, key in enumerate(keys) if unlike(key)), len(keys))

    def matched(self) -> list[tuple[Callable[[str], bool], Edit]]:
        return [(matcher(edit.sites), edit) for edit in self.edits]
