"""The forward pass of every family as plain PyTorch, without taps: what a change does is written out here.

    by_hand(model, [tokens], {"blocks.1.attn.z": lambda z, known: ...})

gives every value by the name of its site, [1 ...], and "logits" of all positions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from model_core.parts.attention import PerHeadAttention
from model_core.parts.block import NormedBlock, NormedCrossBlock, PostNormBlock, PostNormCrossBlock
from model_core.parts.mlp import GatedMLP
from model_core.parts.seq2seq import EncoderDecoder

Values = dict[str, Tensor]
Change = Callable[[Tensor, Values], Tensor]


class Pass:
    """One forward pass: the values that it has told, and what is changed at some of them."""

    def __init__(self, changes: Mapping[str, Change]) -> None:
        self.changes = changes
        self.known: Values = {}

    def see(self, key: str, value: Tensor) -> Tensor:
        if key in self.changes:
            value = self.changes[key](value, self.known)
        self.known[key] = value
        return value

    def attention(self, path: str, attn: Any, x: Tensor, source: Tensor, mask: Tensor, angles: Any) -> Tensor:
        if isinstance(attn, PerHeadAttention):
            q, k, v = (
                torch.stack([getattr(head, name)(of) for head in attn.head], 1)
                for name, of in (("q", x), ("k", source), ("v", source))
            )
        else:
            q, k, v = (
                getattr(attn, name)(of).unflatten(-1, (-1, attn.head_dim)).transpose(1, 2)
                for name, of in (("q", x), ("k", source), ("v", source))
            )
        q, k, v = (self.see(f"{path}.{name}", value) for name, value in (("q", q), ("k", k), ("v", v)))
        if attn.q_norm is not None:
            q, k = attn.q_norm(q), attn.k_norm(k)
        if angles is not None:
            q, k = (turned(value, angles) for value in (q, k))
        k, v = (value.repeat_interleave(attn.heads // attn.kv_heads, 1) for value in (k, v))
        mask = self.see(f"{path}.mask", mask.repeat(1, attn.heads, 1, 1))
        scores = self.see(f"{path}.scores", q @ k.transpose(-1, -2) / math.sqrt(attn.head_dim))
        masked = scores + mask
        pattern = torch.softmax(masked, -1, dtype=attn.softmax_dtype).to(q.dtype)
        pattern[(masked == -math.inf).all(-1)] = 0
        z = self.see(f"{path}.z", self.see(f"{path}.pattern", pattern) @ v)
        return attn.o(z.transpose(1, 2).flatten(-2))

    def mlp(self, path: str, mlp: Any, x: Tensor) -> Tensor:
        inner = mlp.act(mlp.gate(x)) * mlp.up(x) if isinstance(mlp, GatedMLP) else mlp.act(mlp.up(x))
        return mlp.down(self.see(f"{path}.post", inner))

    def block(
        self, path: str, block: Any, x: Tensor, mask: Tensor, angles: Any, memory: Any = None
    ) -> Tensor:
        """The sublayers one after the other, in the order of norms that the block has."""
        x = self.see(f"{path}.resid_pre", x)
        length = x.shape[1]
        parts: list[tuple[str, Any, Callable[[Tensor], Tensor]]] = [
            (
                "resid_mid",
                block.norm1,
                lambda x: self.attention(f"{path}.attn", block.attn, x, x, mask, angles),
            )
        ]
        norms = [block.norm1, block.norm2]
        if memory is not None:
            norms.append(block.norm3)
            whole = torch.zeros(length, memory.shape[1], dtype=x.dtype)
            parts.append(
                (
                    "resid_cross",
                    block.norm2,
                    lambda x: self.attention(f"{path}.cross", block.cross, x, memory, whole, None),
                )
            )
        parts.append(("resid_post", norms[-1], lambda x: self.mlp(f"{path}.mlp", block.mlp, x)))
        last = len(parts) - 1
        for n, (word, norm, part) in enumerate(parts):
            if isinstance(block, PostNormBlock | PostNormCrossBlock):
                x = norm(x + part(x))
            elif isinstance(block, NormedBlock | NormedCrossBlock) and n < last:
                x = norm(x)
                x = x + part(x)
            else:
                x = x + part(norm(x))
            x = self.see(f"{path}.{word}", x)
        return x


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Each adjacent pair of the last axis turned by its angle."""
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def causal(length: int, dtype: torch.dtype, window: int | None = None) -> Tensor:
    """Additive mask [T S]: a query sees its own token and those before, or the last `window` of them."""
    t, s = torch.arange(length)[:, None], torch.arange(length)
    seen = (s <= t) & (True if window is None else s > t - window)
    return torch.zeros(length, length, dtype=dtype).masked_fill(~seen, -math.inf)


def by_hand(
    model: Any, texts: Sequence[Sequence[int]], changes: Mapping[str, Change] | None = None
) -> Values:
    seen = Pass(changes or {})
    ids = [torch.tensor([text]) for text in texts]
    if isinstance(model, EncoderDecoder):
        x = model.encoder.begin(ids[0])
        free = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype)
        for n, block in enumerate(model.encoder.blocks):
            x = seen.block(f"encoder.blocks.{n}", block, x, free, None)
        memory = model.encoder.norm(x)
        x = model.decoder.begin(ids[1])
        for n, block in enumerate(model.decoder.blocks):
            x = seen.block(f"decoder.blocks.{n}", block, x, causal(x.shape[1], x.dtype), None, memory)
        seen.see("logits", model.head(model.decoder.norm(x)))
        return seen.known
    x = torch.nn.functional.embedding(ids[0], model.embed.weight)
    positions = torch.arange(x.shape[1])
    if model.pos is not None:
        x = x + model.pos(positions, x.dtype)
    angles = None if model.rope is None else model.rope(positions)
    for n, block in enumerate(model.blocks):
        mask = causal(x.shape[1], x.dtype, block.attn.window)
        x = seen.block(f"blocks.{n}", block, x, mask, angles)
    seen.see("logits", model.head(model.norm(x)))
    return seen.known
