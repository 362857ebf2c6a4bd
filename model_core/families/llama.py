"""LLaMA 2 and 3: RMSNorm, rotary positions, grouped-query attention, SwiGLU; no bias anywhere.

Against GPT-2: RMSNorm for LayerNorm; queries and keys are rotated by their position, where GPT-2 adds a learned
vector; a gated MLP (SwiGLU) for GELU, a third narrower to make up for its third matrix; key/value heads shared by
groups of query heads; no biases; as a rule an output head with weights of its own.

LLaMA 3 has four times the vocabulary, and rotates more slowly; 3.1 slows the slow pairs further, which makes room
for a longer context. The small models that llama2.c trains on stories are of this family too.

A pair of the rotation is two neighbours, as Meta stores them (the complex product); Hugging Face pairs each
dimension with the one half a head further on (rotate-half). The two differ in the order of the rows of W_q and W_k,
which are put into Meta's order when a model is opened.

Touvron et al. 2023, Grattafiori et al. 2024; reference: meta-llama/llama, llama/model.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_core.api.errors import InputError
from model_core.api.schema import Positive
from model_core.families import llama_like
from model_core.families.config import Size, needed
from model_core.families.llama_like import LlamaLikeConfig
from model_core.families.registry import Family, register
from model_core.parts.decoder import Decoder
from model_core.parts.position import llama3_frequencies


@dataclass(frozen=True)
class LlamaConfig(LlamaLikeConfig):
    """rope_factor: how much longer the context was made, 1 for not at all; the next three are used only then."""

    rope_factor: Positive = 1.0
    low_freq_factor: Positive = 1.0
    high_freq_factor: Positive = 4.0
    original_context: Size = 8192

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low_freq_factor >= self.high_freq_factor:
            raise InputError(
                f"a low_freq_factor of {self.low_freq_factor} is not below the high_freq_factor "
                f"of {self.high_freq_factor}"
            )


def ffn_hidden(width: int, multiple_of: int, ffn_dim_multiplier: float | None = None) -> int:
    """The width of the MLP of a params.json, which gives it by a rule: two thirds of four times the model's width,
    times the multiplier where there is one, rounded up to a multiple (reference: llama/model.py, FeedForward).
    """
    hidden = int(2 * (4 * width) / 3)
    if ffn_dim_multiplier is not None:
        hidden = int(ffn_dim_multiplier * hidden)
    return multiple_of * ((hidden + multiple_of - 1) // multiple_of)


def build(config: LlamaConfig) -> Decoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""
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


def llama2(width: int, layers: int, heads: int, kv_heads: int, hidden: int) -> LlamaConfig:
    """A size of LLaMA 2."""
    return LlamaConfig(
        vocab_size=32000,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        hidden=hidden,
        context=4096,
        head_dim=128,
    )


def llama3(width: int, layers: int, hidden: int, context: int, head_dim: int, **more: Any) -> LlamaConfig:
    """A size of LLaMA 3 or later; all of these have 32 heads on 8 key/value heads."""
    return LlamaConfig(
        vocab_size=128256,
        width=width,
        layers=layers,
        heads=32,
        kv_heads=8,
        hidden=hidden,
        context=context,
        head_dim=head_dim,
        theta=500000.0,
        **more,
    )


def stories(width: int, layers: int, heads: int, hidden: int, context: int, **more: Any) -> LlamaConfig:
    """A size of llama2.c's models of the TinyStories; the head is tied."""
    sizes = {"vocab_size": 32000, "kv_heads": heads} | more
    return LlamaConfig(
        width=width,
        layers=layers,
        heads=heads,
        hidden=hidden,
        context=context,
        head_dim=width // heads,
        tied=True,
        **sizes,
    )


register(
    Family(
        name="llama",
        title="LLaMA",
        about=__doc__ or "",
        config=LlamaConfig,
        build=build,
        published={
            "stories260K": stories(64, 5, heads=8, hidden=172, context=512, kv_heads=4, vocab_size=512),
            "stories15M": stories(288, 6, heads=6, hidden=768, context=256),
            "stories42M": stories(512, 8, heads=8, hidden=1376, context=1024),
            "stories110M": stories(768, 12, heads=12, hidden=2048, context=1024),
            "2-7B": llama2(4096, 32, heads=32, kv_heads=32, hidden=11008),
            "2-13B": llama2(5120, 40, heads=40, kv_heads=40, hidden=13824),
            "2-70B": llama2(8192, 80, heads=64, kv_heads=8, hidden=28672),
            "3-8B": llama3(4096, 32, hidden=14336, context=8192, head_dim=128),
            "3.2-1B": llama3(2048, 16, hidden=8192, context=131072, head_dim=64, tied=True, rope_factor=32.0),
        },
        hf_types=("llama",),
        from_hf=from_hf,
        hf_weights=llama_like.weights,
        hf_ignored=llama_like.IGNORED,
    )
)
