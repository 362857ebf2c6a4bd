"""The models that learners write along a tutorial, with the names that each tutorial gives its modules.

Each is a reference of its own: plain PyTorch, written from the formulas, sharing no code with the program.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, softmax

VOCAB, WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 61, 24, 2, 4, 40, 20


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """[B H T D], [B H S D], [B H S D] -> [B H T D]"""
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
    return softmax(scores, -1) @ v


def split(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(-2)


def sincos(length: int) -> Tensor:
    turns = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000.0) / WIDTH))
    angles = torch.arange(length)[:, None] * turns
    table = torch.zeros(length, WIDTH)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table


# nanoGPT


class NanoAttention(nn.Module):
    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=bias)
        self.c_proj = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.register_buffer("bias", torch.ones(CONTEXT, CONTEXT).tril()[None, None])

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = map(split, self.c_attn(x).chunk(3, -1))
        return self.c_proj(merge(attend(q, k, v, causal=True)))


class NanoMLP(nn.Module):
    def __init__(self, bias: bool, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, HIDDEN, bias=bias)
        self.c_proj = nn.Linear(HIDDEN, WIDTH, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class NanoBlock(nn.Module):
    def __init__(self, bias: bool, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH, bias=bias)
        self.attn = NanoAttention(bias)
        self.ln_2 = nn.LayerNorm(WIDTH, bias=bias)
        self.mlp = NanoMLP(bias, activation)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class NanoGPT(nn.Module):
    def __init__(
        self, *, bias: bool = True, tied: bool = True, activation: Callable[[Tensor], Tensor] = gelu
    ) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, WIDTH),
                "wpe": nn.Embedding(CONTEXT, WIDTH),
                "h": nn.ModuleList(NanoBlock(bias, activation) for _ in range(LAYERS)),
                "ln_f": nn.LayerNorm(WIDTH, bias=bias),
            }
        )
        self.lm_head = nn.Linear(WIDTH, VOCAB, bias=False)
        if tied:
            self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](torch.arange(tokens.shape[1]))
        for block in self.transformer["h"]:
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


# LLMs-from-scratch


class ScaleShift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(WIDTH))
        self.shift = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(variance + 1e-5) + self.shift


class ScratchAttention(nn.Module):
    def __init__(self, qkv_bias: bool) -> None:
        super().__init__()
        self.W_query = nn.Linear(WIDTH, WIDTH, bias=qkv_bias)
        self.W_key = nn.Linear(WIDTH, WIDTH, bias=qkv_bias)
        self.W_value = nn.Linear(WIDTH, WIDTH, bias=qkv_bias)
        self.out_proj = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.ones(CONTEXT, CONTEXT).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = split(self.W_query(x)), split(self.W_key(x)), split(self.W_value(x))
        return self.out_proj(merge(attend(q, k, v, causal=True)))


class TanhGELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


class ScratchMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(WIDTH, HIDDEN), TanhGELU(), nn.Linear(HIDDEN, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ScratchBlock(nn.Module):
    def __init__(self, qkv_bias: bool) -> None:
        super().__init__()
        self.att = ScratchAttention(qkv_bias)
        self.ff = ScratchMLP()
        self.norm1 = ScaleShift()
        self.norm2 = ScaleShift()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.att(self.norm1(x))
        return x + self.ff(self.norm2(x))


class FromScratchGPT(nn.Module):
    def __init__(self, *, qkv_bias: bool = False, tied: bool = False) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(VOCAB, WIDTH)
        self.pos_emb = nn.Embedding(CONTEXT, WIDTH)
        self.trf_blocks = nn.Sequential(*(ScratchBlock(qkv_bias) for _ in range(LAYERS)))
        self.final_norm = ScaleShift()
        self.out_head = nn.Linear(WIDTH, VOCAB, bias=False)
        if tied:
            self.out_head.weight = self.tok_emb.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tok_emb(tokens) + self.pos_emb(torch.arange(tokens.shape[1]))
        return self.out_head(self.final_norm(self.trf_blocks(x)))


# The mini-GPT with one module per head


class MiniHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W_q = nn.Linear(WIDTH, WIDTH // HEADS, bias=False)
        self.W_k = nn.Linear(WIDTH, WIDTH // HEADS, bias=False)
        self.W_v = nn.Linear(WIDTH, WIDTH // HEADS, bias=False)
        self.register_buffer("mask", torch.ones(CONTEXT, CONTEXT).tril())

    def forward(self, x: Tensor) -> Tensor:
        return attend(self.W_q(x), self.W_k(x), self.W_v(x), causal=True)


class MiniAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(MiniHead() for _ in range(HEADS))
        self.W_o = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_o(torch.cat([head(x) for head in self.heads], -1))


class MiniMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(WIDTH, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(relu(self.linear1(x)))


class MiniBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(WIDTH)
        self.multi_head_attention = MiniAttention()
        self.layer_norm2 = nn.LayerNorm(WIDTH)
        self.feed_forward = MiniMLP()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.multi_head_attention(self.layer_norm1(x))
        return x + self.feed_forward(self.layer_norm2(x))


class MiniGPT(nn.Module):
    """positions: "stored" (a table of sines and cosines in the state dict), "computed", "learned" or "none"."""

    def __init__(self, *, positions: str = "stored", tied: bool = False) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(VOCAB, WIDTH)
        self.positions = positions
        if positions == "stored":
            self.register_buffer("positional_encoding", sincos(CONTEXT)[None])
        if positions == "learned":
            self.position_embedding = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(MiniBlock() for _ in range(LAYERS))
        self.final_norm = nn.LayerNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, VOCAB)
        if tied:
            self.lm_head.weight = self.token_embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token_embedding(tokens)
        if self.positions in ("stored", "computed"):
            x = x + sincos(tokens.shape[1])
        if self.positions == "learned":
            x = x + self.position_embedding(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.final_norm(x))


# The encoder-decoder


class StdNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a_2 = nn.Parameter(torch.ones(WIDTH))
        self.b_2 = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.a_2 * (x - mean) / (std + 1e-6) + self.b_2


class TutorialAttention(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.causal = causal
        if causal:
            self.register_buffer("mask", torch.full((1, 1, CONTEXT, CONTEXT), -math.inf).triu(1))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = split(self.wq(q)), split(self.wk(k)), split(self.wv(v))
        return self.wo(merge(attend(q, k, v, causal=self.causal)))


class TutorialMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.w2 = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(relu(self.w1(x)))


class TutorialEncoderLayer(nn.Module):
    def __init__(self, order: str) -> None:
        super().__init__()
        self.order = order
        self.attention_norm = StdNorm()
        self.attention = TutorialAttention(causal=False)
        self.fnn_norm = StdNorm()
        self.feed_forward = TutorialMLP()

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attention_norm(x)
        h = (normed if self.order == "normed" else x) + self.attention(normed, normed, normed)
        return h + self.feed_forward(self.fnn_norm(h))


class TutorialDecoderLayer(nn.Module):
    def __init__(self, order: str) -> None:
        super().__init__()
        self.order = order
        self.attention_norm_1 = StdNorm()
        self.mask_attention = TutorialAttention(causal=True)
        self.attention_norm_2 = StdNorm()
        self.attention = TutorialAttention(causal=False)
        self.ffn_norm = StdNorm()
        self.feed_forward = TutorialMLP()

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        normed = self.attention_norm_1(x)
        x = (normed if self.order == "normed" else x) + self.mask_attention(normed, normed, normed)
        normed = self.attention_norm_2(x)
        h = (normed if self.order == "normed" else x) + self.attention(normed, memory, memory)
        return h + self.feed_forward(self.ffn_norm(h))


class TutorialStack(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = StdNorm()

    def forward(self, x: Tensor, *memory: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, *memory)
        return self.norm(x)


class TutorialPositions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pe", sincos(CONTEXT)[None])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[:, : x.shape[1]]


class TutorialTransformer(nn.Module):
    """order: "pre", or "normed" as the tutorial's own code has it."""

    def __init__(self, order: str, *, tied: bool = False) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, WIDTH),
                "wpe": TutorialPositions(),
                "encoder": TutorialStack([TutorialEncoderLayer(order) for _ in range(LAYERS)]),
                "decoder": TutorialStack([TutorialDecoderLayer(order) for _ in range(LAYERS)]),
            }
        )
        self.lm_head = nn.Linear(WIDTH, VOCAB, bias=False)
        if tied:
            self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.transformer["wpe"](self.transformer["wte"](tokens))
        memory = self.transformer["encoder"](x)
        return self.lm_head(self.transformer["decoder"](x, memory))


def drawn(model: nn.Module) -> nn.Module:
    """The model with weights wide enough that every part matters, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval().requires_grad_(False)
