"""LLaMA 2 and 3: RMSNorm, rotary positions, grouped-query attention, SwiGLU; no bias anywhere.

Against GPT-2: RMSNorm for LayerNorm, a rotation of q and k for the learned position table, SwiGLU for the
GELU MLP, key/value heads shared by groups of query heads, no biases, by default an output head of its own.
LLaMA 3.1 slows the slow rotary pairs, which makes room for a longer context.

Touvron et al. 2023, Grattafiori et al. 2024; reference: meta-llama/llama, llama/model.py.
Rotary pairs are adjacent, as Meta stores them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_core import llama_like
from model_core.config import needed
from model_core.decoder import Decoder
from model_core.errors import InputError
from model_core.families import Family, register
from model_core.llama_like import LlamaLikeConfig
from model_core.position import llama3_frequencies


@dataclass(frozen=True)
class LlamaConfig(LlamaLikeConfig):
    """rope_factor: how much longer the context was made, 1 for not at all; the next three are used only then."""

    rope_factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low_freq_factor >= self.high_freq_factor:
            raise InputError(
                f"a low_freq_factor of {self.low_freq_factor} is not below the high_freq_factor "
                f"of {self.high_freq_factor}"
            )


def build(config: LlamaConfig) -> Decoder:
    """The model; its weights come from a checkpoint or from `train.initialise`."""
    rescale = partial(
        llama3_frequencies,
        factor=config.rope_factor,
        low=config.low_freq_factor,
        high=config.high_freq_factor,
        context=config.original_context,
    )
    return llama_like.build(config, rescale=None if config.rope_factor == 1 else rescale)


def from_hf(hf: Mapping[str, Any]) -> LlamaConfig:
    """The configuration of a Hugging Face config.json. InputError names a missing or unsupported key."""
    if hf.get("attention_bias") or hf.get("mlp_bias"):
        raise InputError("config.json asks for biases (attention_bias, mlp_bias), which LLaMA does not have")
    sizes = llama_like.sizes(hf, scalings=("llama3",))
    rope = llama_like.rope_parameters(hf)
    if rope["rope_type"] == "default":
        return LlamaConfig(**sizes)
    # Where both are given, transformers reads the one beside the rope parameters.
    context = needed(rope, "original_max_position_embeddings", int, default=sizes["context"])
    return LlamaConfig(
        **sizes,
        rope_factor=needed(rope, "factor", float),
        low_freq_factor=needed(rope, "low_freq_factor", float),
        high_freq_factor=needed(rope, "high_freq_factor", float),
        original_context=needed(hf, "original_max_position_embeddings", int, default=context),
    )


register(
    Family(
        name="llama",
        title="LLaMA",
        about=__doc__ or "",
        config=LlamaConfig,
        build=build,
        hf_types=("llama",),
        from_hf=from_hf,
        hf_weights=llama_like.weights,
        hf_ignored=llama_like.IGNORED,
    )
)
