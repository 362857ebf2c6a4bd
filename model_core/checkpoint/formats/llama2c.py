"""The .bin files of llama2.c: a header of seven numbers, then float32 weights, all layers of a kind together.

Reference: karpathy/llama2.c, export.py (legacy_export, version1_export) and run.c (read_checkpoint).
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch

from model_core.api.errors import InputError
from model_core.api.files.paths import followed
from model_core.api.files.regular_file import StaysOpen, open_regular
from model_core.checkpoint.files import Stored, in_file, tokenizer_beside
from model_core.checkpoint.registry import Blueprint, Reader, register
from model_core.checkpoint.said import settle
from model_core.families.config import Source
from model_core.families.registry import FAMILIES

LEGACY = struct.Struct("<7i")
MAGIC = 0x616B3432  # "ak42"
VERSIONED = struct.Struct("<Ii7iB")
VERSIONED_BYTES = 256
FLOAT = 4
# Larger than in any such model; a file of another format has larger numbers where these stand.
MOST = {
    "dim": 2**16,
    "hidden": 2**18,
    "layers": 2**10,
    "heads": 2**10,
    "kv_heads": 2**10,
    "vocabulary": 2**20,
    "context": 2**20,
}


class Unfit(Exception):
    """Why a header makes no model."""


@dataclass(frozen=True)
class Header:
    """What the first bytes say. version 0 is the legacy one; start: where the weights begin, in floats."""

    version: int
    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int
    tied: bool
    start: int

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            if not 0 < getattr(self, name) <= most:
                raise Unfit(f"{name} is {getattr(self, name)}")
        if self.dim % self.heads or self.heads % self.kv_heads:
            raise Unfit(
                f"{self.heads} heads, {self.kv_heads} of them with keys and values, of width {self.dim}"
            )


def header_of(file: BinaryIO) -> Header:
    """The header of an open file. Unfit where its numbers make no model."""
    start = file.read(VERSIONED.size)
    if len(start) >= 8 and struct.unpack_from("<I", start)[0] == MAGIC:
        if len(start) < VERSIONED.size:
            raise Unfit("it ends within the header")
        _, version, dim, hidden, layers, heads, kv_heads, vocabulary, context, tied = VERSIONED.unpack(start)
        begin = VERSIONED_BYTES // FLOAT
    elif len(start) < LEGACY.size:
        raise Unfit("it ends within the header")
    else:
        dim, hidden, layers, heads, kv_heads, vocabulary, context = LEGACY.unpack_from(start)
        # A negative vocabulary says that the output head has weights of its own.
        version, tied, vocabulary = 0, vocabulary > 0, abs(vocabulary)
        begin = LEGACY.size // FLOAT
    return Header(version, dim, hidden, layers, heads, kv_heads, vocabulary, context, bool(tied), begin)


def recognises(path: Path) -> bool:
    """Is it a file whose header could be of such a model?"""
    with open_regular(path) as file:
        if file.read(4) == struct.pack("<I", MAGIC):
            return True
        file.seek(0)
        try:
            header_of(file)
        except Unfit:
            return False
    return True


def read(path: Path, said: Mapping[str, str]) -> Blueprint:
    """What the file holds; a weight is read when it is asked for."""
    file = StaysOpen(path)
    try:
        header = header_of(file.file)
    except Unfit as error:
        raise InputError(f"{path} has the header of llama2.c, but makes no model: {error}") from None
    if header.version not in (0, 1):
        raise InputError(
            f"{path} is of llama2.c's version {header.version}, with weights of 8 bits, which cannot be read: "
            "export it as version 0 or 1"
        )
    parts = list((legacy_parts if header.version == 0 else versioned_parts)(header))
    needed = (header.start + sum(math.prod(shape) for _, shape in parts)) * FLOAT
    if file.size != needed:
        raise InputError(
            f"{path} has {file.size:,} bytes, but its header makes {needed:,}: download it again, "
            "or it is no model of llama2.c"
        )
    stored = stored_in(file, header, parts)
    name, family = followed(path).stem, FAMILIES["llama"]
    known = {
        "width": header.dim,
        "layers": header.layers,
        "heads": header.heads,
        "kv_heads": header.kv_heads,
        "head_dim": header.dim // header.heads,
        "hidden": header.hidden,
        "vocab_size": header.vocabulary,
        "context": header.context,
        "tied": header.tied,
        "rope_factor": 1.0,
    }
    config = settle(name, family, known, said)
    tokenizer = partial(tokenizer_beside, path, config.vocab_size)
    return Blueprint.matched(name, family, config, weights(header), stored, tokenizer, ("freq_*",))


Part = tuple[str, tuple[int, ...]]


def legacy_parts(header: Header) -> Iterator[Part]:
    """Names and shapes in the order of the file. The angles are stored too, and not used."""
    shapes = part_shapes(header)
    angles = (header.context, header.dim // header.heads // 2)
    order = "tok_embeddings attention_norm wq wk wv wo ffn_norm w1 w2 w3 norm"
    yield from ((name, shapes[name]) for name in order.split())
    yield from (("freq_cis_real", angles), ("freq_cis_imag", angles))
    if not header.tied:
        yield "output", shapes["output"]


def versioned_parts(header: Header) -> Iterator[Part]:
    shapes = part_shapes(header)
    order = "attention_norm ffn_norm norm tok_embeddings wq wk wv wo w1 w2 w3"
    yield from ((name, shapes[name]) for name in order.split())
    if not header.tied:
        yield "output", shapes["output"]


def part_shapes(header: Header) -> dict[str, tuple[int, ...]]:
    """The shape of each part; those of the layers have the layers as their first axis."""
    dim, hidden, layers = header.dim, header.hidden, header.layers
    kv_dim = dim // header.heads * header.kv_heads
    return {
        "tok_embeddings": (header.vocabulary, dim),
        "attention_norm": (layers, dim),
        "wq": (layers, dim, dim),
        "wk": (layers, kv_dim, dim),
        "wv": (layers, kv_dim, dim),
        "wo": (layers, dim, dim),
        "ffn_norm": (layers, dim),
        "w1": (layers, hidden, dim),
        "w2": (layers, dim, hidden),
        "w3": (layers, hidden, dim),
        "norm": (dim,),
        "output": (header.vocabulary, dim),
    }


def stored_in(file: StaysOpen, header: Header, parts: list[Part]) -> dict[str, Stored]:
    """The parts, and those of the layers one by one as "wq.3"."""
    stored: dict[str, Stored] = {}
    at = header.start * FLOAT
    for name, shape in parts:
        pieces = {name: shape}
        if name in LAYERED.values():
            pieces = {f"{name}.{n}": shape[1:] for n in range(header.layers)}
        for piece, size in pieces.items():
            stored[piece] = in_file(piece, "F32", torch.float32, size, file, at)
            at += math.prod(size) * FLOAT
    return stored


LAYERED = {
    "norm1": "attention_norm",
    "norm2": "ffn_norm",
    "attn.q": "wq",
    "attn.k": "wk",
    "attn.v": "wv",
    "attn.o": "wo",
    "mlp.gate": "w1",
    "mlp.up": "w3",
    "mlp.down": "w2",
}


def weights(header: Header) -> dict[str, Source]:
    """Where each parameter lies. Rotary pairs are adjacent here as there."""
    places = {"embed.weight": Source("tok_embeddings"), "norm.weight": Source("norm")}
    for n in range(header.layers):
        places |= {f"blocks.{n}.{ours}.weight": Source(f"{part}.{n}") for ours, part in LAYERED.items()}
    if not header.tied:
        places["head.weight"] = Source("output")
    return places


register(Reader("model of llama2.c (.bin)", recognises, read, file=True))
