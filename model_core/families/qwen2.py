"""Qwen2 and Qwen2.5: LLaMA with biases on queries, keys and values.

Against LLaMA: biases on queries, keys and values, none on the output of attention or in the MLP; a rotation so slow
at its slow end (theta is a million) that it tells far positions apart. The small models tie the output head to the
embedding. A configuration may give its upper layers a sliding window, while the lower ones see everything.

Qwen2.5 is the same architecture, trained on more text.

Yang et al. 2024; reference: huggingface/transformers, models/qwen2/modeling_qwen2.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from model_core.families import llama_like
from model_core.families.llama_like import WindowedConfig
from model_core.families.registry import Family, register
from model_core.parts.decoder import Decoder


@dataclass(frozen=True)
class Qwen2Config(WindowedConfig):
    """As LLaMA's, and a window for each layer."""


def build(config: Qwen2Config) -> Decoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""
    return llama_like.build(config, qkv_bias=True, windows=config.windows)


def published(width: int, layers: int, heads: int, kv_heads: int, hidden: int, **more: Any) -> Qwen2Config:
    """A size of Qwen2 or Qwen2.5."""
    sizes = {"vocab_size": 151936, "context": 131072, "tied": True} | more
    return Qwen2Config(
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        hidden=hidden,
        head_dim=width // heads,
        theta=1e6,
        eps=1e-6,
        **sizes,
    )


SMALL = published(896, 24, heads=14, kv_heads=2, hidden=4864)
MIDDLE = published(1536, 28, heads=12, kv_heads=2, hidden=8960)
LARGE = published(3584, 28, heads=28, kv_heads=4, hidden=18944, vocab_size=152064, tied=False)


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
        published={
            "0.5B": SMALL,
            "1.5B": MIDDLE,
            "7B": LARGE,
            "2.5-0.5B": replace(SMALL, context=32768),
            "2.5-1.5B": MIDDLE,
            "2.5-3B": published(2048, 36, heads=16, kv_heads=2, hidden=11008, context=32768),
            "2.5-7B": LARGE,
        },
        hf_types=("qwen2",),
        from_hf=from_hf,
        hf_weights=partial(llama_like.weights, biased="qkv"),
        hf_ignored=llama_like.IGNORED,
    )
)
