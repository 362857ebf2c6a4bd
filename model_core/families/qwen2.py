"""Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values.

Against LLaMA 2: biases on q, k and v, none on the output of attention or in the MLP; small models tie the head to
the embedding; a configuration may give its upper layers a sliding window, while the lower ones see everything.

Yang et al. 2024; reference: huggingface/transformers, models/qwen2/modeling_qwen2.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_core import llama_like
from model_core.decoder import Decoder
from model_core.families import Family, register
from model_core.llama_like import WindowedConfig


@dataclass(frozen=True)
class Qwen2Config(WindowedConfig):
    """As LLaMA's, and a window for each layer."""


def build(config: Qwen2Config) -> Decoder:
    """The model; its weights come from a checkpoint or from `train.initialise`."""
    return llama_like.build(config, qkv_bias=True, windows=config.windows)


def from_hf(hf: Mapping[str, Any]) -> Qwen2Config:
    """The configuration of a Hugging Face config.json. InputError names a missing or unsupported key."""
    return Qwen2Config(**llama_like.sizes(hf), windows=llama_like.qwen_windows(hf))


register(
    Family(
        name="qwen2",
        title="Qwen2",
        about=__doc__ or "",
        config=Qwen2Config,
        build=build,
        hf_types=("qwen2",),
        from_hf=from_hf,
        hf_weights=partial(llama_like.weights, biased="qkv"),
        hf_ignored=llama_like.IGNORED,
    )
)
