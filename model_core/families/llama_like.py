"""What LLaMA and its descendants share: sizes, the model, the reading of a config.json, and the places of the weights.

No family: each of theirs is a file in families/ that passes in what it does in another way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from model_core.api.errors import InputError
from model_core.api.schema import Positive, shown
from model_core.families.config import Size, Source, check_config, flag, needed
from model_core.parts.attention import Attention
from model_core.parts.block import Block
from model_core.parts.decoder import Decoder
from model_core.parts.mlp import GatedMLP
from model_core.parts.norm import HeadNorm, RMSNorm
from model_core.parts.position import Rope


@dataclass(frozen=True)
class LlamaLikeConfig:
    vocab_size: Size
    width: Size
    layers: Size
    heads: Size
    kv_heads: Size
    hidden: Size
    context: Size
    head_dim: Size
    theta: Positive = 10000.0
    eps: Positive = 1e-5
    tied: bool = False

    def __post_init__(self) -> None:
        check_config(self)
        if self.head_dim % 2:
            raise InputError(f"a head width of {self.head_dim} is odd: rotary positions turn pairs")


@dataclass(frozen=True)
class WindowedConfig(LlamaLikeConfig):
    """windows: for each layer how many tokens a query sees, None for all before it; () where no layer has a window."""

    windows: tuple[Size | None, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.windows and len(self.windows) != self.layers:
            raise InputError(f"'windows' has {len(self.windows)} entries for {self.layers} layers")


def build(
    config: LlamaLikeConfig,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    qk_norm: Callable[[int], HeadNorm] | None = None,
    windows: tuple[int | None, ...] = (),
    rescale: Callable[[Tensor], Tensor] | None = None,
) -> Decoder:
    """The model: as LLaMA 2 where nothing is passed in."""

    def block(window: int | None) -> Block:
        return Block(
            RMSNorm(config.width, config.eps),
            Attention(
                config.width,
                config.heads,
                config.kv_heads,
                config.head_dim,
                qkv_bias=qkv_bias,
                out_bias=out_bias,
                softmax_dtype=torch.float32,
                qk_norm=qk_norm,
                window=window,
            ),
            RMSNorm(config.width, config.eps),
            GatedMLP(config.width, config.hidden, silu, bias=False),
        )

    return Decoder(
        config,
        vocab_size=config.vocab_size,
        width=config.width,
        context=config.context,
        blocks=(block(windows[n] if windows else None) for n in range(config.layers)),
        norm=RMSNorm(config.width, config.eps),
        rope=Rope(config.head_dim, config.theta, rescale),
        tied=config.tied,
    )


def rope_parameters(hf: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says of its rope, old style or new: rope_type, rope_theta, and what a scaling needs."""
    rope: dict[str, Any] = {"rope_theta": hf.get("rope_theta")}
    for key in ("rope_scaling", "rope_parameters"):
        given = hf.get(key) or {}
        if not isinstance(given, Mapping):
            raise InputError(f"config.json: '{key}' is {shown(given)}, not an object")
        rope |= given
    return rope | {"rope_type": rope.get("rope_type", rope.get("type", "default"))}


