"""The residual blocks: pre-norm and post-norm, without and with cross-attention."""

from collections.abc import Iterable

from torch import Tensor, nn

from model_core.api.names import AttentionKind
from model_core.parts.attention import Attention
from model_core.parts.cache import LayerCache
from model_core.parts.mlp import MLP, GatedMLP
from model_core.parts.norm import Norm
from model_core.taps.tap import Stage


class Block(Stage):
    """Pre-norm block: each sublayer reads a normed copy of the stream and adds to it. x [B T C] -> [B T C]

    A run keeps its input and can replay it later with every tap on.
    """

    def __init__(self, norm1: Norm, attn: Attention, norm2: Norm, mlp: MLP | GatedMLP) -> None:
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


class PostNormBlock(Block):
    """The block of the 2017 paper: each sublayer adds to the stream, and the sum is normed. x [B T C] -> [B T C]

    Vaswani et al. 2017, section 3.1.
    """

    def forward(
        self, x: Tensor, mask: Tensor, angles: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        x = self.tap("resid_pre", x, "B T C")
        x = self.tap("resid_mid", self.norm1(x + self.attn(x, mask, angles, cache)), "B T C")
        return self.tap("resid_post", self.norm2(x + self.mlp(x)), "B T C")


class NormedBlock(Block):
    """A tutorial's order: attention adds to the normed stream that it reads. x [B T C] -> [B T C]

    Reference: datawhalechina/happy-llm, chapter 2, EncoderLayer.
    """

    def forward(
        self, x: Tensor, mask: Tensor, angles: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        x = self.norm1(self.tap("resid_pre", x, "B T C"))
        x = self.tap("resid_mid", x + self.attn(x, mask, angles, cache), "B T C")
        return self.tap("resid_post", x + self.mlp(self.norm2(x)), "B T C")


class CrossBlock(Stage):
    """Pre-norm block of a decoder that also attends to an encoder's output, `memory`. x [B T C] -> [B T C]"""

    def __init__(
        self, norm1: Norm, attn: Attention, norm2: Norm, cross: Attention, norm3: Norm, mlp: MLP | GatedMLP
    ) -> None:
        super().__init__()
        self.norm1 = norm1
        self.attn = attn
        self.norm2 = norm2
        self.cross = cross
        self.norm3 = norm3
        self.mlp = mlp

    def forward(
        self, x: Tensor, mask: Tensor, memory: Tensor, open_mask: Tensor, cache: LayerCache | None = None
    ) -> Tensor:
        """mask [T S] of the self-attention, memory [B S C], open_mask [T S] of the cross-attention"""
        x = self.tap("resid_pre", x, "B T C")
        x = self.tap("resid_mid", x + self.attn(self.norm1(x), mask, cache=cache), "B T C")
        x = self.tap("resid_cross", x + self.cross(self.norm2(x), open_mask, memory=memory), "B T C")
        return self.tap("resid_post", x + self.mlp(self.norm3(x)), "B T C")


class PostNormCrossBlock(CrossBlock):
    """The decoder's block of the 2017 paper: each sum is normed. Vaswani et al. 2017, section 3.1."""

    def forward(
        self, x: Tensor, mask: Tensor, memory: Tensor, open_mask: Tensor, cache: LayerCache | None = None
    ) -> Tensor:
        x = self.tap("resid_pre", x, "B T C")
        x = self.tap("resid_mid", self.norm1(x + self.attn(x, mask, cache=cache)), "B T C")
        x = self.tap("resid_cross", self.norm2(x + self.cross(x, open_mask, memory=memory)), "B T C")
        return self.tap("resid_post", self.norm3(x + self.mlp(x)), "B T C")


class NormedCrossBlock(CrossBlock):
    """The decoder's block in that tutorial's order. Reference: datawhalechina/happy-llm, chapter 2, DecoderLayer."""

    def forward(
        self, x: Tensor, mask: Tensor, memory: Tensor, open_mask: Tensor, cache: LayerCache | None = None
    ) -> Tensor:
        x = self.norm1(self.tap("resid_pre", x, "B T C"))
        x = self.norm2(self.tap("resid_mid", x + self.attn(x, mask, cache=cache), "B T C"))
        x = self.tap("resid_cross", x + self.cross(x, open_mask, memory=memory), "B T C")
        return self.tap("resid_post", x + self.mlp(self.norm3(x)), "B T C")


def kind_of(
    blocks: Iterable[nn.Module],
    part: str = "attn",
    name: str = "",
    *,
    queries: int = 0,
    keys: int = 0,
    causal: bool = True,
) -> AttentionKind:
    """What the attention of all blocks has in common, for `Model.attentions`. part: what the blocks call it."""
    attentions: list[Attention] = [getattr(block, part) for block in blocks]
    first = attentions[0]
    windows = [attention.window for attention in attentions if attention.window is not None]
    return AttentionKind(
        name=name,
        layers=len(attentions),
        heads=first.heads,
        kv_heads=first.kv_heads,
        head_dim=first.head_dim,
        queries=queries,
        keys=keys,
        causal=causal,
        window=min(windows, default=None),
    )
