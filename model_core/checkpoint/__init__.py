"""Opening checkpoints. One file a format, found by looking, says what lies where; the model is built here.

    loaded = open_checkpoint("folder/of/a/model", device="cpu", dtype="float32", config=["heads=8"])
    loaded.model(tokens)

No code of a checkpoint is ever run, and what it claims is checked against what it stores before any memory is
taken.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_core.api.errors import Cancelled, DoesNotFit, InputError
from model_core.api.files.paths import expanded
from model_core.api.files.regular_file import check_regular, is_there, why
from model_core.checkpoint import said
from model_core.checkpoint.files import Stored, readable, some
from model_core.families import Family
from model_core.parts.model import Model
from model_core.system import devices
from model_core.text.formats.ranks import ENCODINGS, named
from model_core.text.tokenizer import IDS, IdTokenizer, Tokenizer


@dataclass(frozen=True)
class Blueprint:
    """What a reader found, before anything is allocated.

    tensors    our parameter name -> the stored tensor, already in our layout when it is read
    missing    stored names that the configuration needs and that are not there
    extra      stored names that nobody needs
    tokenizer  called once the weights are known to fit the configuration
    """

    name: str
    family: Family
    config: Any
    tensors: Mapping[str, Stored]
    missing: Sequence[str]
    extra: Sequence[str]
    tokenizer: Callable[[], Tokenizer]


@dataclass(frozen=True)
class Reader:
    """A checkpoint format: how it is recognised by what lies at a path, and read.

    what  the file that a folder of the format has, or what a file of the format is, for people
    file  whether the format is one file, and no folder
    read  given what was said of the model beside its files (said.py)
    """

    what: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, str]], Blueprint]
    file: bool = False


READERS: list[Reader] = []
# A model has a few for each layer and head; more than so many are no model, and would be counted for minutes.
MOST_TENSORS = 20_000
ENCODING = "tokenizer"  # how an encoding is named among what a person says


def register(reader: Reader) -> None:
    """Called once at the end of each format's file."""
    READERS.append(reader)


@dataclass
class Loaded:
    """A model ready to run: in eval mode, on its device, in its dtype, asking for no gradients."""

    model: Model
    tokenizer: Tokenizer
    family: Family
    name: str
    path: Path | None


def open_checkpoint(
    path: str | Path,
    device: str = "cpu",
    dtype: str = "float32",
    *,
    config: Sequence[str] = (),
    progress: Callable[[float], None] = lambda done: None,
    needs: Callable[[str], None] = lambda words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Loaded:
    """The model of a checkpoint. Peak memory is the model and one tensor.

    config     what its files do not say, "heads=8" each; "tokenizer=gpt2" names an encoding in place of its tokenizer,
               "tokenizer=ids" has token ids for a prompt
    progress   told the share of the weights that is in place, 0 to 1
    needs      told once, before memory is taken, what the model takes and what is free
    cancelled  asked before each tensor; True raises Cancelled

    InputError, in one line, for everything that is wrong with the path, the files, the device or the dtype; Unsaid
    where `config` is to say more.
    """
    devices.check(device, dtype)
    words = said.parse(config)
    encoding = words.pop(ENCODING, None)
    reader, path = reader_of(expanded(path))
    blueprint = reading(reader.read(path, words), encoding, path if path.is_dir() else path.parent)
    return open_blueprint(blueprint, path, device, dtype, progress=progress, needs=needs, cancelled=cancelled)


def reading(blueprint: Blueprint, encoding: str | None, folder: Path | None) -> Blueprint:
    """The blueprint with one of tiktoken's encodings, or token ids, in place of its tokenizer, where that was said."""
    size = blueprint.config.vocab_size
    if encoding is None:
        return replace(blueprint, tokenizer=lambda: with_a_way_on(blueprint.tokenizer, size))
    return replace(
        blueprint, tokenizer=lambda: IdTokenizer(size) if encoding == IDS else named(encoding, size, folder)
    )


def with_a_way_on(tokenizer: Callable[[], Tokenizer], size: int) -> Tokenizer:
    """The tokenizer. Where it is refused, what may read the prompt of a model of `size` ids in its place is asked."""
    try:
        return tokenizer()
    except InputError as error:
        fitting = [name for name, encoding in ENCODINGS.items() if max(encoding.special.values()) < size]
        about = "token ids such as 5 17 3, or an encoding of tiktoken's"
        ask = {"name": ENCODING, "default": IDS, "about": about, "kind": "choice", "choices": [IDS, *fitting]}
        way_on = f"to open the model without it, say --config {ENCODING}={IDS}"
        refused = InputError(f"{error}; {way_on}", window=error.window)
        refused.asks = [ask]
        raise refused from None


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


def reader_of(path: Path) -> tuple[Reader, Path]:
    """The reader that recognises what lies at the path, and the path: of a folder's own file, the folder."""
    if not is_there(path):
        raise InputError(f"{path} does not exist")
    try:
        folder = path.is_dir()
        if not folder:
            check_regular(path)
        for place in (path.parent, path) if is_part(path) else (path,):
            for reader in READERS:
                if reader.file != place.is_dir() and reader.recognises(place):
                    return reader, place
        inside = [file.name for file in path.iterdir() if is_model(file)] if folder else []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from None
    if inside:
        raise InputError(f"{path} is no model itself: give one of its files, such as {min(inside)}")
    folders = either(reader.what for reader in READERS if not reader.file)
    if folder:
        raise InputError(f"{path} has no {folders}: give the folder of a checkpoint")
    files = either(reader.what for reader in READERS if reader.file)
    raise InputError(f"{path} is no {files}: give such a file, or the folder that has {folders}")


def is_part(path: Path) -> bool:
    """Is it a file that says nothing without its folder?"""
    return path.is_file() and (path.suffix in (".json", ".safetensors") or path.match("consolidated.*.pth"))


def is_model(file: Path) -> bool:
    """Is it a model by itself? What cannot be read is none."""
    try:
        return file.is_file() and any(reader.file and reader.recognises(file) for reader in READERS)
    except InputError:
        return False


def either(words: Iterable[str]) -> str:
    """ "a, b or c" """
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


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
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


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


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
