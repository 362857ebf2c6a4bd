"""Meta's folders of LLaMA: params.json and consolidated.00.pth, or the pieces of it that several GPUs had.

A piece has all tensors, cut: matrices that fan out along their rows, matrices that gather along their columns, norms
whole in every piece. Reference: meta-llama/llama, llama/model.py and fairscale's ColumnParallelLinear,
RowParallelLinear and ParallelEmbedding.
"""

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.files.json_file import read_json
from model_core.api.files.paths import followed
from model_core.api.files.regular_file import is_there, open_regular
from model_core.checkpoint.files import Stored, check_layers, readable
from model_core.checkpoint.formats.pth import Placed, check_held, state_dict
from model_core.checkpoint.registry import Blueprint, Reader, register
from model_core.checkpoint.said import Ask, settle
from model_core.families.config import Source, flag, needed
from model_core.families.llama import ffn_hidden
from model_core.families.registry import FAMILIES
from model_core.text.opening import tokenizer_in

PARAMS = "params.json"
PIECE = re.compile(r"consolidated\.(\d\d)\.pth")

# Along which axis each matrix is cut; a vector is in every piece. The embedding was cut along its columns, later
# (LLaMA 3) along its rows: its shape tells.
CUT = {"wq": 0, "wk": 0, "wv": 0, "w1": 0, "w3": 0, "output": 0, "wo": 1, "w2": 1}
EMBED = "tok_embeddings.weight"

PLACES = {
    "norm1": "attention_norm",
    "norm2": "ffn_norm",
    "attn.q": "attention.wq",
    "attn.k": "attention.wk",
    "attn.v": "attention.wv",
    "attn.o": "attention.wo",
    "mlp.gate": "feed_forward.w1",
    "mlp.up": "feed_forward.w3",
    "mlp.down": "feed_forward.w2",
}
CONTEXT, SCALED_CONTEXT = 4096, 131072
number = partial(needed, file=PARAMS)
MOST_WIDER = 1000  # more than any MLP is wider than the rule makes it, and still to be counted with


def recognises(path: Path) -> bool:
    return is_there(path / PARAMS) and any(PIECE.fullmatch(file.name) for file in path.iterdir())


def read(path: Path, said: Mapping[str, str]) -> Blueprint:
    """What the folder holds. Its pieces are joined one tensor at a time, when it is read."""
    params = read_json(path / PARAMS)
    pieces = pieces_of(path)
    stored = joined(list(pieces.values()), number(params, "dim", int))
    name, family = followed(path).name, FAMILIES["llama"]
    config = settle(name, family, sizes(params, stored), said, left_open(params))
    check_layers(config, stored)
    sources = weights(config.layers, config.tied)
    tokenizer = partial(tokenizer_in, path, config.vocab_size)
    blueprint = Blueprint.matched(name, family, config, sources, stored, tokenizer, ("*rope.freqs",))
    for file, piece in pieces.items():
        check_held(file, piece, sources.values())
    return blueprint


def pieces_of(path: Path) -> dict[Path, dict[str, Placed]]:
    """What each piece holds. InputError, before the next is read, where one has other tensors than the first."""
    files = piece_files(path)
    pieces: dict[Path, dict[str, Placed]] = {}
    for file in files:
        piece = state_dict(file)[0]
        first = pieces.get(files[0], piece)
        if differs := first.keys() ^ piece.keys():
            raise InputError(
                f"{readable(min(differs))} is not in every piece: {file.name} is of another model"
            )
        pieces[file] = piece
    return pieces


def piece_files(path: Path) -> list[Path]:
    """The pieces in their order. InputError where one between is missing, or two are the same file.

    How many there were is in no file.
    """
    found = sorted(file for file in path.iterdir() if PIECE.fullmatch(file.name))
    for n, file in enumerate(found):
        if file.name != f"consolidated.{n:02}.pth":
            raise InputError(f"{path} has {file.name}, but no consolidated.{n:02}.pth: download it again")
    known: dict[tuple[int, int], str] = {}
    for file in found:
        with open_regular(file) as opened:
            status = os.fstat(opened.fileno())
        same = known.setdefault((status.st_dev, status.st_ino), file.name)
        if same != file.name:
            raise InputError(f"{path}: {file.name} is the same file as {same}: download it again")
    return found


def joined(pieces: Sequence[Mapping[str, Stored]], width: int) -> dict[str, Stored]:
    """The tensors of all pieces, each of the shape that it has as a whole."""
    return {name: joined_tensor([piece[name] for piece in pieces], name, width) for name in pieces[0]}


