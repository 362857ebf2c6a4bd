"""nanoGPT and minGPT: GPT-2 with the names of Hugging Face, and matrices as nn.Linear stores them, [out, in].

Reference: karpathy/nanoGPT, model.py and train.py; karpathy/minGPT, mingpt/model.py. Both keep q, k and v in one
matrix. nanoGPT has the exact GELU, may go without any bias, and saves its sizes beside the weights ("model_args");
minGPT has GELU's tanh form and stores its masks. A state dict of Hugging Face's GPT-2, [in, out], is read as well.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from model_core.api.errors import InputError
from model_core.checkpoint.files import Stored
from model_core.checkpoint.layouts.registry import (
    Layout,
    Plan,
    Tensors,
    count,
    is_tied,
    matrix,
    register,
    zeros,
)
from model_core.checkpoint.said import Ask, likely_heads
from model_core.families.config import Source
from model_core.families.registry import FAMILIES

MODEL_ARGS = "model_args"
BLOCK = r"(?:transformer\.)?h\.(\d+)\.attn\.c_attn\.weight"
PARTS = {"attn.o": "attn.c_proj", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
NORMS = {"norm1": "ln_1", "norm2": "ln_2"}


def read(found: Tensors, beside: Mapping[str, Any]) -> Plan:
    """Everything but the number of heads is in the tensors, and that is where nanoGPT saved its model_args."""
    at = "transformer." if any(name.startswith("transformer.") for name in found) else ""
    vocab_size, width = matrix(found, f"{at}wte.weight")
    rows, columns = matrix(found, f"{at}h.0.attn.c_attn.weight")
    if 3 * width not in (rows, columns):
        raise InputError(
            f"{at}h.0.attn.c_attn.weight has the shape {(rows, columns)}, not three times {width}"
        )
    transposed = rows != 3 * width
    hidden, across = matrix(found, f"{at}h.0.mlp.c_fc.weight")
    known: dict[str, Any] = {
        "vocab_size": vocab_size,
        "width": width,
        "layers": count(found, BLOCK),
        "hidden": across if transposed else hidden,
        "context": matrix(found, f"{at}wpe.weight")[0],
        "tied": is_tied(found, "lm_head.weight", f"{at}wte.weight"),
        "qkv_bias": f"{at}h.0.attn.c_attn.bias" in found,
    }
    if (heads := heads_beside(beside)) is not None:
        known["heads"] = heads
    of_nanogpt = not transposed and (MODEL_ARGS in beside or f"{at}h.0.attn.bias" not in found)
    return Plan(
        family=FAMILIES["gpt2"],
        known=known,
        asks=[
            Ask("heads", likely_heads(width), "attention heads in each layer", needed=True),
            Ask(
                "activation",
                "gelu" if of_nanogpt else "gelu_tanh",
                "what bends the MLP: nanoGPT has the exact GELU, minGPT and GPT-2 its tanh form",
            ),
            Ask("eps", 1e-5, "what the norms add to the variance"),
        ],
        weights=lambda config: weights(config, at, transposed),
        ignored=("*.attn.bias", "*.attn.masked_bias", "lm_head.weight"),
        added=missing_biases(found, at, width, known),
    )


def heads_beside(beside: Mapping[str, Any]) -> int | None:
    """n_head of nanoGPT's model_args, where they are."""
    saved = beside.get(MODEL_ARGS)
    heads = saved.get("n_head") if isinstance(saved, Mapping) else None
    return heads if isinstance(heads, int) and not isinstance(heads, bool) else None


def missing_biases(found: Tensors, at: str, width: int, known: Mapping[str, Any]) -> dict[str, Stored]:
    """Zeros for the biases of a nanoGPT trained with bias=False, which is the same model."""
    if f"{at}ln_f.bias" in found:
        return {}
    lengths = {f"{at}ln_f.bias": width}
    for n in range(known["layers"]):
        for part in (*NORMS.values(), *PARTS.values()):
            lengths[f"{at}h.{n}.{part}.bias"] = known["hidden"] if part == "mlp.c_fc" else width
    return {name: zeros(name, length) for name, length in lengths.items() if name not in found}


def third(n: int, transposed: bool, joined: Tensor) -> Tensor:
    """q, k or v of the joined matrix or bias."""
    return upright(transposed, joined).chunk(3)[n]


def upright(transposed: bool, stored: Tensor) -> Tensor:
    """[out, in]"""
    return stored.transpose(0, 1) if transposed and stored.ndim == 2 else stored


def weights(config: Any, at: str, transposed: bool) -> dict[str, Source]:
    """Where each parameter lies."""
    places = {
        "embed.weight": Source(f"{at}wte.weight"),
        "pos.weight": Source(f"{at}wpe.weight"),
        "norm.weight": Source(f"{at}ln_f.weight"),
        "norm.bias": Source(f"{at}ln_f.bias"),
    }
    for n in range(config.layers):
        ours, theirs = f"blocks.{n}", f"{at}h.{n}"
        for kind in ("weight", "bias"):
            for norm, ln in NORMS.items():
                places[f"{ours}.{norm}.{kind}"] = Source(f"{theirs}.{ln}.{kind}")
            for part, linear in PARTS.items():
                places[f"{ours}.{part}.{kind}"] = Source(
                    f"{theirs}.{linear}.{kind}", partial(upright, transposed)
                )
        for kind in ("weight", "bias") if config.qkv_bias else ("weight",):
            for i, name in enumerate("qkv"):
                places[f"{ours}.attn.{name}.{kind}"] = Source(
                    f"{theirs}.attn.c_attn.{kind}", partial(third, i, transposed)
                )
    if not config.tied:
        places["head.weight"] = Source("lm_head.weight")
    return places


register(Layout("nanoGPT and minGPT", BLOCK, read))
