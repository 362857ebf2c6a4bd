"""What a model is trained on, to the training loop: a batch for each step, and a measure of what it never saw."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from model_core.parts.loss import IGNORED
from model_core.parts.model import Model


@dataclass(frozen=True)
class Batch:
    """Rows to learn from: the texts that the model reads, [B T] each, and what follows each token of the last [B T].

    spots  where in the first text the answer to a target stands, [B T S]; None for tasks that have no such places
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor
    spots: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        return self.each(lambda rows: rows.to(device))

    def cut(self, parts: int) -> list["Batch"]:
        """The same rows in so many equal parts."""
        size = len(self.targets) // parts

        def part(at: int) -> "Batch":
            return self.each(lambda rows: rows[at : at + size])

        return [part(at) for at in range(0, parts * size, size)]

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        spots = None if self.spots is None else change(self.spots)
        return Batch(tuple(change(rows) for rows in self.inputs), change(self.targets), spots)

    @property
    def tokens(self) -> int:
        """Tokens that are read."""
        return sum(rows.numel() for rows in self.inputs)

    @property
    def counted(self) -> int:
        """Targets that are learned from."""
        return int((self.targets != IGNORED).sum())


class Task(Protocol):
    """A source of batches. The same step has the same batch, whatever came before."""

    def batch(self, step: int) -> Batch: ...

    def held_out_loss(self, model: Model) -> float | None:
        """Nats a token on a part of what is never trained on; None where there is nothing."""
        ...