def joined_tensor(parts: Sequence[Stored], name: str, width: int) -> Stored:
    """One tensor whole."""
    first = parts[0]
    axis = cut_axis(name, first.shape, width)
    others = {tuple(n for d, n in enumerate(part.shape) if d != axis) for part in parts}
    if len(others) > 1 or len({part.dtype for part in parts}) > 1:
        raise InputError(f"the pieces of {readable(name)} have shapes or dtypes that do not go together")
    if len(parts) == 1 or axis is None:
        return first
    shape = list(first.shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return Stored(name, tuple(shape), first.dtype, partial(join, parts, axis))


def cut_axis(name: str, shape: tuple[int, ...], width: int) -> int | None:
    """Along which axis a tensor is cut, by its name; None for one that every piece has whole."""
    if len(shape) != 2:
        return None
    if name == EMBED:
        return 0 if shape[1] == width else 1
    return CUT.get(name.removesuffix(".weight").split(".")[-1])


def join(parts: Sequence[Stored], axis: int) -> Tensor:
    return torch.cat([part.read() for part in parts], axis)


def sizes(params: Mapping[str, Any], stored: Mapping[str, Stored]) -> dict[str, Any]:
    """The fields of the configuration that params.json and the shapes tell. InputError where the two differ."""
    for key in ("sliding_window", "moe", "quantization_args", "lora_args"):
        if params.get(key) is not None:
            raise InputError(f"{PARAMS} has {key}, which LLaMA does not: use the model's Hugging Face folder")
    width, heads = number(params, "dim", int), number(params, "n_heads", int)
    if width % heads:
        raise InputError(f"{PARAMS}: a dim of {width} cannot be split into {heads} heads")
    hidden, vocab_size = rows(stored, "layers.0.feed_forward.w1.weight"), rows(stored, EMBED)
    known: dict[str, Any] = {
        "width": width,
        "layers": number(params, "n_layers", int),
        "heads": heads,
        "kv_heads": number(params, "n_kv_heads", int, heads),
        "head_dim": width // heads,
        "hidden": hidden,
        "vocab_size": vocab_size,
        "eps": number(params, "norm_eps", float, 1e-5),
        "theta": number(params, "rope_theta", float, 10000.0),
        "tied": "output.weight" not in stored,
    }
    if params.get("multiple_of") is not None:
        multiplier = params.get("ffn_dim_multiplier")
        if multiplier is not None:
            multiplier = min(number(params, "ffn_dim_multiplier", float), MOST_WIDER)
        ruled = ffn_hidden(width, number(params, "multiple_of", int), multiplier)
        if ruled != hidden:
            raise InputError(
                f"{PARAMS} makes the MLP {ruled} wide, but the weights have {hidden}: not one model"
            )
    if params.get("vocab_size") not in (None, -1) and number(params, "vocab_size", int) != vocab_size:
        raise InputError(
            f"{PARAMS} has {params['vocab_size']:.0f} tokens, but the weights {vocab_size}: not one model"
        )
    for key, field in (
        ("max_seq_len", "context"),
        ("rope_scaling_factor", "rope_factor"),
        ("rope_high_freq_factor", "high_freq_factor"),
    ):
        if params.get(key) is not None:
            known[field] = number(params, key, int) if field == "context" else number(params, key, float)
    return known if is_scaled(params) else known | {"rope_factor": 1.0}


def left_open(params: Mapping[str, Any]) -> list[Ask]:
    """What params.json may leave to Meta's code: the constants of its rope scaling, and how long a text may be."""
    if not is_scaled(params):
        return [Ask("context", CONTEXT, "the most tokens of a text")]
    return [
        Ask("context", SCALED_CONTEXT, "the most tokens of a text"),
        Ask("rope_factor", 8.0, "by how much slow pairs are slowed; 32 in LLaMA 3.2"),
    ]


def is_scaled(params: Mapping[str, Any]) -> bool:
    """Whether the slow rotary pairs are slowed, as from LLaMA 3.1 on."""
    return flag(params, "use_scaled_rope", False, file=PARAMS)


def rows(stored: Mapping[str, Stored], name: str) -> int:
    if name not in stored or len(stored[name].shape) != 2:
        raise InputError(f"the files have no matrix {name}: this is no LLaMA of Meta's")
    return stored[name].shape[0]


def weights(layers: int, tied: bool) -> dict[str, Source]:
    """Where each parameter lies. Rotary pairs are adjacent here as there."""
    places = {"embed.weight": Source(EMBED), "norm.weight": Source("norm.weight")}
    for n in range(layers):
        for ours, theirs in PLACES.items():
            places[f"blocks.{n}.{ours}.weight"] = Source(f"layers.{n}.{theirs}.weight")
    if not tied:
        places["head.weight"] = Source("output.weight")
    return places


register(Reader(PARAMS, recognises, read))
