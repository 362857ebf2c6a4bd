"""RoPE in the two ways in which checkpoints are written, side by side.

Su et al. 2021 turn pairs of dimensions. Which two make a pair is free, and two choices are in use: neighbours (0 with
1, 2 with 3, ...: the paper, Meta's LLaMA, llama2.c and the models here), and the two halves of a head (0 with D/2, 1
with D/2 + 1, ...: GPT-NeoX and Hugging Face, `rotate_half`). With the dimensions of q and k put in the other order, the
same pairs turn by the same angles; a score is a sum over dimensions, and a sum does not ask for their order.
"""

import torch
from torch import Tensor

from model_core.parts.position import rotate


def halves_from_pairs(head_dim: int) -> list[int]:
    """For each dimension of the order in halves, its place in the order in pairs: 0, 2, 4, ..., 1, 3, 5, ..."""
    return [*range(0, head_dim, 2), *range(1, head_dim, 2)]


def rotate_pairs(x: Tensor, angles: Tensor) -> Tensor:
    """Neighbours as one complex number each, times e^(i angle). x [T D], angles [T P] -> [T D]"""
    return rotate(x, angles)


def rotate_halves(x: Tensor, angles: Tensor) -> Tensor:
    """x cos + rotate_half(x) sin, as Hugging Face writes it, x being in halves. x [T D], angles [T P] -> [T D]"""
    first, second = x.chunk(2, dim=-1)
    turn = torch.cat([angles, angles], dim=-1)
    return x * turn.cos() + torch.cat([-second, first], dim=-1) * turn.sin()


def both(q: Tensor, k: Tensor, angles: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The scores [T S] of one head in both ways, in float64. q and k [T D] not yet turned, in pairs; angles [T P]."""
    q, k, angles = q.double(), k.double(), angles.double()
    order = halves_from_pairs(q.shape[-1])
    in_pairs = rotate_pairs(q, angles) @ rotate_pairs(k, angles).mT * scale
    in_halves = rotate_halves(q[:, order], angles) @ rotate_halves(k[:, order], angles).mT * scale
    return in_pairs, in_halves
