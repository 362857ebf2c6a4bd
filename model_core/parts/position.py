"""Where a token stands: an added table, or a rotation of queries and keys."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from model_core.taps.tap import Tapped


class LearnedPositions(Tapped):
    """One learned vector for each position, added to the embedding (GPT-2)."""

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(context, width))

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """positions [T] -> [T C], in the dtype of what it is added to"""
        return self.tap("out", self.weight[positions].to(dtype), "T C")


class SinusoidalPositions(Tapped):
    """One fixed vector for each position: pair i turns by position / 10000^(2i/C) and gives its sine and its cosine.

    Vaswani et al. 2017, section 3.5: row t is sin, cos, sin, cos, ... of ever slower turns. Nothing is learned and
    nothing stored; positions have no end.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """positions [T] -> [T C], in the dtype of what it is added to"""
        # Apple's GPUs know no float64.
        wide = torch.float32 if positions.device.type == "mps" else torch.float64
        pairs = torch.arange(0, self.width, 2, device=positions.device, dtype=wide)
        angles = positions[:, None].to(wide) * 10000.0 ** (-pairs / self.width)
        table = torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)[:, : self.width]
        return self.tap("out", table.to(dtype), "T C")


class Rope(Tapped):
    """Rotary positions (Su et al. 2021): pair p of a head turns by position * theta^(-2p/D).

    The model calls it once a pass for the angles; attention turns q and k by them with `rotate`.

    rescale  changes the frequencies [P] for a context longer than the one they were made for, or None
    """

    def __init__(
        self, head_dim: int, theta: float = 10000.0, rescale: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.theta = theta
        self.head_dim = head_dim
        self.rescale = rescale

    def frequencies(self, device: torch.device) -> Tensor:
        """Radians a position for each pair, [P]; float32, as in LLaMA, for any dtype of the model."""
        pairs = torch.arange(0, self.head_dim, 2, device=device, dtype=torch.float32)
        frequencies = 1.0 / (self.theta ** (pairs / self.head_dim))
        return frequencies if self.rescale is None else self.rescale(frequencies)

    def forward(self, positions: Tensor) -> Tensor:
        """positions [T] -> angles in radians [T P]"""
        angles = positions[:, None].float() * self.frequencies(positions.device)
        return self.tap("angles", angles, "T P")


def llama3_frequencies(frequencies: Tensor, factor: float, low: float, high: float, context: int) -> Tensor:
    """Frequencies [P] for a longer context (LLaMA 3.1; reference: meta-llama/llama-models, apply_scaling).

    A pair that turns more than `high` times in the old `context` stays; one that turns less than `low` times is slowed
    by `factor`; those between are slowed the more the less they turn.
    """
    wavelengths = 2 * math.pi / frequencies
    slowed = torch.where(wavelengths > context / low, frequencies / factor, frequencies)
    kept = (context / wavelengths - low) / (high - low)
    between = (wavelengths >= context / high) & (wavelengths <= context / low)
    return torch.where(between, (1 - kept) * slowed / factor + kept * slowed, slowed)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each adjacent pair of the last axis: (x0 + i x1) * e^(i angle). x [B H T D], angles [T P].

    This is Meta's convention; checkpoints in the rotate-half convention have their q and k rows permuted at load.
    """
    wide = x.double() if x.dtype == torch.float64 else x.float()
    turn = torch.complex(angles.cos().to(wide.dtype), angles.sin().to(wide.dtype))
    pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
