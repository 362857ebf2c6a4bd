"""Norms: over the width of the residual stream, or of each head."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from model_core.taps.tap import Tapped
from model_core.taps.trace import wide


class Norm(Tapped):
    """A norm of the residual stream, which says what it computes. x [B T C] -> [B T C]

    formula   in words, with {eps}, {width} and {one_less} (than the width)
    measures  what it measures of each token, by name, and what that is called
    title     what these are, over a plot of them
    sentence  what was measured at one token, with each of the measures and the {divisor}
    """

    formula: ClassVar[str]
    measures: ClassVar[Mapping[str, str]]
    title: ClassVar[str]
    sentence: ClassVar[str]

    weight: nn.Parameter
    eps: float

    @abstractmethod
    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Its measures of each token of x [T C], and the divisor; [T] each, in float32, of a float64 x in float64."""


class LayerNorm(Norm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over the last axis, biased variance (Ba et al. 2016, eq. 4)."""

    formula = "y = (x − mean) / √(variance + {eps}) · gain + bias,  over the {width} dimensions of each token"
    measures: ClassVar[Mapping[str, str]] = {"mean": "mean", "variance": "variance"}
    title = "Mean and variance of each token"
    sentence = "mean {mean} taken away, variance {variance}: divided by {divisor}"

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return self.tap("out", y, "B T C")

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        x = wide(x)
        variance = x.var(-1, unbiased=False)
        return {"mean": x.mean(-1), "variance": variance, "divisor": (variance + self.eps).sqrt()}


class StdLayerNorm(Norm):
    """y = (x - mean) / (std + eps) * weight + bias, with the *unbiased* standard deviation over the last axis.

    As the hand-written Transformers have it that follow "The Annotated Transformer" (Rush 2018, LayerNorm): beside
    `LayerNorm`, eps stands outside the root and the sum of squares is divided by C - 1.
    """

    formula = (
        "y = (x − mean) / (std + {eps}) · gain + bias,  std² = sum of (x − mean)² / {one_less},  "
        "over the {width} dimensions of each token"
    )
    measures: ClassVar[Mapping[str, str]] = {"mean": "mean", "std": "std, unbiased"}
    title = "Mean and standard deviation of each token"
    sentence = "mean {mean} taken away, unbiased std {std}: divided by {divisor}"

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.tap("out", (x - mean) / (std + self.eps) * self.weight + self.bias, "B T C")

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        x = wide(x)
        std = x.std(-1)
        return {"mean": x.mean(-1), "std": std, "divisor": std + self.eps}


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) * weight, over the last axis (Zhang & Sennrich 2019, eq. 4).

    Computed in float32 whatever the dtype, then rounded back before the gain, as LLaMA does.
    """
    h = x.float()
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + eps)
    return weight * h.to(x.dtype)


class RMSNorm(Norm):
    """`rms_norm` of the residual stream."""

    formula = "y = x / rms · gain,  rms = √(mean of x² + {eps}),  over the {width} dimensions of each token"
    measures: ClassVar[Mapping[str, str]] = {"rms": "rms, the divisor"}
    title = "Rms of each token"
    sentence = "divided by rms {rms}"

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.tap("out", rms_norm(x, self.weight, self.eps), "B T C")

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        # In the type that the norm computes in: another would show a divisor that was not used.
        rms = (x.float().pow(2).mean(-1) + self.eps).sqrt()
        return {"rms": rms, "divisor": rms}


class HeadNorm(nn.Module):
    """`rms_norm` of each head's query or key, one gain for all heads (Qwen3). Attention taps it, who knows the axes."""

    def __init__(self, head_dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """x [B H T D]"""
        return rms_norm(x, self.weight, self.eps)
