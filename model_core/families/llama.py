"""LLaMA 2: RMSNorm, rotary positions, grouped-query attention, SwiGLU; no bias anywhere.

Against GPT-2: RMSNorm for LayerNorm, a rotation of q and k for the learned position table, SwiGLU for the
GELU MLP, key/value heads shared by groups of query heads, no biases, by default an output head of its own.

Touvron et al. 2023; reference: meta-llama/llama, llama/model.py.
Rotary pairs are adjacent, as Meta stores them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from model_core.attention import Attention
from model_core.block import Block
from model_core.decoder import Decoder
from model_core.errors import InputError
from model_core.families import Family, Source, check_config, flag, needed, register
from model_core.mlp import GatedMLP
from model_core.norm import RMSNorm
from model_core.position import Rope


@dataclass(frozen=True)
class LlamaConfig:
    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    context: int
    head_dim: int
    theta: float = 10000.0
    eps: float = 1e-5
    tied: bool = False

    def __post_init__(self) -> None:
        check_config(self)
        if self.head_dim % 2:
            raise InputError(f"a head width of {self.head_dim} is odd: rotary positions turn pairs")


def build(config: LlamaConfig) -> Decoder:
    """The model; its weights come from a checkpoint or from `train.initialise`."""

    def block() -> Block:
        return Block(
            RMSNorm(config.width, config.eps),
            Attention(
                config.width,
                config.heads,
                config.kv_heads,
                config.head_dim,
                qkv_bias=False,
                out_bias=False,
                softmax_dtype=torch.float32,
            ),
            RMSNorm(config.width, config.eps),
            GatedMLP(config.width, config.hidden, silu, bias=False),
        )

    return Decoder(
        config,
        vocab_size=config.vocab_size,
        width=config.width,
        context=config.context,
        layers=config.layers,
        block=block,
        norm=RMSNorm(config.width, config.eps),
        rope=Rope(config.head_dim, config.theta),
        tied=config.tied,
    )


def from_hf(hf: Mapping[str, Any]) -> LlamaConfig:
    """The configuration of a Hugging Face config.json. InputError names a missing or unsupported key."""
    heads = needed(hf, "num_attention_heads", int)
    width = needed(hf, "hidden_size", int)
    if hf.get("head_dim") is None and width % heads:
        raise InputError(f"config.json: a hidden_size of {width} cannot be split into {heads} heads")
    rope = {"rope_theta": hf.get("rope_theta")}
    for key in ("rope_scaling", "rope_parameters"):
        given = hf.get(key) or {}
        if not isinstance(given, Mapping):
            raise InputError(f"config.json: '{key}' is {short(given)}, not an object")
        rope |= given
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise InputError(
            f"config.json asks for the rope scaling {short(kind)}; only unscaled rope is supported"
        )
    if hf.get("attention_bias") or hf.get("mlp_bias"):
        raise InputError(
            "config.json asks for biases (attention_bias, mlp_bias), which LLaMA 2 does not have"
        )
    if hf.get("hidden_act", "silu") != "silu":
        raise InputError(f"config.json asks for the activation {short(hf['hidden_act'])}; LLaMA 2 uses silu")
    return LlamaConfig(
        vocab_size=needed(hf, "vocab_size", int),
        width=width,
        layers=needed(hf, "num_hidden_layers", int),
        heads=heads,
        kv_heads=needed(hf, "num_key_value_heads", int, default=heads),
        hidden=needed(hf, "intermediate_size", int),
        context=needed(hf, "max_position_embeddings", int),
        head_dim=needed(hf, "head_dim", int, default=width // heads),
        theta=needed(rope, "rope_theta", float, default=10000.0),
        eps=needed(hf, "rms_norm_eps", float, default=1e-6),
        tied=flag(hf, "tie_word_embeddings", False),
    )


def adjacent_pairs(weight: Tensor, head_dim: int) -> Tensor:
    """Rows of q or k from the rotate-half order (first halves, then second halves) to adjacent pairs."""
    return weight.view(-1, 2, head_dim // 2, weight.shape[-1]).transpose(1, 2).flatten(0, 2)


def hf_weights(config: LlamaConfig) -> dict[str, Source]:
    """Where each parameter lies in a Hugging Face checkpoint."""

    def rotary(name: str) -> Source:
        return Source(name, lambda weight: adjacent_pairs(weight, config.head_dim))

    weights = {
        "embed.weight": Source("model.embed_tokens.weight"),
        "norm.weight": Source("model.norm.weight"),
    }
    for n in range(config.layers):
        ours, theirs = f"blocks.{n}", f"model.layers.{n}"
        weights |= {
            f"{ours}.norm1.weight": Source(f"{theirs}.input_layernorm.weight"),
            f"{ours}.attn.q.weight": rotary(f"{theirs}.self_attn.q_proj.weight"),
            f"{ours}.attn.k.weight": rotary(f"{theirs}.self_attn.k_proj.weight"),
            f"{ours}.attn.v.weight": Source(f"{theirs}.self_attn.v_proj.weight"),
            f"{ours}.attn.o.weight": Source(f"{theirs}.self_attn.o_proj.weight"),
            f"{ours}.norm2.weight": Source(f"{theirs}.post_attention_layernorm.weight"),
            f"{ours}.mlp.gate.weight": Source(f"{theirs}.mlp.gate_proj.weight"),
            f"{ours}.mlp.up.weight": Source(f"{theirs}.mlp.up_proj.weight"),
            f"{ours}.mlp.down.weight": Source(f"{theirs}.mlp.down_proj.weight"),
        }
    if not config.tied:
        weights["head.weight"] = Source("lm_head.weight")
    return weights


register(
    Family(
        name="llama",
        title="LLaMA 2",
        about=__doc__ or "",
        config=LlamaConfig,
        build=build,
        hf_types=("llama",),
        from_hf=from_hf,
        hf_weights=hf_weights,
        hf_ignored=("*.rotary_emb.inv_freq", "lm_head.weight"),
    )
)
