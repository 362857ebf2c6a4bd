"""Qwen3: a norm on each head's queries and keys instead of their biases.

Against Qwen2: each head's queries and keys are brought to a common size by an RMSNorm before they are rotated, with
one gain for all heads, so that scores cannot grow with the stream; no biases, unless a configuration asks for them;
the width of a head is chosen freely, not the model's width over the number of heads.

Yang et al. 2025; reference: huggingface/transformers, models/qwen3/modeling_qwen3.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_core.families import llama_like
from model_core.families.config import Source, flag
from model_core.families.llama_like import WindowedConfig
from model_core.families.registry import Family, register
from model_core.parts.decoder import Decoder
from model_core.parts.norm import HeadNorm


@dataclass(frozen=True)
class Qwen3Config(WindowedConfig):
    """bias: whether q, k, v and the output of attention have one."""

    bias: bool = False


def build(config: Qwen3Config) -> Decoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""
    return llama_like.build(
        config,
        qkv_bias=config.bias,
        out_bias=config.bias,
        qk_norm=partial(HeadNorm, eps=config.eps),
        windows=config.windows,
    )


def published(width: int, layers: int, heads: int, hidden: int, *, tied: bool) -> Qwen3Config:
    """A size of the paper's; all have 8 key/value heads, 128 wide."""
    return Qwen3Config(
        vocab_size=151936,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=8,
        hidden=hidden,
        context=40960,
        head_dim=128,
        theta=1e6,
        eps=1e-6,
        tied=tied,
    )


def from_hf(hf: Mapping[str, Any]) -> Qwen3Config:
    """The configuration of a Hugging Face config.json. InputError names a missing or unsupported key."""
    return Qwen3Config(
        **llama_like.sizes(hf, head_dim=128),
        windows=llama_like.qwen_windows(hf),
        bias=flag(hf, "attention_bias", False),
    )


def hf_weights(config: Qwen3Config) -> dict[str, Source]:
    """Where each parameter lies in a Hugging Face checkpoint."""
    return llama_like.weights(config, biased="qkvo" if config.bias else "", qk_norm=True)


register(
    Family(
        name="qwen3",
        title="Qwen3",
        about=__doc__ or "",
        config=Qwen3Config,
        build=build,
        published={
            "0.6B": published(1024, 28, heads=16, hidden=3072, tied=True),
            "1.7B": published(2048, 28, heads=16, hidden=6144, tied=True),
            "4B": published(2560, 36, heads=32, hidden=9728, tied=True),
            "8B": published(4096, 36, heads=32, hidden=12288, tied=False),
        },
        hf_types=("qwen3",),
        from_hf=from_hf,
        hf_weights=hf_weights,
        hf_ignored=llama_like.IGNORED,
    )
)
