"""What the readers share: stored tensors, known by shape before they are read; JSON; file names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_core.config import Source
from model_core.errors import InputError, first_line
from model_core.json_file import read_json as read_json  # beside the other readers, for every format
from model_core.regular_file import is_there, open_regular
from model_core.run_files import MOST_HEADER
from model_core.tokenizer import Tokenizer
from model_core.tokenizers import tokenizer_in

LONGEST_NAME = 200  # bytes; with a suffix no more than the 255 that systems know
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Stored:
    """A tensor of a file: `read` maps it, and copies nothing where it can, whatever PyTorch can do with its dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]

    def check_floats(self) -> None:
        """InputError for any dtype but those of weights: of some, PyTorch can neither copy nor compare the numbers."""
        if self.dtype not in FLOATS:
            raise InputError(f"{self.name} is stored as {self.dtype}; weights must be {', '.join(FLOATS)}")

    def floats(self) -> Tensor:
        """The tensor, which can be calculated with. InputError where it is of another dtype than weights are."""
        self.check_floats()
        return self.read()

    def converted(self, convert: Callable[[Tensor], Tensor]) -> "Stored":
        """The same tensor after `convert`. InputError where that cannot be done to a tensor of its shape."""
        try:
            shape = tuple(convert(torch.empty(self.shape, device="meta")).shape)
        except (RuntimeError, IndexError, TypeError, ValueError):
            raise InputError(f"{self.name} has the shape {self.shape}, which cannot be right") from None
        return Stored(self.name, shape, self.dtype, lambda: convert(self.read()))


def read_safetensors(path: Path) -> dict[str, Stored]:
    """Every tensor of a safetensors file by its name; only the header is read."""
    with opened(path) as file:
        return {name: stored_in(file, name) for name in file.keys()}  # noqa: SIM118, it cannot be iterated


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says beside its tensors."""
    with opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A safetensors file, mapped as long as one of its tensors may be read. InputError where it is none."""
    if not is_there(path):
        raise InputError(f"{path.parent} has no {path.name}")
    with open_regular(path) as start:
        header = int.from_bytes(start.read(8), "little")
    if header > MOST_HEADER:
        raise InputError(
            f"{path} is no whole safetensors file: a header may have {MOST_HEADER:,} bytes, not {header:,}"
        )
    try:
        yield safe_open(path, framework="pt")
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = first_line(error).removeprefix("Error while deserializing header: ")
        raise InputError(f"{path} is no whole safetensors file: {reason}") from None


def stored_in(file: Any, name: str) -> Stored:
    header = file.get_slice(name)
    return Stored(name, tuple(header.get_shape()), header.get_dtype(), lambda: file.get_tensor(name))


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
        and len(name.encode("utf-8", "replace")) <= LONGEST_NAME
        and name.isprintable()
        and name.strip(". ") != ""
        and not set("/\\:") & set(name)
    )


def tokenizer_beside(path: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer that lies beside a file of weights, where one fits; a folder may have many models.

    InputError, in one line, where one lies there that is damaged, or may not be read.
    """
    return tokenizer_in(path.parent, vocab_size, shared=True)
