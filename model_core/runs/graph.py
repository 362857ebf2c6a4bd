"""The model graph is measured: a dry run follows every operation from site to site."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
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


class Provenance(TorchDispatchMode):
    """While active, knows for each tensor the sites and the parameters that it was computed from, directly."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sources: Any = WeakTensorKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_leaves((args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        origins = frozenset[str]().union(*(self.of(value) for value in given))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self.sources[value] = origins | self.of(value)
        return result

    def of(self, value: Any) -> frozenset[str]:
        known = self.sources.get(value) if isinstance(value, Tensor) else None
        return known if known is not None else frozenset()


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
        self.graph.add_node(site.key, site=site, weights=sorted(origins & self.weights))
        self.graph.add_edges_from((source, site.key) for source in sorted(origins - self.weights))
        # A tensor of its own, so that a tap that returns its input is a site like any other.
        alias = value.view_as(value)
        self.provenance.sources[alias] = frozenset([site.key])
        return alias


def graph(model: Model, *lengths: int) -> nx.DiGraph:
    """Sites as nodes, an edge A -> B where B's value was computed from A's.

    Each has its `site`, and as `weights` the names of the parameters that come in between A and B.

    It begins at the texts that the model reads, `lengths` tokens each; sites that depend on no token (a mask, rotation
    angles) begin by themselves. Works on the meta device: no weights are read, nothing is computed.
    """
    texts, weights = texts_of(model, lengths), without_values(model)
    provenance = Provenance()
    cartographer = Cartographer(model, provenance)
    for name, text in texts.items():
        cartographer.graph.add_node(name, site=Site(name, "B T", tuple(text.shape), "int64"))
    with torch.no_grad(), using(cartographer), provenance:
        for name, tensor in [*texts.items(), *weights.items()]:
            provenance.sources[tensor] = frozenset([name])
        dry_run(model, texts, weights)
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


def dry_run(model: Model, texts: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """A forward pass on the meta device, where every tensor has a shape and none has values."""
    torch.func.functional_call(model, dict(weights), tuple(texts.values()))


_measured: OrderedDict[Any, nx.DiGraph] = OrderedDict()


def measured(model: Model) -> nx.DiGraph:
    """The graph of a model, measured once for all of its configuration and dtype: weights have no part in it, and
    longer texts change only the sizes of the axes T and S. Those used last are remembered.

    The first text has one token there, a second one two, so that the sizes tell which text an axis runs along.
    """
    key = model.config, next(model.parameters()).dtype
    if key not in _measured:
        with torch.inference_mode(False):
            _measured[key] = graph(model, *range(1, len(model.inputs) + 1))
        while len(_measured) > MEASURED_MODELS:
            _measured.popitem(last=False)
    _measured.move_to_end(key)
    return _measured[key]
