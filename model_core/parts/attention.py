"""Attention, written out: MHA, GQA and MQA are one class that differs in how many key/value heads it has."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from model_core.parts.cache import LayerCache
from model_core.parts.norm import HeadNorm
from model_core.parts.position import rotate
from model_core.taps.tap import Part


def causal_mask(
    start: int, length: int, dtype: torch.dtype, device: torch.device, window: int | None = None
) -> Tensor:
    """Additive mask [T S]: 0 where key s is not after query t, -inf elsewhere. Queries begin at position `start`.

    A window leaves each query its own token and the `window` - 1 before it (Beltagy et al. 2020, section 3.1).
    """
    blocked = torch.full((length, start + length), -math.inf, dtype=dtype, device=device)
    mask = blocked.triu(start + 1)
    return mask if window is None else mask + blocked.tril(start - window)


def open_mask(length: int, keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Additive mask [T S] that hides nothing; made from no value of the model, as the measured graph tells."""
    return torch.zeros(length, keys, dtype=dtype, device=device)


def repeat_kv(x: Tensor, times: int) -> Tensor:
    """[B G S D] -> [B H S D]: each key/value head serves `times` query heads, neighbours sharing one."""
    return x.repeat_interleave(times, dim=1) if times > 1 else x


def sees_nothing(masked: Tensor) -> Tensor:
    """Which queries may look at no key: [B H T S] -> [B H T 1]"""
    return masked.isneginf().all(-1, keepdim=True)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor,
    scale: float,
    softmax_dtype: torch.dtype | None,
    dropout: float,
    tap: Callable[[str, Tensor, str], Tensor],
    *,
    blind: bool = False,
) -> Tensor:
    """softmax(q kᵀ · scale + mask) v, every stage visible (Vaswani et al. 2017, eq. 1). All [B H · D] -> [B H T D].

    dropout  zeroes that share of the pattern before it weighs the values
    blind    whether a query may have no key at all: its row of the pattern is 0 then
    """
    scores = tap("scores", q @ k.mT * scale, "B H T S")
    masked = tap("masked", scores + mask, "B H T S")
    pattern = masked.softmax(-1, dtype=softmax_dtype).to(q.dtype)
    if blind:
        pattern = pattern.masked_fill(sees_nothing(masked), 0)
    pattern = tap("pattern", pattern, "B H T S")
    return (nn.functional.dropout(pattern, dropout) if dropout else pattern) @ v


def rows_of(linear: nn.Linear, rows: slice) -> nn.Linear:
    """The part of a linear map that makes these of its numbers; the weights are the same memory."""
    part = nn.Linear(linear.in_features, rows.stop - rows.start, bias=False, device="meta")
    part.weight = nn.Parameter(linear.weight[rows], requires_grad=False)
    if linear.bias is not None:
        part.bias = nn.Parameter(linear.bias[rows], requires_grad=False)
    return part


