"""Norms: over the width of the residual stream, or of each head."""

import torch
from torch import Tensor, nn

from model_core.taps.tap import Tapped


class LayerNorm(Tapped):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over the last axis, biased variance (Ba et al. 2016, eq. 4)."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return self.tap("out", y, "B T C")


class StdLayerNorm(Tapped):
    """y = (x - mean) / (std + eps) * weight + bias, with the *unbiased* standard deviation over the last axis.

    As the hand-written Transformers have it that follow "The Annotated Transformer" (Rush 2018, LayerNorm): beside
    `LayerNorm`, eps stands outside the root and the sum of squares is divided by C - 1.
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.tap("out", (x - mean) / (std + self.eps) * self.weight + self.bias, "B T C")


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) * weight, over the last axis (Zhang & Sennrich 2019, eq. 4).

    Computed in float32 whatever the dtype, then rounded back before the gain, as LLaMA does.
    """
    h = x.float()
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + eps)
    return weight * h.to(x.dtype)


class RMSNorm(Tapped):
    """`rms_norm` of the residual stream."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.tap("out", rms_norm(x, self.weight, self.eps), "B T C")


Norm = LayerNorm | StdLayerNorm | RMSNorm


class HeadNorm(nn.Module):
    """`rms_norm` of each head's query or key, one gain for all heads (Qwen3). Attention taps it, who knows the axes."""

    def __init__(self, head_dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """x [B H T D]"""
        return rms_norm(x, self.weight, self.eps)
