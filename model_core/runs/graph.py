"""The model graph is measured: a dry run follows every operation from site to site."""

import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from model_core.api.names import Site
from model_core.parts.model import Model
from model_core.taps.tap import Recorder, using

MEASURED_MODELS = 8


Origins = Mapping[str, frozenset[int]]
"""What a tensor was computed from, directly: a site or a parameter -> the operations on the way, by their number."""


class Provenance(TorchDispatchMode):
    """While active, knows for each tensor the sites and the parameters that it was computed from, directly."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sources: Any = WeakTensorKeyDictionary()
        self.operations: list[str] = []
        # What was written into a part of a tensor, such as a cache: views of it that are made later find it here.
        self.written: list[tuple[Tensor, Origins]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [value for value in tree_leaves((args, kwargs or {})) if isinstance(value, Tensor)]
        result = func(*args, **(kwargs or {}))
        number = len(self.operations)
        self.operations.append(func.overloadpacket.__name__)
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                origins = merged(self.of(one, but=value) for one in given)
                origins = {source: way | {number} for source, way in origins.items()}
                # A view of what is known comes from that; any other may show what was written into its memory.
                if not any(self.sources.get(one) and same_memory(one, value) for one in given):
                    origins = merged([origins, self.of(value)])
                self.sources[value] = origins
                if func._schema.is_mutable:
                    self.written.append((value, origins))
        return result

    def of(self, value: Tensor, but: Tensor | None = None) -> Origins:
        """What a tensor comes from; of one of which nothing is known what was written into it.

        but  a view of it, which may show a part into which nothing was written
        """
        if known := self.sources.get(value):
            return known  # type: ignore[no-any-return]
        if but is not None and same_memory(value, but):
            return {}
        return merged(origins for part, origins in self.written if overlap(part, value))

    def names(self, numbers: frozenset[int]) -> tuple[str, ...]:
        """Operations in the order in which they were made."""
        return tuple(self.operations[number] for number in sorted(numbers))


def merged(several: Iterable[Origins]) -> Origins:
    """What all of them together come from."""
    found: dict[str, frozenset[int]] = {}
    for origins in several:
        for source, on_the_way in origins.items():
            found[source] = found.get(source, frozenset()) | on_the_way
    return found


def same_memory(one: Tensor, other: Tensor) -> bool:
    """Whether both are views of the same memory; on the meta device as well, where it has no address."""
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)


def overlap(one: Tensor, other: Tensor) -> bool:
    """Whether the stretches of memory that two views span have a part in common."""
    (first, last), (begin, end) = span(one), span(other)
    return same_memory(one, other) and first <= end and begin <= last


def span(value: Tensor) -> tuple[int, int]:
    """The first and the last number of a view, counted from the beginning of its memory."""
    first = int(value.storage_offset())
    return first, first + sum(
        (int(n) - 1) * int(stride) for n, stride in zip(value.shape, value.stride(), strict=True)
    )


class Cartographer(Recorder):
    """A recorder that draws: at each tap, an edge from every site that the value was computed from."""

    def __init__(self, model: nn.Module, provenance: Provenance) -> None:
        super().__init__(model, ["*"], (), lambda: False, lambda key: None, "")
        self.weights = {name for name, _ in model.named_parameters()}
        self.provenance = provenance
        self.graph = nx.DiGraph()

    def visit(self, module: nn.Module, word: str, value: Tensor, dims: str, keys_from: int = 0) -> Tensor:
        value = super().visit(module, word, value, dims, keys_from)
        site = self.trace.sites[self.key(module, word)]
        origins = self.provenance.of(value)
        file, line = tapped_at()
        weights = sorted(origins.keys() & self.weights)
        self.graph.add_node(site.key, site=site, weights=weights, file=file, line=line)
        for source in sorted(origins.keys() - self.weights):
            self.graph.add_edge(source, site.key, operations=self.provenance.names(origins[source]))
        # A tensor of its own, so that a tap that returns its input is a site like any other.
        alias = value.view_as(value)
        self.provenance.sources[alias] = {site.key: frozenset()}
        return alias


def tapped_at() -> tuple[str, int]:
    """The file of the tap that is visited, as its package names it, and the line."""
    frame = sys._getframe(3)  # this function, `visit`, `tap`, and who called it
    name = frame.f_globals["__name__"]
    file = Path(frame.f_code.co_filename)
    return Path(*file.parts[-len(name.split(".")) :]).as_posix(), frame.f_lineno


def graph(model: Model, *lengths: int, past: int | None = None) -> nx.DiGraph:
    """Sites as nodes, an edge A -> B where B's value was computed from A's.

    Each site has its `site`, as `weights` the names of the parameters that come in there, and the `file` and `line` of
    its tap; each edge has the `operations` on the way, as PyTorch names them, in their order.

    It begins at the texts that the model reads, `lengths` tokens each; sites that depend on no token (a mask, rotation
    angles) begin by themselves. Works on the meta device: no weights are read, nothing is computed.

    past  how many positions the last text goes on after, None where it begins
    """
    texts, weights = texts_of(model, lengths), without_values(model)
    provenance = Provenance()
    cartographer = Cartographer(model, provenance)
    for name, text in texts.items():
        cartographer.graph.add_node(name, site=Site(name, "B T", tuple(text.shape), "int64"))
    with torch.no_grad(), using(cartographer), provenance:
        for name, tensor in [*texts.items(), *weights.items()]:
            provenance.sources[tensor] = {name: frozenset()}
        dry_run(model, texts, weights, past)
    return cartographer.graph


def texts_of(model: Model, lengths: Sequence[int]) -> dict[str, Tensor]:
    """Token ids [1 length] on the meta device for each text that a model reads, by its name."""
    return {
        name: torch.zeros(1, length, dtype=torch.long, device="meta")
        for name, length in zip(model.inputs, lengths, strict=True)
    }


def without_values(model: Model) -> dict[str, Tensor]:
    """The parameters and buffers of a model on the meta device, by name; those that are tied once."""
    return {name: tensor.to("meta") for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


def dry_run(
    model: Model, texts: Mapping[str, Tensor], weights: Mapping[str, Tensor], past: int | None = None
) -> None:
    """A forward pass on the meta device, where every tensor has a shape and none has values."""
    cache = {}
    if past is not None:
        *_, last = texts.values()
        cache["cache"] = model.empty_cache(1, past + last.shape[1], "meta")
        cache["cache"].length = past
    torch.func.functional_call(model, dict(weights), tuple(texts.values()), cache)


_measured: OrderedDict[Any, nx.DiGraph] = OrderedDict()


def measured(model: Model, past: bool = False) -> nx.DiGraph:
    """The graph of a model, measured once for all of its configuration and dtype: weights have no part in it, and
    longer texts change only the sizes of the axes T and S. Those used last are remembered.

    past  whether the last text goes on after a cache

    The first text has one token there, a second one two, and the past of the last one more than that, so that the sizes
    tell which text an axis runs along, and whether along its past as well.
    """
    key = model.config, next(model.parameters()).dtype, past
    if key not in _measured:
        count = len(model.inputs)
        with torch.inference_mode(False):
            _measured[key] = graph(model, *range(1, count + 1), past=count + 1 if past else None)
        while len(_measured) > MEASURED_MODELS:
            _measured.popitem(last=False)
    _measured.move_to_end(key)
    return _measured[key]
