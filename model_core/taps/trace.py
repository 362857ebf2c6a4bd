"""Trace: what a recording kept, by key, in the order of computation."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_core.api.names import Site, select


@dataclass
class Trace:
    """`sites` has every site that was passed; `values` the tensors that were asked for."""

    sites: dict[str, Site] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Tensor:
        return self.values[key]

    def __contains__(self, key: object) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def site(self, key: str) -> Site:
        """The site of a key: axis letters, shape, dtype."""
        return self.sites[key]

    def find(self, *globs: str) -> list[str]:
        """The kept keys that match, in order of computation; InputError where a glob matches none."""
        return select(globs, self.values)

    def array(self, key: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The value as float32 numpy on the CPU, whatever its dtype and device."""
        return to_array(self.values[key])

    @property
    def nbytes(self) -> int:
        """Bytes held by the kept values; a broadcast axis counts once."""
        stores = {
            value.untyped_storage().data_ptr(): value.untyped_storage().nbytes()
            for value in self.values.values()
        }
        return sum(stores.values())


def to_array(value: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tensor as contiguous float32 numpy on the CPU: bfloat16 has no numpy, and a view may be a broadcast."""
    return value.detach().to("cpu", torch.float32).contiguous().numpy()


def wide(x: Tensor) -> Tensor:
    """At least float32; what float64 holds may be beyond it."""
    return x if x.dtype == torch.float64 else x.float()
