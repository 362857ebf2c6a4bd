"""Files of safetensors: how long the header is, the header in JSON, then the numbers of one tensor after the other.

Every size is held against the file's before it is believed, and a tensor is read when it is asked for. The library
writes these files here, but reads them no more: it maps them, and the system ends a program that touches what was cut
away from a file that it has mapped.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from model_core.api.errors import InputError
from model_core.api.files.json_file import json_in
from model_core.api.files.regular_file import StaysOpen, is_there
from model_core.api.run_files import MOST_HEADER
from model_core.checkpoint.files import Stored, in_file, readable

METADATA = "__metadata__"
BEGIN = 8  # bytes, which say how long the header is
MOST_AXES = 64  # of a tensor of PyTorch
MOST_NUMBER = 2**63 - 1
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


class Damaged(Exception):
    """What is wrong with a file."""


def read_safetensors(path: Path) -> dict[str, Stored]:
    """Every tensor of a safetensors file by its name, in the order of the file. InputError where it is none."""
    return read_with_metadata(path)[0]


def read_with_metadata(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """The tensors of a safetensors file, and what it says beside them. InputError where it is none."""
    if not is_there(path):
        raise InputError(f"{path.parent} has no {path.name}")
    file = StaysOpen(path)
    try:
        header, start = header_of(file)
        about = header.pop(METADATA, {})
        if not isinstance(about, dict) or not all(isinstance(said, str) for said in about.values()):
            raise Damaged(f"its {METADATA} is no object of texts")
        return dict(tensors_of(file, header, start)), about
    except Damaged as error:
        raise InputError(f"{path} is no whole safetensors file: {error}") from None


def header_of(file: StaysOpen) -> tuple[dict[str, Any], int]:
    """The header, and where the numbers begin."""
    if file.size < BEGIN:
        raise Damaged("it has no header")
    size = int.from_bytes(file.read(0, BEGIN), "little")
    if size > MOST_HEADER:
        raise Damaged(f"a header may have {MOST_HEADER:,} bytes, not {size:,}")
    if BEGIN + size > file.size:
        raise Damaged("it ends within its header")
    try:
        header = json_in(file.read(BEGIN, size).decode(), "its header")
    except UnicodeDecodeError:
        raise Damaged("its header is not UTF-8 text") from None
    except InputError as error:
        raise Damaged(str(error)) from None
    if not isinstance(header, dict):
        raise Damaged("its header is no JSON object")
    return header, BEGIN + size


def tensors_of(file: StaysOpen, header: dict[str, Any], start: int) -> Iterator[tuple[str, Stored]]:
    """The tensors, each of which begins where the one before it ends."""
    entries = sorted((entry_of(name, said), name) for name, said in header.items())
    at = 0
    for (begin, end, dtype, shape), name in entries:
        if begin != at:
            raise Damaged(
                f"{readable(name)} begins at {begin:,}, not at {at:,}, where the one before it ends"
            )
        at = end
        yield name, in_file(name, dtype, DTYPES[dtype], shape, file, start + begin)
    if at != file.size - start:
        raise Damaged(f"its tensors are {at:,} bytes, but it has {file.size - start:,} for them")


def entry_of(name: str, said: Any) -> tuple[int, int, str, tuple[int, ...]]:
    """Where a tensor begins and ends, its dtype and its shape, by what the header says of it."""
    match said:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]} if all(
            type(n) is int and 0 <= n <= MOST_NUMBER for n in (*shape, begin, end)
        ):
            pass
        case _:
            raise Damaged(f"its header does not say dtype, shape and place of {readable(name)}")
    if dtype not in DTYPES:
        raise Damaged(f"{readable(name)} has the dtype {readable(dtype)}, which is not known here")
    if len(shape) > MOST_AXES:
        raise Damaged(f"{readable(name)} has {len(shape):,} axes, more than {MOST_AXES}")
    size = math.prod(shape) * DTYPES[dtype].itemsize
    if end - begin != size:
        raise Damaged(f"{readable(name)} has {end - begin:,} bytes, which its dtype and shape do not make")
    return begin, end, dtype, tuple(shape)
