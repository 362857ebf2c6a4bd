"""LLMs-from-scratch: the GPT of "Build a Large Language Model (From Scratch)" (Raschka 2024), which is GPT-2.

Reference: rasbt/LLMs-from-scratch, ch04/01_main-chapter-code/gpt.py. q, k and v have a matrix each, as a rule without
biases; norms call their parameters scale and shift; the output head has weights of its own. GELU has its tanh form.
"""

from collections.abc import Mapping
from typing import Any

from model_core.checkpoint.layouts.registry import Layout, Plan, Tensors, count, is_tied, matrix, register
from model_core.checkpoint.said import Ask, likely_heads
from model_core.families.config import Source
from model_core.families.registry import FAMILIES

BLOCK = r"trf_blocks\.(\d+)\.att\.W_query\.weight"
PARTS = {"attn.o": "att.out_proj", "mlp.up": "ff.layers.0", "mlp.down": "ff.layers.2"}
QKV = {"q": "att.W_query", "k": "att.W_key", "v": "att.W_value"}


def read(found: Tensors, beside: Mapping[str, Any]) -> Plan:
    """Everything but the number of heads is in the tensors."""
    vocab_size, width = matrix(found, "tok_emb.weight")
    return Plan(
        family=FAMILIES["gpt2"],
        known={
            "vocab_size": vocab_size,
            "width": width,
            "layers": count(found, BLOCK),
            "hidden": matrix(found, "trf_blocks.0.ff.layers.0.weight")[0],
            "context": matrix(found, "pos_emb.weight")[0],
            "tied": is_tied(found, "out_head.weight", "tok_emb.weight"),
            "qkv_bias": "trf_blocks.0.att.W_query.bias" in found,
            "activation": "gelu_tanh",
        },
        asks=[
            Ask("heads", likely_heads(width), "attention heads in each layer", needed=True),
            Ask("eps", 1e-5, "what the norms add to the variance"),
        ],
        weights=weights,
        ignored=("*.att.mask", "out_head.weight"),
    )


def weights(config: Any) -> dict[str, Source]:
    """Where each parameter lies."""
    places = {"embed.weight": Source("tok_emb.weight"), "pos.weight": Source("pos_emb.weight")}
    norms = {"norm": "final_norm"}
    for n in range(config.layers):
        ours, theirs = f"blocks.{n}", f"trf_blocks.{n}"
        norms |= {f"{ours}.norm1": f"{theirs}.norm1", f"{ours}.norm2": f"{theirs}.norm2"}
        for kind in ("weight", "bias"):
            for part, linear in PARTS.items():
                places[f"{ours}.{part}.{kind}"] = Source(f"{theirs}.{linear}.{kind}")
        for kind in ("weight", "bias") if config.qkv_bias else ("weight",):
            for name, linear in QKV.items():
                places[f"{ours}.attn.{name}.{kind}"] = Source(f"{theirs}.{linear}.{kind}")
    for ours, theirs in norms.items():
        places |= {f"{ours}.weight": Source(f"{theirs}.scale"), f"{ours}.bias": Source(f"{theirs}.shift")}
    if not config.tied:
        places["head.weight"] = Source("out_head.weight")
    return places


register(Layout("LLMs-from-scratch GPT", BLOCK, read))
