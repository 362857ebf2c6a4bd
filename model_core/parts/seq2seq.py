"""The encoder-decoder: one stack reads the source, the other writes the target and looks back at what was read."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from model_core.api.errors import TooLong
from model_core.api.names import AttentionKind
from model_core.parts.attention import causal_mask, open_mask
from model_core.parts.block import Block, CrossBlock, kind_of
from model_core.parts.cache import Cache
from model_core.parts.decoder import Embedding
from model_core.parts.loss import next_token_loss
from model_core.parts.model import Model, Reader
from model_core.parts.norm import Norm
from model_core.parts.position import SinusoidalPositions
from model_core.taps.tap import Tapped


class Stack(Tapped):
    """embed + pos -> blocks -> norm: what encoder and decoder have in common."""

    def __init__(
        self,
        embed: Embedding,
        pos: SinusoidalPositions,
        blocks: Iterable[Block | CrossBlock],
        norm: Norm,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.pos = pos
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm

    def begin(self, tokens: Tensor, start: int = 0) -> Tensor:
        """tokens [B T], the first of them at position `start` -> [B T C]"""
        x = self.embed(tokens)
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        begun: Tensor = self.drop(x + self.pos(positions, x.dtype))
        return begun


class EncoderDecoder(Model):
    """Encoder and decoder with one embedding for both, and an output head (Vaswani et al. 2017, figure 1)."""

    inputs: ClassVar[tuple[str, ...]] = ("source", "target")

    def __init__(
        self, config: Any, *, vocab_size: int, width: int, context: int, encoder: Stack, decoder: Stack
    ) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.encoder = encoder
        self.decoder = decoder
        self.decoder.embed.weight = self.encoder.embed.weight
        self.head = nn.Linear(width, vocab_size, bias=False)

    def encode(self, source: Tensor) -> Tensor:
        """source [B S] -> memory [B S C]; every token looks at every other."""
        length = source.shape[1]
        if length > self.context:
            raise TooLong(length, self.context)
        self.queries_from(0)
        x = self.encoder.begin(source)
        for block in self.encoder.blocks:
            x = block(x, open_mask(length, length, x.dtype, x.device))
        return self.encoder.norm(x)  # type: ignore[no-any-return]

    def decode(self, memory: Tensor, target: Tensor, cache: Cache | None = None) -> Tensor:
        """memory [B S C], target [B T] -> logits [B T V]. With a cache, the target goes on where it ends."""
        start, length = cache.length if cache else 0, target.shape[1]
        if start + length > self.context:
            raise TooLong(start + length, self.context)
        self.queries_from(start)
        x = self.decoder.begin(target, start)
        mask = causal_mask(start, length, x.dtype, x.device)
        whole = open_mask(length, memory.shape[1], x.dtype, x.device)
        for n, block in enumerate(self.decoder.blocks):
            x = block(x, mask, memory, whole, cache.layer(n) if cache else None)
        if cache:
            cache.length += length
        return self.tap("logits", self.head(self.decoder.norm(x)), "B T V")

    def forward(
        self,
        source: Tensor,
        target_in: Tensor | None = None,
        targets: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """source [B S], target_in [B T] -> logits [B 1 V] of the last position; with targets [B T]: all, and the loss.

        Where no target input is given, the decoder reads the source as well. Targets of -1 are not learned from.
        With a cache, the target goes on where it ends.
        """
        logits = self.decode(self.encode(source), source if target_in is None else target_in, cache)
        return logits[:, -1:] if targets is None else (logits, next_token_loss(logits, targets))

    def reader(self, *others: Tensor) -> Reader:
        memory = self.encode(*others)
        return lambda tokens, cache: self.decode(memory, tokens, cache)

    @property
    def attentions(self) -> tuple[AttentionKind, ...]:
        encoder, decoder = self.encoder.blocks, self.decoder.blocks
        return (
            kind_of(encoder, "attn", "encoder", causal=False),
            kind_of(decoder, "attn", "decoder", queries=1, keys=1),
            kind_of(decoder, "cross", "cross", queries=1, keys=0, causal=False),
        )
