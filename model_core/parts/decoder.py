"""The decoder-only language model that every family of the kind is built from."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from model_core.api.errors import TooLong
from model_core.api.names import AttentionKind
from model_core.parts.attention import causal_mask
from model_core.parts.block import Block, kind_of
from model_core.parts.cache import Cache
from model_core.parts.model import Model, Reader
from model_core.parts.norm import LayerNorm, RMSNorm
from model_core.parts.position import LearnedPositions, Rope, SinusoidalPositions
from model_core.taps.tap import Tapped


class Embedding(Tapped):
    """One vector for each token id. tokens [B T] -> [B T C]"""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocab_size, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.tap("out", nn.functional.embedding(tokens, self.weight), "B T C")


class Decoder(Model):
    """embed (+ pos) -> blocks -> norm -> head.

    pos        an added table of positions, or None
    rope       the rotation given to every attention, or None
    tied       the head uses the embedding's weights
    head_bias  the head adds a learned number to each token's logit
    dropout    share of the embedding that is zeroed in training
    """

    def __init__(
        self,
        config: Any,
        *,
        vocab_size: int,
        width: int,
        context: int,
        blocks: Iterable[Block],
        norm: LayerNorm | RMSNorm,
        pos: LearnedPositions | SinusoidalPositions | None = None,
        rope: Rope | None = None,
        tied: bool,
        head_bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.embed = Embedding(vocab_size, width)
        self.pos = pos
        self.rope = rope
        self.drop = nn.Dropout(dropout)
        blocks = list(blocks)
        self.blocks = nn.ModuleList(blocks)
        self.windows = [block.attn.window for block in blocks]
        self.norm = norm
        self.head = nn.Linear(width, vocab_size, bias=head_bias)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """tokens [B T] -> logits [B T V]. With a cache, tokens go on where it ends, and it is filled."""
        start, length = cache.length if cache else 0, tokens.shape[1]
        if start + length > self.context:
            raise TooLong(start + length, self.context)
        self.queries_from(start)
        positions = torch.arange(start, start + length, device=tokens.device)
        x = self.embed(tokens)
        if self.pos is not None:
            x = x + self.pos(positions, x.dtype)
        x = self.drop(x)
        angles = None if self.rope is None else self.rope(positions)
        masks = {w: causal_mask(start, length, x.dtype, x.device, w) for w in set(self.windows)}
        for n, block in enumerate(self.blocks):
            x = block(x, masks[self.windows[n]], angles, cache.layer(n) if cache else None)
        if cache:
            cache.length += length
        return self.tap("logits", self.head(self.norm(x)), "B T V")

    def reader(self, *others: Tensor) -> Reader:
        return self

    @property
    def attentions(self) -> tuple[AttentionKind, ...]:
        return (kind_of(self.blocks),)
