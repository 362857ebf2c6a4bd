"""The residual block."""

from torch import Tensor

from model_core.attention import Attention
from model_core.cache import LayerCache
from model_core.mlp import MLP, GatedMLP
from model_core.norm import LayerNorm, RMSNorm
from model_core.tap import Stage


class Block(Stage):
    """Pre-norm block: each sublayer reads a normed copy of the stream and adds to it. x [B T C] -> [B T C]

    A run keeps its input and can replay it later with every tap on.
    """

    def __init__(
        self, norm1: LayerNorm | RMSNorm, attn: Attention, norm2: LayerNorm | RMSNorm, mlp: MLP | GatedMLP
    ) -> None:
        super().__init__()
        self.norm1 = norm1
        self.attn = attn
        self.norm2 = norm2
        self.mlp = mlp

    def forward(
        self, x: Tensor, mask: Tensor, angles: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        x = self.tap("resid_pre", x, "B T C")
        x = self.tap("resid_mid", x + self.attn(self.norm1(x), mask, angles, cache), "B T C")
        return self.tap("resid_post", x + self.mlp(self.norm2(x)), "B T C")
