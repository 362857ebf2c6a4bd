"""GPT-2: LayerNorm, a learned position table, attention with biases, GELU MLP, head tied to the embedding.

Against the 2017 Transformer: the decoder alone, without an encoder to look at; norms stand before the sublayers,
and one more after the last block; positions are learned, not sines and cosines; the MLP bends with GELU (tanh
form), not ReLU.

Models written after tutorials differ in three switches: queries, keys and values may go without biases (qkv_bias),
the output head may have weights of its own (tied off), and GELU may be the exact one (activation). Dropout acts in
training alone.

Radford et al. 2019; reference: openai/gpt-2, src/model.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import gelu

from model_core.api.errors import InputError
from model_core.api.schema import Positive, Share, shown
from model_core.families.config import Size, Source, check_config, flag, needed
from model_core.families.registry import Family, register
from model_core.parts.attention import Attention
from model_core.parts.block import Block
from model_core.parts.decoder import Decoder
from model_core.parts.mlp import MLP
from model_core.parts.norm import LayerNorm
from model_core.parts.position import LearnedPositions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": partial(gelu, approximate="tanh"),
    "gelu": gelu,
}


@dataclass(frozen=True)
class GPT2Config:
    """qkv_bias: whether queries, keys and values have one. dropout: the share that is zeroed, in training alone.

    activation: GELU in the tanh form that GPT-2 has, or exact, as nanoGPT has it.
    """

    vocab_size: Size
    width: Size
    layers: Size
    heads: Size
    hidden: Size
    context: Size
    eps: Positive = 1e-5
    tied: bool = True
    qkv_bias: bool = True
    dropout: Share = 0.0
    activation: Literal["gelu_tanh", "gelu"] = "gelu_tanh"

    def __post_init__(self) -> None:
        check_config(self)


def build(config: GPT2Config) -> Decoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""

    def block() -> Block:
        return Block(
            LayerNorm(config.width, config.eps),
            Attention(
                config.width, config.heads, qkv_bias=config.qkv_bias, out_bias=True, dropout=config.dropout
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
        pos=LearnedPositions(config.context, config.width),
        tied=config.tied,
        dropout=config.dropout,
    )


def published(width: int, layers: int, heads: int) -> GPT2Config:
    """A size of the paper's; all have the same vocabulary and context, and an MLP four times as wide."""
    return GPT2Config(
        vocab_size=50257, width=width, layers=layers, heads=heads, hidden=4 * width, context=1024
    )


def from_hf(hf: Mapping[str, Any]) -> GPT2Config:
    """The configuration of a Hugging Face config.json. InputError names a missing or unsupported key."""
    act = hf.get("activation_function", "gelu_new")
    if act not in ("gelu_new", "gelu_pytorch_tanh"):
        raise InputError(f"config.json asks for the activation {shown(act)}; GPT-2 uses gelu_new")
    for key in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
        if hf.get(key):
            raise InputError(f"config.json sets {key}, which is not supported")
    if not flag(hf, "scale_attn_weights", True):
        raise InputError("config.json turns scale_attn_weights off, which is not supported")
    width = needed(hf, "n_embd", int)
    return GPT2Config(
        vocab_size=needed(hf, "vocab_size", int),
        width=width,
        layers=needed(hf, "n_layer", int),
        heads=needed(hf, "n_head", int),
        hidden=needed(hf, "n_inner", int, default=4 * width),
        context=needed(hf, "n_positions", int),
        eps=needed(hf, "layer_norm_epsilon", float, default=1e-5),
        tied=flag(hf, "tie_word_embeddings", True),
    )


def part(n: int, *, transpose: bool) -> Callable[[Tensor], Tensor]:
    """Third n (q, k or v) of the joined c_attn; Conv1D stores weights as [in, out]."""
    return lambda joined: (joined.transpose(0, 1) if transpose else joined).chunk(3)[n]


def hf_weights(config: GPT2Config) -> dict[str, Source]:
    """Where each parameter lies in a Hugging Face checkpoint."""
    weights = {
        "embed.weight": Source("wte.weight"),
        "pos.weight": Source("wpe.weight"),
        "norm.weight": Source("ln_f.weight"),
        "norm.bias": Source("ln_f.bias"),
    }
    for n in range(config.layers):
        ours, theirs = f"blocks.{n}", f"h.{n}"
        for norm, ln in (("norm1", "ln_1"), ("norm2", "ln_2")):
            for kind in ("weight", "bias"):
                weights[f"{ours}.{norm}.{kind}"] = Source(f"{theirs}.{ln}.{kind}")
        for i, name in enumerate("qkv"):
            weights[f"{ours}.attn.{name}.weight"] = Source(
                f"{theirs}.attn.c_attn.weight", part(i, transpose=True)
            )
            if config.qkv_bias:
                weights[f"{ours}.attn.{name}.bias"] = Source(
                    f"{theirs}.attn.c_attn.bias", part(i, transpose=False)
                )
        for linear, conv in (("attn.o", "attn.c_proj"), ("mlp.up", "mlp.c_fc"), ("mlp.down", "mlp.c_proj")):
            weights[f"{ours}.{linear}.weight"] = Source(
                f"{theirs}.{conv}.weight", lambda w: w.transpose(0, 1)
            )
            weights[f"{ours}.{linear}.bias"] = Source(f"{theirs}.{conv}.bias")
    if not config.tied:
        weights["head.weight"] = Source("lm_head.weight")
    return weights


register(
    Family(
        name="gpt2",
        title="GPT-2",
        about=__doc__ or "",
        config=GPT2Config,
        build=build,
        published={
            "124M": published(768, layers=12, heads=12),
            "355M": published(1024, layers=24, heads=16),
            "774M": published(1280, layers=36, heads=20),
            "1558M": published(1600, layers=48, heads=25),
        },
        hf_types=("gpt2",),
        from_hf=from_hf,
        hf_weights=hf_weights,
        hf_ignored=("*.attn.bias", "*.attn.masked_bias", "lm_head.weight"),
        hf_prefix="transformer.",
    )
)
