"""Norms over the width of the residual stream."""

import torch
from torch import Tensor, nn

from model_core.tap import Tapped


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


class RMSNorm(Tapped):
    """y = x / sqrt(mean(x²) + eps) * weight, over the last axis (Zhang & Sennrich 2019, eq. 4).

    Computed in float32 whatever the dtype, then rounded back before the gain, as LLaMA does.
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        h = x.float()
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.tap("out", self.weight * h.to(x.dtype), "B T C")
