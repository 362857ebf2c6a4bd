"""The mini-GPT that tutorials write by hand, one module per head: blocks.0.multi_head_attention.heads.0.W_q.weight.

Beside the heads, tutorials name their modules as they like, so the rest of a block is known by its shapes, in the order
of the file: two norms, then a matrix that widens and one that narrows. Outside the blocks: the matrix with a bias is
the output head, the one whose name has "pos" the learned table of positions, the other the embedding.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
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
    is_sincos,
    is_tied,
    register,
    table_length,
    zeros,
)
from model_core.checkpoint.said import Ask
from model_core.families.config import Source
from model_core.families.registry import FAMILIES

HEAD = r"blocks\.(\d+)\.multi_head_attention\.heads\.(\d+)\.W_q\.weight"
MASKS = ("*.mask", "*.tril", "*_mask")
LIKELY_CONTEXT = 1024


def read(found: Tensors, beside: Mapping[str, Any]) -> Plan:
    """Heads are counted; how positions are known is told by a stored table alone."""
    layers = count(found, r"blocks\.(\d+)\.multi_head_attention\.heads\.")
    heads = count(found, r"blocks\.0\.multi_head_attention\.heads\.(\d+)\.")
    outside = [name for name in found if not name.startswith("blocks.")]
    head = one([n for n in matrices(found, outside) if is_head(found, n)], "output head")
    vocab_size, width = found[f"{head}.weight"].shape
    tables = [name for name in outside if is_table(name, found[name], width)]
    positions = set(tables)
    others = [f"{name}.weight" for name in matrices(found, outside) if name != head]
    embed = one([name for name in others if name not in positions] or [f"{head}.weight"], "embedding")
    norm = one(norms(found, outside, width), "last norm")
    if layers * heads > len(found):  # a name is made for each head of each block
        raise InputError(
            f"the file has {layers:,} blocks of {heads:,} heads, but {len(found):,} tensors: it is not whole"
        )
    blocks = in_blocks(found)
    parts = [block_parts(found, blocks.get(str(n), []), n, width) for n in range(layers)]
    known: dict[str, Any] = {
        "vocab_size": vocab_size,
        "width": width,
        "layers": layers,
        "heads": heads,
        "hidden": found[f"{parts[0]['mlp.up']}.weight"].shape[0],
        "tied": is_tied(found, f"{head}.weight", embed),
    }
    table = tables[0] if tables else None
    asks = []
    if table is not None:
        known |= {
            "context": table_length(found[table], width),
            "positions": kind_of_table(found[table], width),
        }
    else:
        asks += [
            Ask("positions", "sincos", "how the model knows where a token stands: no table is stored"),
            Ask("context", context_of_masks(found), "the most tokens of a text"),
        ]
    asks += [
        Ask("activation", "relu", "what bends the MLP"),
        Ask("eps", 1e-5, "what the norms add to the variance"),
    ]
    outer = {"embed": embed.removesuffix(".weight"), "norm": norm, "head": head}
    return Plan(
        family=FAMILIES["mini"],
        known=known,
        asks=asks,
        weights=lambda config: weights(config, outer, parts, table),
        ignored=(*MASKS, f"{head}.weight", *([table] if table is not None else [])),
        added=missing_biases(found, [head], parts),
    )


def in_blocks(found: Tensors) -> dict[str, list[str]]:
    """The names in each block, by its number as it is written, in the order of the file; heads aside."""
    inside: dict[str, list[str]] = {}
    for name in found:
        if (block := re.match(r"blocks\.(\d+)\.", name)) and ".heads." not in name:
            inside.setdefault(block[1], []).append(name)
    return inside


def block_parts(found: Tensors, inside: Sequence[str], n: int, width: int) -> dict[str, str]:
    """What our parts of block n are called, of the names inside it."""
    attention = [name for name in inside if ".multi_head_attention." in name]
    mlp = matrices(found, [name for name in inside if ".multi_head_attention." not in name])
    where = f"of block {n}"
    first, second = pair(norms(found, inside, width), f"norms {where}")
    up, down = pair(mlp, f"matrices of the MLP {where}")
    return {
        "norm1": first,
        "norm2": second,
        "attn.o": one(matrices(found, attention), f"output matrix of attention {where}"),
        "mlp.up": up,
        "mlp.down": down,
    }


def matrices(found: Tensors, names: Iterable[str]) -> list[str]:
    """The modules among the names that have a matrix as their weight, in the order of the file."""
    return [
        name.removesuffix(".weight")
        for name in names
        if name.endswith(".weight") and len(found[name].shape) == 2 and 0 not in found[name].shape
    ]


def norms(found: Tensors, names: Iterable[str], width: int) -> list[str]:
    """The modules among the names that have a gain of the model's width."""
    return [
        name.removesuffix(".weight")
        for name in names
        if name.endswith(".weight") and found[name].shape == (width,)
    ]


