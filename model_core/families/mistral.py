"""Mistral: LLaMA with a sliding window.

Against LLaMA 2: in every layer a query sees its own token and the few thousand before it, not all; what is further
back reaches it through the layers below, a window's length each. Larger groups of query heads share key/value
heads. Later Mistrals have no window.

Jiang et al. 2023; reference: mistralai/mistral-inference, src/mistral_inference/transformer_layers.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_core import llama_like
from model_core.config import needed
from model_core.decoder import Decoder
from model_core.families import Family, register
from model_core.llama_like import WindowedConfig


@dataclass(frozen=True)
class MistralConfig(WindowedConfig):
    """As LLaMA's, and a window for each layer: the same for all, or none."""


def build(config: MistralConfig) -> Decoder:
    """The model; its weights come from a checkpoint or from `train.initialise`."""
    return llama_like.build(config, windows=config.windows)


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
        hf_types=("mistral",),
        from_hf=from_hf,
        hf_weights=llama_like.weights,
        hf_ignored=llama_like.IGNORED,
    )
)
