"""State dicts as torch.save writes them (.pth, .pt), recognised by the names of their tensors: layouts/, one file each.

The state dict may stand alone or under "model", "state_dict" or "model_state_dict", and have prefixes that wrappers
of PyTorch put before its names. Only tensors and plain values are read (torch.load with weights_only): a file that
asks for any function to be called is refused.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_core.checkpoint import Blueprint, Reader, register, some
from model_core.checkpoint.files import Stored, check_layers, match, tokenizer_beside
from model_core.checkpoint.layouts import LAYOUTS
from model_core.checkpoint.said import settle
from model_core.errors import InputError

HOLDERS = ("model", "state_dict", "model_state_dict")
WRAPPERS = ("module.", "_orig_mod.")  # DistributedDataParallel, torch.compile
ZIP = b"PK\x03\x04"
NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def recognises(path: Path) -> bool:
    """Is it a file of torch.save, or a pickle, which is refused with a better reason than not being known?"""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(4)
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
    name = path.resolve().stem
    config = settle(name, plan.family, plan.known, said, plan.asks)
    check_layers(config, found)
    tensors, missing, extra = match(plan.weights(config), {**found, **plan.added}, plan.ignored)
    return Blueprint(
        name=name,
        family=plan.family,
        config=config,
        tensors=tensors,
        missing=missing,
        extra=extra,
        tokenizer=lambda: tokenizer_beside(path, config.vocab_size),
    )


def load(path: Path) -> Any:
    """The content of a file of torch.save; its tensors are mapped, not read. InputError for anything else."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise InputError(why_not(path, str(error))) from None


def why_not(path: Path, error: str) -> str:
    """Why torch would not load the file, in one line."""
    if called := re.search(r"GLOBAL ([\w.]+)", error):
        return (
            f"{path} holds more than weights ({called[1]}), which could run code and is not read: "
            "save model.state_dict() alone"
        )
    if "mmap can only be used" in error:
        return f"{path} is a pickle or was saved by PyTorch before 1.6: load it there and torch.save its state_dict()"
    reason = next((line.strip() for line in error.splitlines() if line.strip()), "it is damaged")
    return f"{path} is no whole file of torch.save: {reason[:200].split('. ')[0]}"


def state_dict(path: Path) -> tuple[dict[str, Stored], Mapping[str, Any]]:
    """The tensors of a file by their names without wrappers' prefixes, and what lies beside them."""
    content = load(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no state dict: save model.state_dict()")
    beside: Mapping[str, Any] = {}
    for holder in HOLDERS:
        if isinstance(content.get(holder), Mapping):
            content, beside = content[holder], content
            break
    found: dict[str, Stored] = {}
    for name, tensor in tensors_of(content):
        if (plain := without_wrappers(name)) in found:
            raise InputError(f"{path} stores {plain} twice, with and without a prefix")
        found[plain] = stored_as(name, tensor)
    if not found:
        raise InputError(f"{path} holds no tensors: save model.state_dict()")
    return found, beside


def tensors_of(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """The plain tensors of a mapping; what else is in it (a counter, an optimizer's state) is no weight."""
    for name, tensor in content.items():
        if isinstance(name, str) and isinstance(tensor, Tensor):
            plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
            if not plain:
                raise InputError(f"{name} is stored in a form that cannot be read: save plain tensors")
            yield name, tensor.detach()


def without_wrappers(name: str) -> str:
    while name.startswith(WRAPPERS):
        for prefix in WRAPPERS:
            name = name.removeprefix(prefix)
    return name


def stored_as(name: str, tensor: Tensor) -> Stored:
    """A mapped tensor."""
    dtype = NAMES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    return Stored(name, tuple(tensor.shape), dtype, lambda: tensor)


register(Reader("file of torch.save (.pth, .pt)", recognises, read, file=True))
