"""Mistral: LLaMA with a sliding window.

Against LLaMA 2: in every layer a query sees its own token and the few thousand before it, not all; what is further
back reaches it through the layers below, a window's length each. Keys and values of older tokens may therefore be
forgotten, and memory stops growing with the text. Already the 7B model has four query heads share a key/value head;
of LLaMA 2, only the largest models do so.

Later Mistrals have no window.

Jiang et al. 2023; reference: mistralai/mistral-inference, src/mistral_inference/transformer_layers.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_core.families import llama_like
from model_core.families.config import needed
from model_core.families.llama_like import WindowedConfig
from model_core.families.registry import Family, register
from model_core.parts.decoder import Decoder


@dataclass(frozen=True)
class MistralConfig(WindowedConfig):
    """As LLaMA's, and a window for each layer: the same for all, or none."""


def build(config: MistralConfig) -> Decoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""
    return llama_like.build(config, windows=config.windows)


V01 = MistralConfig(
    vocab_size=32000,
    width=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    hidden=14336,
    context=32768,
    head_dim=128,
    windows=(4096,) * 32,
)


def from_hf(hf: Mapping[str, Any]) -> MistralConfig:
    """The configuration of a Hugging Face config.json. InputError names a missing or unsupported key."""
    sizes = llama_like.sizes(hf)
    if hf.get("sliding_window", 4096) is None:
        return MistralConfig(**sizes)
    window = needed(hf, "sliding_window", int, default=4096)
    return MistralConfig(**sizes, windows=llama_like.all_layers(window, sizes["layers"]))


register(
    Family(
        name="mistral",
        title="Mistral",
        about=__doc__ or "",
        config=MistralConfig,
        build=build,
        published={
            "7B": V01,
            "7B-v0.3": replace(V01, vocab_size=32768, theta=1e6, windows=()),
        },
        hf_types=("mistral",),
        from_hf=from_hf,
        hf_weights=llama_like.weights,
        hf_ignored=llama_like.IGNORED,
    )
)
