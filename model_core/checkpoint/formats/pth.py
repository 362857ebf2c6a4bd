"""State dicts as torch.save writes them (.pth, .pt), recognised by the names of their tensors: layouts/, one file each.

The state dict may stand alone or under "model", "state_dict" or "model_state_dict", and have prefixes that wrappers
of PyTorch put before its names. Only tensors and plain values are read (torch_file.py): a file that asks for any
function to be called is refused.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from model_core.api.errors import InputError
from model_core.api.files.paths import followed
from model_core.api.files.regular_file import open_regular
from model_core.checkpoint.building import MOST_TENSORS, gigabytes
from model_core.checkpoint.files import Stored, check_layers, readable, some, tokenizer_beside
from model_core.checkpoint.layouts.registry import LAYOUTS
from model_core.checkpoint.registry import Blueprint, Reader, register
from model_core.checkpoint.said import settle
from model_core.checkpoint.torch_file import ZIP, load
from model_core.checkpoint.torch_pickle import Laid, Opaque
from model_core.families.config import Source

HOLDERS = ("model", "state_dict", "model_state_dict")
WRAPPERS = ("module.", "_orig_mod.")  # DistributedDataParallel, torch.compile
LONGEST_TENSOR_NAME = 500  # letters; of the longest that a model of PyTorch has by itself, a few times over
NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def recognises(path: Path) -> bool:
    """Is it a file of torch.save, or a pickle, which is refused with a better reason than not being known?"""
    with open_regular(path) as file:
        start = file.read(len(ZIP))
    pickled = len(start) > 2 and start[0] == 0x80 and 2 <= start[1] <= 5 and start[2] != 0
    return start == ZIP or pickled


def read(path: Path, said: Mapping[str, str]) -> Blueprint:
    """What the file holds, by the first layout that its names fit."""
    found, beside = state_dict(path)
    layout = next((layout for layout in LAYOUTS if layout.recognises(found)), None)
    if layout is None:
        known = ", ".join(layout.title for layout in LAYOUTS)
        raise InputError(
            f"{path} holds {some(list(found))}, which are the names of no layout known here: {known}"
        )
    plan = layout.read(found, beside)
    name = followed(path).stem
    config = settle(name, plan.family, plan.known, said, plan.asks)
    check_layers(config, found)
    sources = plan.weights(config)
    tokenizer = partial(tokenizer_beside, path, config.vocab_size)
    blueprint = Blueprint.matched(
        name, plan.family, config, sources, {**found, **plan.added}, tokenizer, plan.ignored
    )
    check_held(path, found, sources.values())
    return blueprint


@dataclass(frozen=True)
class Placed(Stored):
    """A tensor of which it is known where in the file its numbers lie."""

    laid: Laid = field(kw_only=True)

    def is_same(self, other: Stored) -> bool:
        # Tied weights are mostly stored once, under two names.
        return (isinstance(other, Placed) and self.laid == other.laid) or super().is_same(other)


def state_dict(path: Path) -> tuple[dict[str, Placed], Mapping[str, Any]]:
    """The tensors of a file by their names without wrappers' prefixes, and what lies beside them."""
    content = load(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no state dict: save model.state_dict()")
    beside: Mapping[str, Any] = {}
    for holder in HOLDERS:
        if isinstance(content.get(holder), Mapping):
            content, beside = content[holder], content
            break
    found: dict[str, Placed] = {}
    for name, laid in tensors_of(content):
        if len(name) > LONGEST_TENSOR_NAME:
            raise InputError(
                f"{path} has a tensor whose name is {len(name):,} letters long, more than {LONGEST_TENSOR_NAME}: "
                "save the state dict with shorter names"
            )
        if len(found) == MOST_TENSORS:
            raise InputError(f"{path} holds more than {MOST_TENSORS:,} tensors, which are no model's")
        if (plain := without_wrappers(name)) in found:
            raise InputError(f"{path} stores {readable(plain)} twice, with and without a prefix")
        found[plain] = stored_as(name, laid)
    if not found:
        raise InputError(f"{path} holds no tensors: save model.state_dict()")
    return found, beside


def tensors_of(content: Mapping[str, Any]) -> Iterator[tuple[str, Laid]]:
    """The plain tensors of a mapping; what else is in it (a counter, an optimizer's state) is no weight."""
    for name, laid in content.items():
        if isinstance(laid, Opaque) and laid.is_tensor:
            raise InputError(f"{readable(name)} is stored in a form that cannot be read: save plain tensors")
        if isinstance(laid, Laid):
            yield name, laid


def without_wrappers(name: str) -> str:
    while name.startswith(WRAPPERS):
        for prefix in WRAPPERS:
            name = name.removeprefix(prefix)
    return name


def stored_as(name: str, laid: Laid) -> Placed:
    """A tensor that is read when it is asked for."""
    dtype = NAMES.get(laid.dtype, str(laid.dtype).removeprefix("torch."))
    return Placed(name, laid.shape, dtype, laid.read, laid.rows, laid=laid)


def check_held(path: Path, found: Mapping[str, Placed], sources: Iterable[Source]) -> None:
    """InputError where the weights are more bytes than the file; two that are one, as tied ones are, count once.

    A file may name the same numbers as often as it likes, and a model has memory of its own for each name.
    """
    names = {source.name for source in sources}
    used = Counter(found[name].laid for name in names & found.keys())
    taken = sum((times + 1) // 2 * laid.bytes for laid, times in used.items())
    held = max((laid.file.size for laid in used), default=0)
    if taken > held:
        raise InputError(
            f"{path} has {gigabytes(held)}, but its weights would be {gigabytes(taken)}: many of its tensors "
            "share their numbers; save a state dict with tensor.clone() of each"
        )


register(Reader("file of torch.save (.pth, .pt)", recognises, read, file=True))
