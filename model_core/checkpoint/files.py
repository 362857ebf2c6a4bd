"""What the readers share: stored tensors, known by shape before they are read; JSON; file names."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.files.json_file import (
    read_json as read_json,  # beside the other readers, for every format
)
from model_core.api.files.regular_file import StaysOpen
from model_core.api.plain_text import shortened
from model_core.families.config import Source
from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import Tokenizer

LONGEST_FILE_NAME = 200  # bytes; with a suffix no more than the 255 that systems know
MOST_OF_A_TENSOR = 160  # letters of a tensor's name, and of what is wrong with it, in a message
FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
COMPARED_AT_ONCE = 1 << 22  # bytes
MAX_PART = 1 << 26  # bytes of what is looked at before it is known whether the model fits the memory


@dataclass(frozen=True)
class Stored:
    """A tensor of a file, nothing of which is read before `read`: that gives it in memory of its own, each time anew.

    dtype  as safetensors names it; of some, such as F8_E5M2, PyTorch can read the numbers and not calculate with them
    part   reads rows from one to before another, where that takes less than to read all: `rows`
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]
    part: Callable[[int, int], Tensor] | None = None

    def check_floats(self) -> None:
        """InputError for any dtype but those of weights: of some, PyTorch can neither copy nor compare the numbers."""
        if self.dtype not in FLOAT_BYTES:
            raise InputError(
                f"{readable(self.name)} is stored as {self.dtype}; weights must be {', '.join(FLOAT_BYTES)}"
            )

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [N ...] of the tensor: along its first axis longer than 1, the axes before that left away.

        InputError for any dtype but those of weights, and for more than a model is told by.
        """
        self.check_floats()
        shape = without_ones(self.shape)
        if (stop - start) * math.prod(shape[1:]) * FLOAT_BYTES[self.dtype] > MAX_PART:
            raise InputError(f"{readable(self.name)} has the shape {self.shape}, whose rows no model has")
        if self.part is None:
            return self.read().reshape(shape)[start:stop]
        return self.part(start, stop)

    def is_same(self, other: "Stored") -> bool:
        """Has the other the same shape, dtype and numbers? InputError as `rows`."""
        self.check_floats()
        other.check_floats()
        if (self.shape, self.dtype) != (other.shape, other.dtype):
            return False
        count, *row = without_ones(self.shape)
        few = max(1, COMPARED_AT_ONCE // max(1, math.prod(row) * FLOAT_BYTES[self.dtype]))
        return all(
            torch.equal(self.rows(start, stop), other.rows(start, stop))
            for start in range(0, count, few)
            for stop in [min(count, start + few)]
        )

    def converted(self, convert: Callable[[Tensor], Tensor]) -> "Stored":
        """The same tensor after `convert`. InputError where that cannot be done to a tensor of its shape."""
        try:
            shape = tuple(convert(torch.empty(self.shape, device="meta")).shape)
        except (RuntimeError, IndexError, TypeError, ValueError):
            raise InputError(
                f"{readable(self.name)} has the shape {self.shape}, which cannot be right"
            ) from None
        return Stored(self.name, shape, self.dtype, lambda: convert(self.read()))


def readable(name: str) -> str:
    """The name of a tensor, which a stranger gave it, as a message has it: printable, a long one without its middle."""
    return shortened(name if name.isprintable() else repr(name), MOST_OF_A_TENSOR)


def some(names: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    shown = ", ".join(map(readable, names[:3]))
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def numbers(file: StaysOpen, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """The numbers from byte `start` of a file on, in memory of their own. InputError where the file has been cut."""
    memory = torch.empty(math.prod(shape) * dtype.itemsize, dtype=torch.uint8)
    file.read_into(memory.numpy(), start)
    return memory.view(dtype).view(shape)


def in_file(
    name: str, dtype: str, kind: torch.dtype, shape: tuple[int, ...], file: StaysOpen, at: int
) -> Stored:
    """A tensor whose numbers lie one after the other from byte `at` of a file on."""
    whole = without_ones(shape)

    def part(start: int, stop: int) -> Tensor:
        row = math.prod(whole[1:]) * kind.itemsize
        return numbers(file, at + start * row, kind, (stop - start, *whole[1:]))

    return Stored(name, shape, dtype, partial(numbers, file, at, kind, shape), part)


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape from its first axis longer than 1 on; (1,) where there is none."""
    first = next((axis for axis, length in enumerate(shape) if length != 1), len(shape))
    return shape[first:] or (1,)


def match(
    sources: Mapping[str, Source], stored: Mapping[str, Stored], ignored: Sequence[str] = ()
) -> tuple[dict[str, Stored], list[str], list[str]]:
    """Our parameters by name; stored names that are missing; those nobody needs, `ignored` globs aside."""
    wanted = {source.name for source in sources.values()}
    missing = sorted(wanted - stored.keys())
    others = [name for name in stored if name not in wanted]
    extra = [name for name in others if not any(fnmatchcase(name, glob) for glob in ignored)]
    for name in sorted(wanted & stored.keys()):
        stored[name].check_floats()
    tensors = {
        ours: stored[source.name].converted(source.convert)
        for ours, source in sources.items()
        if source.name in stored
    }
    return tensors, missing, extra


def check_layers(config: Any, stored: Mapping[str, Stored]) -> None:
    """InputError where a configuration claims more layers than there are tensors, before any is built."""
    for field in fields(config):
        count = getattr(config, field.name)
        if field.name.endswith("layers") and count > len(stored):
            raise InputError(
                f"the configuration has {count} layers, but only {len(stored)} tensors are stored"
            )


def is_plain(name: object) -> bool:
    """Is it the name of a file in the same folder, leading nowhere else?"""
    return (
        isinstance(name, str)
        and len(name.encode("utf-8", "replace")) <= LONGEST_FILE_NAME
        and name.isprintable()
        and name.strip(". ") != ""
        and not set("/\\:") & set(name)
    )


def tokenizer_beside(path: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer that lies beside a file of weights, where one fits; a folder may have many models.

    InputError, in one line, where one lies there that is damaged, or may not be read.
    """
    return tokenizer_in(path.parent, vocab_size, shared=True)
