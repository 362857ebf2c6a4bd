"""What the readers share: stored tensors, known by shape before they are read; JSON; file names."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
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
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Stored:
    """A tensor of a file, nothing of which is read before `read`: that gives it in memory of its own, each time anew.

    dtype  as safetensors names it; of some, such as F8_E5M2, PyTorch can read the numbers and not calculate with them
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]

    def check_floats(self) -> None:
        """InputError for any dtype but those of weights: of some, PyTorch can neither copy nor compare the numbers."""
        if self.dtype not in FLOATS:
            raise InputError(
                f"{readable(self.name)} is stored as {self.dtype}; weights must be {', '.join(FLOATS)}"
            )

    def floats(self) -> Tensor:
        """The tensor, which can be calculated with. InputError where it is of another dtype than weights are."""
        self.check_floats()
        return self.read()

    def is_same(self, other: "Stored") -> bool:
        """Has the other the same shape, dtype and numbers? InputError for any dtype but those of weights."""
        self.check_floats()
        other.check_floats()
        return (self.shape, self.dtype) == (other.shape, other.dtype) and torch.equal(
            self.read(), other.read()
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
