"""The mini-GPT equals one that is written out here in plain PyTorch, as the tutorials write theirs."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, relu, silu

from model_core.api.errors import InputError
from model_core.families.first_weights import initialise
from model_core.families.mini import MiniConfig, build
from model_core.parts.attention import Attention, PerHeadAttention
from model_core.parts.decoder import Decoder
from model_core.parts.loss import next_token_loss
from model_core.taps.tap import record

pytestmark = pytest.mark.unit

VOCAB, WIDTH, HEADS, LAYERS, CONTEXT = 61, 24, 4, 3, 20
CONFIG = MiniConfig(vocab_size=VOCAB, width=WIDTH, layers=LAYERS, heads=HEADS, hidden=72, context=CONTEXT)
TOKENS = torch.randint(VOCAB, (3, CONTEXT), generator=torch.Generator().manual_seed(1))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
settings = pytest.mark.parametrize(
    ("positions", "activation"),
    [
        *[(positions, "relu") for positions in ("sincos", "learned", "rope", "none")],
        ("sincos", "gelu"),
        ("rope", "silu"),
    ],
)


def model_of(dtype: torch.dtype = torch.float32, **changes: object) -> Decoder:
    """A model whose attention is far from uniform, and in which no bias and no gain does nothing."""
    model = build(replace(CONFIG, **changes))
    initialise(model, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                sharp = name.endswith((".q.weight", ".k.weight"))
                weight.mul_(20 if name.startswith(("embed", "pos")) else 15 if sharp else 8)
            else:
                weight.add_(torch.linspace(-0.2, 0.2, len(weight)))
    return model.to(dtype).eval().requires_grad_(False)


class HandWrittenHead(nn.Module):
    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.positions, self.d = config.positions, config.width // config.heads
        self.W_q = nn.Linear(config.width, self.d, bias=False)
        self.W_k = nn.Linear(config.width, self.d, bias=False)
        self.W_v = nn.Linear(config.width, self.d, bias=False)

    def turned(self, x: Tensor) -> Tensor:
        """Each pair of neighbours turned by position * 10000^(-2p/d), the angles in float32 as LLaMA has them."""
        slower = 1.0 / 10000 ** (torch.arange(0, self.d, 2).float() / self.d)
        angles = torch.arange(x.shape[1]).float()[:, None] * slower
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([cos * a - sin * b, sin * a + cos * b], -1).flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.W_q(x), self.W_k(x), self.W_v(x)
        if self.positions == "rope":
            q, k = self.turned(q), self.turned(k)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.d)
        future = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        self.pattern = torch.softmax(scores.masked_fill(future, float("-inf")), dim=-1)
        return self.pattern @ v


class HandWrittenBlock(nn.Module):
    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.heads = nn.ModuleList(HandWrittenHead(config) for _ in range(config.heads))
        self.W_o = nn.Linear(config.width, config.width)
        self.ln1 = nn.LayerNorm(config.width)
        self.ln2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, config.hidden)
        self.down = nn.Linear(config.hidden, config.width)
        self.act = {"relu": relu, "gelu": gelu, "silu": silu}[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        h = self.ln1(x)
        x = x + self.W_o(torch.cat([head(h) for head in self.heads], dim=-1))
        return x + self.down(self.act(self.up(self.ln2(x))))


class HandWrittenGPT(nn.Module):
    """forward(tokens, targets) -> logits, loss"""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.width)
        self.position = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(HandWrittenBlock(config) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(config.width)
        self.lm_head = nn.Linear(config.width, config.vocab_size)

    def sincos(self, length: int) -> Tensor:
        table = torch.zeros(length, self.config.width, dtype=torch.float64)
        for pos in range(length):
            for i in range(0, self.config.width, 2):
                table[pos, i] = math.sin(pos / 10000 ** (i / self.config.width))
                table[pos, i + 1] = math.cos(pos / 10000 ** (i / self.config.width))
        return table

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x = self.token(tokens)
        if self.config.positions == "sincos":
            x = x + self.sincos(tokens.shape[1]).to(x.dtype)
        elif self.config.positions == "learned":
            x = x + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits, None
        return logits, cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1), ignore_index=-1)


def hand_written(ours: Decoder, dtype: torch.dtype) -> HandWrittenGPT:
    """With the weights of ours."""
    config = ours.config
    theirs = HandWrittenGPT(config).to(dtype)
    state = {
        "token.weight": ours.embed.weight,
        "position.weight": ours.pos.weight
        if config.positions == "learned"
        else torch.full((CONTEXT, WIDTH), math.nan),
        "ln_f.weight": ours.norm.weight,
        "ln_f.bias": ours.norm.bias,
        "lm_head.weight": ours.head.weight,
        "lm_head.bias": ours.head.bias,
    }
    for n, block in enumerate(ours.blocks):
        parts = {
            "W_o": block.attn.o,
            "ln1": block.norm1,
            "ln2": block.norm2,
            "up": block.mlp.up,
            "down": block.mlp.down,
        }
        for name, part in parts.items():
            state |= {f"blocks.{n}.{name}.{kind}": getattr(part, kind) for kind in ("weight", "bias")}
        for h, head in enumerate(block.attn.head):
            state |= {f"blocks.{n}.heads.{h}.W_{name}.weight": getattr(head, name).weight for name in "qkv"}
    theirs.load_state_dict(state)
    return theirs.eval().requires_grad_(False)


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    return (ours - theirs).abs().max().item()


@dtypes
@settings
def test_logits_and_every_pattern_equal_the_hand_written_ones(
    positions: str, activation: str, dtype: torch.dtype
) -> None:
    ours = model_of(dtype, positions=positions, activation=activation)
    theirs = hand_written(ours, dtype)
    with record(ours) as trace:
        watched = ours(TOKENS)
    logits, _ = theirs(TOKENS)
    assert difference(watched, logits) <= TOLERANCE[dtype]
    assert difference(ours(TOKENS), logits) <= TOLERANCE[dtype]
    for n, block in enumerate(theirs.blocks):
        patterns = torch.stack([head.pattern for head in block.heads], 1)
        assert difference(trace[f"blocks.{n}.attn.pattern"], patterns) <= TOLERANCE[dtype]
        peaks = patterns[:, :, -1].amax(-1)
        assert 2 / CONTEXT < peaks.mean() < 0.9


@dtypes
def test_loss_is_the_hand_written_one_and_minus_one_does_not_count(dtype: torch.dtype) -> None:
    ours = model_of(dtype)
    targets = TOKENS.roll(-1, 1)
    targets[:, -1] = -1
    _, loss = hand_written(ours, dtype)(TOKENS, targets)
    assert next_token_loss(ours(TOKENS), targets).item() == pytest.approx(loss.item(), rel=1e-6)


@dtypes
def test_heads_as_modules_equal_one_matrix_split_into_heads(dtype: torch.dtype) -> None:
    """In every tap, and in cross-attention as well."""
    generator = torch.Generator().manual_seed(0)
    x, memory = (torch.randn(2, n, WIDTH, generator=generator).to(dtype) for n in (5, 7))
    each = PerHeadAttention(WIDTH, HEADS, qkv_bias=True, out_bias=True).to(dtype)
    wide = Attention(WIDTH, HEADS, qkv_bias=True, out_bias=True).to(dtype)
    with torch.no_grad():
        wide.o.load_state_dict(each.o.state_dict())
        for name in "qkv":
            for kind in ("weight", "bias"):
                rows = torch.cat([getattr(getattr(head, name), kind) for head in each.head])
                getattr(getattr(wide, name), kind).copy_(rows)
    for source, length in ((None, 5), (memory, 7)):
        mask = torch.zeros(5, length, dtype=dtype)
        with torch.no_grad(), record(each) as ours:
            each(x, mask, memory=source)
        with torch.no_grad(), record(wide) as theirs:
            wide(x, mask, memory=source)
        assert list(ours.sites.values()) == list(theirs.sites.values())
        for key in ours:
            assert difference(ours[key], theirs[key]) <= TOLERANCE[dtype]


def test_every_head_has_its_own_matrices_without_biases_and_the_rest_has_biases() -> None:
    names = {name: tuple(weight.shape) for name, weight in model_of().named_parameters()}
    for head in range(HEADS):
        for name in "qkv":
            assert names[f"blocks.1.attn.head.{head}.{name}.weight"] == (WIDTH // HEADS, WIDTH)
    assert not [name for name in names if ".head." in name and name.endswith("bias")]
    for name in ("blocks.1.attn.o.bias", "blocks.1.mlp.up.bias", "blocks.1.mlp.down.bias", "head.bias"):
        assert name in names
    assert "pos.weight" not in names
    assert model_of(positions="learned").pos.weight.shape == (CONTEXT, WIDTH)


def test_without_positions_a_query_sees_the_same_whatever_the_order_of_what_is_before_it() -> None:
    other = TOKENS.clone()
    other[:, :-1] = TOKENS[:, :-1].flip(1)
    # In one layer alone: above it, a token before the last says where it stands by how many it could see.
    for positions, same in (("none", True), ("sincos", False), ("learned", False), ("rope", False)):
        model = model_of(torch.float64, positions=positions, layers=1)
        assert (difference(model(TOKENS)[:, -1], model(other)[:, -1]) < 1e-10) is same


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": "alibi"}, "'positions' is 'alibi', not one of sincos, learned, rope, none"),
        ({"activation": "sign"}, "'activation' is 'sign', not one of relu, gelu, silu"),
        ({"positions": "rope", "width": 12}, "a head width of 3 is odd: rotary positions turn pairs"),
        ({"dropout": 1.0}, "'dropout' is 1.0, not a share from 0 to below 1"),
        ({"dropout": -0.1}, "'dropout' is -0.1, not a share from 0 to below 1"),
        ({"dropout": "much"}, "'dropout' is 'much', not a share from 0 to below 1"),
        ({"dropout": math.nan}, "'dropout' is nan, not a share from 0 to below 1"),
    ],
)
def test_setting_that_means_nothing_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        replace(CONFIG, **changes)
    assert str(error.value) == message
