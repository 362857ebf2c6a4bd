"""Where a token stands: an added table, or a rotation of queries and keys."""

import torch
from torch import Tensor, nn

from model_core.tap import Tapped


class LearnedPositions(Tapped):
    """One learned vector for each position, added to the embedding (GPT-2)."""

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(context, width))

    def forward(self, positions: Tensor) -> Tensor:
        """positions [T] -> [T C]"""
        return self.tap("out", self.weight[positions], "T C")


class Rope(Tapped):
    """Rotary positions (Su et al. 2021): pair p of a head turns by position * theta^(-2p/D).

    The model calls it once a pass for the angles; attention turns q and k by them with `rotate`.
    """

    def __init__(self, head_dim: int, theta: float = 10000.0) -> None:
        super().__init__()
        self.theta = theta
        self.head_dim = head_dim

    def frequencies(self, device: torch.device) -> Tensor:
        """Radians a position for each pair, [P]; float32, as in LLaMA, for any dtype of the model."""
        pairs = torch.arange(0, self.head_dim, 2, device=device, dtype=torch.float32)
        return 1.0 / (self.theta ** (pairs / self.head_dim))

    def forward(self, positions: Tensor) -> Tensor:
        """positions [T] -> angles in radians [T P]"""
        angles = positions[:, None].float() * self.frequencies(positions.device)
        return self.tap("angles", angles, "T P")


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each adjacent pair of the last axis: (x0 + i x1) * e^(i angle). x [B H T D], angles [T P].

    This is Meta's convention; checkpoints in the rotate-half convention have their q and k rows permuted at load.
    """
    wide = x.double() if x.dtype == torch.float64 else x.float()
    turn = torch.complex(angles.cos().to(wide.dtype), angles.sin().to(wide.dtype))
    pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