def is_head(found: Tensors, name: str) -> bool:
    return f"{name}.bias" in found or re.search(r"(^|\.)(lm_)?head$", name) is not None


def is_table(name: str, tensor: Stored, width: int) -> bool:
    """Is it a table of positions, learned or computed?"""
    named = re.search(r"(^|[._])(pe|pos|position|positional|wpe)([._]|$)", name)
    return named is not None and tensor.shape[-1:] == (width,) and len(tensor.shape) > 1


def kind_of_table(table: Stored, width: int) -> str:
    """ "sincos" where the table is computed here too; any other is taken as it is stored."""
    return "sincos" if not table.name.endswith(".weight") and is_sincos(table, width) else "learned"


def context_of_masks(found: Tensors) -> int:
    """The side of a stored causal mask, which no text could be longer than."""
    sides = [t.shape[-1] for n, t in found.items() if n.endswith(("mask", "tril")) and len(t.shape) > 1]
    return min((side for side in sides if side > 0), default=LIKELY_CONTEXT)


def one(names: list[str], what: str) -> str:
    if len(names) != 1:
        raise InputError(
            f"the file has {len(names)} tensors that could be the {what}, not one: it is another layout"
        )
    return names[0]


def pair(names: list[str], what: str) -> list[str]:
    if len(names) != 2:
        raise InputError(f"the file has {len(names)} {what}, not two: it is another layout")
    return names


def missing_biases(found: Tensors, heads: list[str], parts: list[dict[str, str]]) -> dict[str, Stored]:
    """Zeros for the biases that a copy of the tutorial does without, which is the same model."""
    modules = [*heads, *(block[part] for block in parts for part in ("attn.o", "mlp.up", "mlp.down"))]
    return {
        f"{module}.bias": zeros(f"{module}.bias", found[f"{module}.weight"].shape[0])
        for module in modules
        if f"{module}.bias" not in found
    }


def weights(
    config: Any, outer: Mapping[str, str], parts: list[dict[str, str]], table: str | None
) -> dict[str, Source]:
    """Where each parameter lies."""
    modules = {"norm": outer["norm"]}
    places = {
        "embed.weight": Source(f"{outer['embed']}.weight"),
        "head.bias": Source(f"{outer['head']}.bias"),
    }
    for n, block in enumerate(parts):
        modules |= {f"blocks.{n}.{ours}": theirs for ours, theirs in block.items()}
        for h in range(config.heads):
            for name in "qkv":
                places[f"blocks.{n}.attn.head.{h}.{name}.weight"] = Source(
                    f"blocks.{n}.multi_head_attention.heads.{h}.W_{name}.weight"
                )
    for ours, theirs in modules.items():
        places |= {f"{ours}.{kind}": Source(f"{theirs}.{kind}") for kind in ("weight", "bias")}
    if config.positions == "learned" and table is not None:
        places["pos.weight"] = Source(table, partial(as_rows, config.width))
    if not config.tied:
        places["head.weight"] = Source(f"{outer['head']}.weight")
    return places


def as_rows(width: int, table: Tensor) -> Tensor:
    return table.reshape(-1, width)


register(Layout("mini-GPT with one module per head", HEAD, read))