def sizes(
    hf: Mapping[str, Any], *, scalings: tuple[str, ...] = (), head_dim: int | None = None
) -> dict[str, Any]:
    """The fields of `LlamaLikeConfig` in a config.json. InputError names a missing or unsupported key.

    scalings  the rope scalings that the family knows
    head_dim  that of a config.json that has none; None for the width split into heads
    """
    heads = needed(hf, "num_attention_heads", int)
    width = needed(hf, "hidden_size", int)
    if hf.get("head_dim") is None and head_dim is None and width % heads:
        raise InputError(f"config.json: a hidden_size of {width} cannot be split into {heads} heads")
    rope = rope_parameters(hf)
    if rope["rope_type"] not in ("default", *scalings):
        known = " or ".join(["unscaled", *scalings])
        raise InputError(
            f"config.json asks for the rope scaling {shown(rope['rope_type'])}; here rope is {known}"
        )
    if hf.get("hidden_act", "silu") != "silu":
        raise InputError(
            f"config.json asks for the activation {shown(hf['hidden_act'])}; this family uses silu"
        )
    return {
        "vocab_size": needed(hf, "vocab_size", int),
        "width": width,
        "layers": needed(hf, "num_hidden_layers", int),
        "heads": heads,
        "kv_heads": needed(hf, "num_key_value_heads", int, default=heads),
        "hidden": needed(hf, "intermediate_size", int),
        "context": needed(hf, "max_position_embeddings", int),
        "head_dim": needed(hf, "head_dim", int, default=head_dim or width // heads),
        "theta": needed(rope, "rope_theta", float, default=10000.0),
        "eps": needed(hf, "rms_norm_eps", float, default=1e-6),
        "tied": flag(hf, "tie_word_embeddings", False),
    }


SLIDING, FULL = "sliding_attention", "full_attention"
MOST_LAYERS = 2**16  # a list is made of them before it is known how many are stored


def all_layers(window: int, layers: int) -> tuple[int, ...]:
    """The window of each of the layers."""
    if layers > MOST_LAYERS:
        raise InputError(f"config.json asks for {layers} layers with a window, more than any model has")
    return (window,) * layers


def qwen_windows(hf: Mapping[str, Any]) -> tuple[int | None, ...]:
    """The window of each layer, () where none has one: by layer_types, or from layer max_window_layers on."""
    layers = needed(hf, "num_hidden_layers", int)
    on = flag(hf, "use_sliding_window", False) and hf.get("sliding_window", 4096) is not None
    window = needed(hf, "sliding_window", int, default=4096) if on else None
    types = hf.get("layer_types")
    if types is None:
        first = 0 if hf.get("max_window_layers") == 0 else needed(hf, "max_window_layers", int, default=28)
        return (
            () if window is None or first >= layers else (None,) * first + all_layers(window, layers - first)
        )
    if not isinstance(types, list) or not all(kind in (SLIDING, FULL) for kind in types):
        raise InputError(f"config.json: 'layer_types' is {shown(types)}, not a list of {SLIDING} and {FULL}")
    if window is None and SLIDING in types:
        raise InputError(f"config.json: 'layer_types' has {SLIDING}, but no sliding_window is in use")
    return tuple(window if kind == SLIDING else None for kind in types) if SLIDING in types else ()


def adjacent_pairs(stored: Tensor, head_dim: int) -> Tensor:
    """Rows of q or k from the rotate-half order (first halves, then second halves) to adjacent pairs.

    Of a weight [rows C], or of a bias or a gain [rows].
    """
    halves = stored.view(-1, 2, head_dim // 2, *stored.shape[1:])
    return halves.transpose(1, 2).flatten(0, 2)


def weights(config: LlamaLikeConfig, *, biased: str = "", qk_norm: bool = False) -> dict[str, Source]:
    """Where each parameter lies in a Hugging Face checkpoint.

    biased   which of "qkvo" have a bias
    qk_norm  whether the heads of q and k have a norm
    """

    def rotary(name: str) -> Source:
        return Source(name, lambda stored: adjacent_pairs(stored, config.head_dim))

    places = {
        "embed.weight": Source("model.embed_tokens.weight"),
        "norm.weight": Source("model.norm.weight"),
    }
    for n in range(config.layers):
        ours, theirs = f"blocks.{n}", f"model.layers.{n}"
        places |= {
            f"{ours}.norm1.weight": Source(f"{theirs}.input_layernorm.weight"),
            f"{ours}.norm2.weight": Source(f"{theirs}.post_attention_layernorm.weight"),
            f"{ours}.mlp.gate.weight": Source(f"{theirs}.mlp.gate_proj.weight"),
            f"{ours}.mlp.up.weight": Source(f"{theirs}.mlp.up_proj.weight"),
            f"{ours}.mlp.down.weight": Source(f"{theirs}.mlp.down_proj.weight"),
        }
        for name in "qkvo":
            place = rotary if name in "qk" else Source
            for kind in ("weight", "bias") if name in biased else ("weight",):
                places[f"{ours}.attn.{name}.{kind}"] = place(f"{theirs}.self_attn.{name}_proj.{kind}")
        for name in ("q_norm", "k_norm") if qk_norm else ():
            places[f"{ours}.attn.{name}.weight"] = rotary(f"{theirs}.self_attn.{name}.weight")
    if not config.tied:
        places["head.weight"] = Source("lm_head.weight")
    return places


# Stored beside the weights by some, and no parameters: frequencies, and a head that is tied after all.
IGNORED = ("*.rotary_emb.inv_freq", "lm_head.weight")
