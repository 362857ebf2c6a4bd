"""The KV cache: a value that the caller owns and passes to the model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_core.api.names import AttentionKind


@dataclass(frozen=True)
class LayerCache:
    """One layer's keys and values [B G capacity D]; the first `start` positions are filled."""

    keys: Tensor
    values: Tensor
    start: int

    def of_group(self, group: int) -> "LayerCache":
        """A copy for one key/value head, which keeps what is written to itself."""
        part = slice(group, group + 1)
        return LayerCache(self.keys[:, part].clone(), self.values[:, part].clone(), self.start)

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k and v [B G T D] at `start` and return all so far, [B G start+T D]. Writing twice is harmless."""
        end = self.start + k.shape[2]
        self.keys[:, :, self.start : end] = k
        self.values[:, :, self.start : end] = v
        return self.keys[:, :, :end], self.values[:, :, :end]


@dataclass
class Cache:
    """Keys and values of every layer, [layers B G capacity D]; `length` positions are filled."""

    keys: Tensor
    values: Tensor
    length: int = 0

    @classmethod
    def empty(cls, kind: AttentionKind, batch: int, capacity: int, like: Tensor) -> "Cache":
        """Room for `capacity` positions of a kind of attention, in the dtype and on the device of `like`."""
        shape = (kind.layers, batch, kind.kv_heads, capacity, kind.head_dim)
        keys, values = (torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in "kv")
        return cls(keys, values)

    def after(self, length: int, more: int) -> "Cache":
        """The first `length` positions with room for more: this very cache where nothing comes after them yet.

        Else a copy, so that what is there already stays.
        """
        capacity = self.keys.shape[3]
        if length == self.length and length + more <= capacity:
            return self
        room = max(more, capacity - length)
        keys, values = (
            torch.cat([old[:, :, :, :length], old.new_zeros(*old.shape[:3], room, old.shape[4])], 3)
            for old in (self.keys, self.values)
        )
        return Cache(keys, values, length)

    def layer(self, n: int) -> LayerCache:
        """What block n needs."""
        return LayerCache(self.keys[n], self.values[n], self.length)
