"""The model of a blueprint: held against what is stored and what memory is free, then filled tensor by tensor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_core.api.errors import Cancelled, DoesNotFit, InputError
from model_core.api.plain_text import bytes_text
from model_core.checkpoint.files import Stored, readable, some
from model_core.checkpoint.registry import Blueprint
from model_core.families.registry import Family
from model_core.parts.model import Model
from model_core.system import devices
from model_core.text.tokenizer import Tokenizer

# A model has a few for each layer and head; more than so many are no model, and would be counted for minutes.
MOST_TENSORS = 20_000


@dataclass
class Loaded:
    """A model ready to run: in eval mode, on its device, in its dtype, asking for no gradients."""

    model: Model
    tokenizer: Tokenizer
    family: Family
    name: str
    path: Path | None


def open_blueprint(
    blueprint: Blueprint,
    path: Path | None,
    device: str,
    dtype: str,
    *,
    progress: Callable[[float], None],
    needs: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Loaded:
    """The model of a blueprint. InputError where it does not fit its tensors, or the memory that is free."""
    where, kind = devices.check(device, dtype)
    model = empty_model(blueprint.family, blueprint.config)
    check_tensors(blueprint, model)
    needs(check_memory(blueprint, model, device, dtype))
    tokenizer = blueprint.tokenizer()
    with devices.memory_errors(f"opening {blueprint.name}", "a smaller dtype or another device"):
        fill(model, blueprint.tensors, where, kind, progress, cancelled)
    return Loaded(model, tokenizer, blueprint.family, blueprint.name, path)


def empty_model(family: Family, config: Any) -> Model:
    """The model on the meta device: every shape, no memory. InputError for more tensors than any model has."""
    with torch.device("meta"), FewTensors():
        return family.build(config)


class FewTensors(TorchFunctionMode):
    """While it lasts, InputError for a model of more tensors than any has: it is not built to its end."""

    made = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.empty, torch.zeros, torch.ones):
            self.made += 1
            if self.made > MOST_TENSORS:
                raise InputError(
                    f"this makes more than {MOST_TENSORS:,} tensors: choose fewer layers or heads"
                )
        return func(*args, **(kwargs or {}))


def check_tensors(blueprint: Blueprint, model: nn.Module) -> None:
    """InputError unless the files store exactly the model's parameters, in its shapes, as numbers."""
    name = blueprint.name
    if blueprint.missing:
        raise InputError(f"{name} lacks {some(blueprint.missing)}, which its configuration needs")
    if blueprint.extra:
        raise InputError(f"{name} stores {some(blueprint.extra)}, for which its configuration has no place")
    wrong = []
    for ours, parameter in model.named_parameters():
        stored, shape = blueprint.tensors[ours], tuple(parameter.shape)
        if stored.shape != shape:
            wrong.append(f"{stored.name} (makes {ours} {stored.shape}, not {shape})")
    if wrong:
        raise InputError(f"{name} does not fit its configuration: {some(wrong)}")


def check_memory(blueprint: Blueprint, model: nn.Module, device: str, dtype: str) -> str:
    """What the model takes and what is free, in words. DoesNotFit where the one is more than the other."""
    size = sum(parameter.numel() for parameter in model.parameters()) * devices.DTYPES[dtype].itemsize
    return check_room(f"{blueprint.name} in {dtype}", size, device, "choose a smaller dtype")


def check_room(what: str, size: int, device: str, remedy: str) -> str:
    """How many bytes are needed and free, in words. DoesNotFit where the one is more than the other.

    Some systems kill a program rather than refuse it memory, so it is not tried.
    """
    found = devices.find(device)
    free = found.memory_bytes if found.free_bytes is None else found.free_bytes
    if free is None:
        return f"needs {gigabytes(size)}"
    if size > free:
        raise DoesNotFit(
            f"{what} needs {gigabytes(size)}, but {device} has {gigabytes(free)} free: "
            f"{remedy} or another device, or close other programs"
        )
    return f"needs {gigabytes(size)}, {gigabytes(free)} free"


def gigabytes(size: int) -> str:
    """Bytes beside others of them, which may be a few gigabytes."""
    return bytes_text(size, gigabytes_from=1e8)


def fill(
    model: nn.Module,
    tensors: Mapping[str, Stored],
    device: torch.device,
    dtype: torch.dtype,
    progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> None:
    """Give each parameter its stored values, one by one. Names that share a parameter go on sharing it."""
    total = sum(parameter.numel() for parameter in model.parameters())
    done = 0
    new: dict[nn.Parameter, nn.Parameter] = {}
    # load_state_dict would go through all names once for each module.
    for at, module in model.named_modules():
        own = module.named_parameters(at, recurse=False, remove_duplicate=False)
        for name, parameter in list(own):
            if parameter not in new:
                if cancelled():
                    raise Cancelled
                new[parameter] = nn.Parameter(taken(tensors[name], device, dtype), requires_grad=False)
                done += parameter.numel()
                progress(done / total)
            setattr(module, name.rpartition(".")[2], new[parameter])
    model.requires_grad_(False)
    model.eval()


def taken(stored: Stored, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The stored values as a tensor of their own. InputError where one is not finite, or not in the dtype."""
    source = stored.read()
    if not is_finite(source):
        raise InputError(f"{readable(stored.name)} holds NaN or infinite weights: the checkpoint is damaged")
    values = source.to(device, dtype)
    if (
        not values.is_contiguous() or values.nbytes < values.untyped_storage().nbytes()
    ):  # a part of what was read
        values = values.clone(memory_format=torch.contiguous_format)
    if dtype != source.dtype and not is_finite(values):
        name = str(dtype).removeprefix("torch.")
        raise InputError(
            f"{readable(stored.name)} holds weights too large for {name}: choose float32 or bfloat16"
        )
    return values


def is_finite(values: Tensor) -> bool:
    """No NaN and no infinity, found without a temporary of the tensor's size."""
    low, high = values.aminmax()
    return bool(low.isfinite() and high.isfinite())
