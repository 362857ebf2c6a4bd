"""What every model is to the rest of the program: the texts it reads, and the kinds of attention it has."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from model_core.api.names import AttentionKind
from model_core.parts.cache import Cache
from model_core.taps.tap import Tapped

Reader = Callable[[Tensor, Cache | None], Tensor]


class Model(Tapped):
    """A decoder-only language model, or an encoder-decoder.

    inputs   what it reads, by name, in the order of its arguments; the last is the text that it goes on with
    config   of its family
    context  the most tokens of a text
    """

    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    config: Any
    context: int

    @property
    def attentions(self) -> tuple[AttentionKind, ...]:
        """Its kinds of attention, in the order of computation."""
        raise NotImplementedError

    def reader(self, *others: Tensor) -> Reader:
        """What goes on with the last text, the others [B S] being read: (tokens [B T], cache) -> logits [B T V]."""
        raise NotImplementedError

    def empty_cache(self, batch: int, capacity: int, device: str | None = None) -> Cache:
        """Room for `capacity` positions of the last text, whose tokens look at each other; on the model's device."""
        last = len(self.inputs) - 1
        kind = next(kind for kind in self.attentions if kind.queries == kind.keys == last)
        weight = next(self.parameters())
        return Cache.empty(kind, batch, capacity, weight if device is None else weight.to(device))

    @property
    def parameter_count(self) -> int:
        """Numbers that were learned; tied weights count once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def nbytes(self) -> int:
        """What the parameters take; tied weights count once."""
        return sum(parameter.nbytes for parameter in self.parameters())
