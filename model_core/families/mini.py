"""Mini-GPT: the transformer that tutorials write by hand, every head a module of its own.

Against GPT-2: each head has its own small W_q, W_k and W_v, without biases, where GPT-2 has one matrix for all heads.
That changes no number, only how the code reads: the rows of the small matrices, one head below the other, are the
large one. Positions come from a fixed table of sines and cosines, the MLP bends with ReLU, and the output head has
weights and biases of its own.

One setting says how the model knows where a token stands: the sin/cos table, a learned table, a rotation of
queries and keys (RoPE), or not at all. Another chooses the activation of the MLP. So the parts in which GPT-2, LLaMA
and the 2017 Transformer differ can be tried one by one in the smallest model that has them.

Vaswani et al. 2017, sections 3.2 and 3.5; the norms stand before the sublayers, as in GPT-2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.functional import gelu, relu, silu

from model_core.api.errors import InputError
from model_core.api.schema import Positive, Share
from model_core.families.config import Size, check_config
from model_core.families.registry import Family, register
from model_core.parts.attention import PerHeadAttention
from model_core.parts.block import Block
from model_core.parts.decoder import Decoder
from model_core.parts.mlp import MLP
from model_core.parts.norm import LayerNorm
from model_core.parts.position import LearnedPositions, Rope, SinusoidalPositions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": relu, "gelu": gelu, "silu": silu}


@dataclass(frozen=True)
class MiniConfig:
    """positions: how the model knows where a token stands. activation: what bends the MLP."""

    vocab_size: Size
    width: Size
    layers: Size
    heads: Size
    hidden: Size
    context: Size
    positions: Literal["sincos", "learned", "rope", "none"] = "sincos"
    activation: Literal["relu", "gelu", "silu"] = "relu"
    eps: Positive = 1e-5
    dropout: Share = 0.0
    tied: bool = False

    def __post_init__(self) -> None:
        check_config(self)
        if self.positions == "rope" and self.width // self.heads % 2:
            raise InputError(
                f"a head width of {self.width // self.heads} is odd: rotary positions turn pairs"
            )


def table_of(config: MiniConfig) -> LearnedPositions | SinusoidalPositions | None:
    """What is added to the embedding for each position, where something is."""
    if config.positions == "sincos":
        return SinusoidalPositions(config.width)
    return LearnedPositions(config.context, config.width) if config.positions == "learned" else None


def build(config: MiniConfig) -> Decoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""

    def block() -> Block:
        return Block(
            LayerNorm(config.width, config.eps),
            PerHeadAttention(
                config.width, config.heads, qkv_bias=False, out_bias=True, dropout=config.dropout
            ),
            LayerNorm(config.width, config.eps),
            MLP(
                config.width,
                config.hidden,
                ACTIVATIONS[config.activation],
                bias=True,
                dropout=config.dropout,
            ),
        )

    return Decoder(
        config,
        vocab_size=config.vocab_size,
        width=config.width,
        context=config.context,
        blocks=(block() for _ in range(config.layers)),
        norm=LayerNorm(config.width, config.eps),
        pos=table_of(config),
        rope=Rope(config.width // config.heads) if config.positions == "rope" else None,
        tied=config.tied,
        head_bias=True,
        dropout=config.dropout,
    )


register(
    Family(
        name="mini",
        title="Mini-GPT",
        about=__doc__ or "",
        config=MiniConfig,
        build=build,
        published={
            "tiny": MiniConfig(vocab_size=2048, width=64, layers=2, heads=4, hidden=256, context=128),
            "small": MiniConfig(vocab_size=50257, width=256, layers=4, heads=8, hidden=1024, context=256),
        },
    )
)