class Attention(Part):
    """Multi-head attention with `kv_heads` key/value heads (MHA: equal to heads; MQA: 1; GQA between).

    softmax_dtype  where the reference rounds the softmax to another dtype (LLaMA: float32)
    qk_norm        makes the norm of each head's queries, and that of its keys, for a head width; or None
    window         how many tokens a query sees, its own the last of them; None for all. The model's mask says so.
    dropout        share of the pattern, and of what is written to the stream, that is zeroed in training
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        *,
        qkv_bias: bool,
        out_bias: bool,
        softmax_dtype: torch.dtype | None = None,
        qk_norm: Callable[[int], HeadNorm] | None = None,
        window: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads or heads
        self.head_dim = head_dim or width // heads
        self.scale = 1 / math.sqrt(self.head_dim)
        self.softmax_dtype = softmax_dtype
        self.window = window
        self.make_projections(width, qkv_bias)
        self.o = nn.Linear(self.heads * self.head_dim, width, bias=out_bias)
        self.drop = nn.Dropout(dropout)
        self.q_norm = qk_norm(self.head_dim) if qk_norm else None
        self.k_norm = qk_norm(self.head_dim) if qk_norm else None

    def make_projections(self, width: int, bias: bool) -> None:
        """One matrix for the queries of all heads, one for their keys, one for their values."""
        self.q = nn.Linear(width, self.heads * self.head_dim, bias=bias)
        self.k = nn.Linear(width, self.kv_heads * self.head_dim, bias=bias)
        self.v = nn.Linear(width, self.kv_heads * self.head_dim, bias=bias)

    def project(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of x [B T C], keys and values of source [B S C] -> [B H T D], [B G S D], [B G S D]"""
        return self.split(self.q(x)), self.split(self.k(source)), self.split(self.v(source))

    def projections(self, head: int) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """What makes the queries of one head, and the keys and values that it reads: slices of the same weights."""
        query, key = (self.rows(n) for n in (head, self.group(head)))
        return rows_of(self.q, query), rows_of(self.k, key), rows_of(self.v, key)

    def group(self, head: int) -> int:
        """The key/value head that a head reads."""
        return head // (self.heads // self.kv_heads)

    def rows(self, n: int) -> slice:
        """Where the numbers of the n-th head lie."""
        return slice(n * self.head_dim, (n + 1) * self.head_dim)

    def one_head(self, head: int) -> "Attention":
        """One head as an attention of its own, over slices of the same weights.

        It writes what the head adds to the stream; the output bias, which belongs to no head, is left away.
        """
        with torch.device("meta"):
            one = Attention(
                self.o.out_features,
                1,
                head_dim=self.head_dim,
                qkv_bias=False,
                out_bias=False,
                softmax_dtype=self.softmax_dtype,
                window=self.window,
                dropout=self.drop.p,
            )
        one.q, one.k, one.v = self.projections(head)
        one.o.weight = nn.Parameter(self.o.weight[:, self.rows(head)], requires_grad=False)
        one.q_norm, one.k_norm = self.q_norm, self.k_norm
        return one.train(self.training)

    def split(self, x: Tensor) -> Tensor:
        """[B T H·D] -> [B H T D]"""
        batch, length, _ = x.shape
        return x.view(batch, length, -1, self.head_dim).transpose(1, 2)

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        angles: Tensor | None = None,
        cache: LayerCache | None = None,
        memory: Tensor | None = None,
    ) -> Tensor:
        """x [B T C], mask [T S], angles [T P] -> [B T C]

        memory  where keys and values come from in cross-attention, [B S C]; None for x itself
        """
        q, k, v = self.project(x, x if memory is None else memory)
        q = self.tap("q", q, "B H T D")
        new = cache.start if cache is not None else 0
        k = self.tap("k", k, "B G S D", new)
        v = self.tap("v", v, "B G S D", new)
        if self.q_norm is not None and self.k_norm is not None:
            q = self.tap("q_norm", self.q_norm(q), "B H T D")
            k = self.tap("k_norm", self.k_norm(k), "B G S D", new)
        if angles is not None:
            q = self.tap("q_rot", rotate(q, angles), "B H T D")
            k = self.tap("k_rot", rotate(k, angles), "B G S D", new)
        if cache is not None:
            k, v = cache.append(k, v)
            k, v = self.tap("k_all", k, "B G S D"), self.tap("v_all", v, "B G S D")
        return self.look(q, k, v, mask)

    def look(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """What each query takes from the values of the keys that it looks at, written to the stream: [B T C]

        q [B H T D], k and v [B G S D], as they were turned; mask [T S]
        """
        k, v = repeat_kv(k, self.heads // self.kv_heads), repeat_kv(v, self.heads // self.kv_heads)

        mask = self.tap("mask", mask.expand(1, self.heads, *mask.shape), "B H T S")
        dropout = self.drop.p if self.training else 0.0
        # A mask as models make them leaves each query a key; an edit may take the last one.
        blind = self.edited("mask", "scores", "masked")
        # float64 is for checking: it takes the written-out path, which rounds where the reference rounds.
        if self.watched("scores", "masked", "pattern") or q.dtype == torch.float64:
            z = attend(q, k, v, mask, self.scale, self.softmax_dtype, dropout, self.tap, blind=blind)
        else:
            z = nn.functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout, scale=self.scale
            )
            if blind:
                z = z.masked_fill(sees_nothing(mask), 0)
        z = self.tap("z", z, "B H T D")
        return self.tap("out", self.drop(self.o(z.transpose(1, 2).flatten(-2))), "B T C")


class Head(nn.Module):
    """What one head makes of the stream with matrices of its own."""

    def __init__(self, width: int, head_dim: int, bias: bool) -> None:
        super().__init__()
        self.q = nn.Linear(width, head_dim, bias=bias)
        self.k = nn.Linear(width, head_dim, bias=bias)
        self.v = nn.Linear(width, head_dim, bias=bias)

    def forward(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of x [B T C], keys and values of source [B S C] -> [B T D], [B S D], [B S D]"""
        return self.q(x), self.k(source), self.v(source)


class PerHeadAttention(Attention):
    """Attention written head by head: each head is a module with its own W_q, W_k and W_v.

    The same as three wide matrices split into heads: their rows are those of the heads, one head below the other.
    """

    def make_projections(self, width: int, bias: bool) -> None:
        self.head = nn.ModuleList(Head(width, self.head_dim, bias) for _ in range(self.heads))

    def projections(self, head: int) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        one = self.head[head]
        return one.q, one.k, one.v  # type: ignore[return-value]

    def project(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = zip(*(head(x, source) for head in self.head), strict=True)
        return torch.stack(q, 1), torch.stack(k, 1), torch.stack(v, 1)
