"""A file of weights that is replaced, removed or cut between its opening and its reading: its weights, or one line."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model_core import checkpoint
from model_core.api.errors import InputError
from model_core.api.files.regular_file import StaysOpen
from model_core.checkpoint import safetensors_file
from model_core.checkpoint.building import Loaded
from model_core.checkpoint.files import Stored
from model_core.checkpoint.formats import llama2c, native, pth
from model_core.checkpoint.opening import open_checkpoint
from tests.model_core.checkpoint.test_checkpoint_llama2c import legacy, model_of
from tests.support.models import tiny
from tests.support.models.tutorials import MiniGPT, drawn
from tests.support.strange_files import STRANGE, at_once, put


def of_torch(folder: Path) -> Path:
    torch.save(drawn(MiniGPT()).state_dict(), folder / "model.pth")
    return folder / "model.pth"


def of_llama2c(folder: Path) -> Path:
    (folder / "model.bin").write_bytes(legacy(model_of(tied=False)))
    return folder / "model.bin"


def of_safetensors(folder: Path) -> Path:
    tiny.save(folder, "llama", tokenizer=None)
    return folder / native.WEIGHTS


def replaced(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"PK, and something else")
    new.replace(path)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def written_again(path: Path) -> None:
    """As a program does that saves on top of what it saved: first nothing is there, then the beginning."""
    path.write_bytes(path.read_bytes()[:-1])


def grown_again(path: Path) -> None:
    """Cut, and as long as before, of zeros."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2)
        file.truncate(size)


def another(path: Path) -> None:
    """As `cp` does: other bytes, as many, in the same file."""
    path.write_bytes(bytes(reversed(path.read_bytes())))


MADE: dict[str, Callable[[Path], Path]] = {
    "torch.save": of_torch,
    "llama2.c": of_llama2c,
    "safetensors": of_safetensors,
}
# The tensors of a file, none of which is read.
STORED: dict[str, Callable[[Path], Mapping[str, Stored]]] = {
    "torch.save": lambda path: pth.state_dict(path)[0],
    "llama2.c": lambda path: llama2c.read(path, {}).tensors,
    "safetensors": safetensors_file.read_safetensors,
}
LEFT: dict[str, Callable[[Path], None]] = {"removed": Path.unlink, "replaced": replaced} | {
    f"replaced by {kind}": lambda path, kind=kind: put(kind, path)  # type: ignore[misc]
    for kind in STRANGE
}
CUT_OR_NOT_WHOLE = r"was cut while it was read|is no whole file of torch\.save|it ends within the header"
CUT = {"cut": cut, "emptied": emptied, "written again": written_again}


def opened(path: Path, meanwhile: Callable[[], None] = lambda: None) -> Loaded:
    """The model of the file, to which something is done once its tensors are known."""
    return open_checkpoint(path, needs=lambda words: meanwhile())


def weights(loaded: Loaded) -> dict[str, Tensor]:
    return dict(loaded.model.named_parameters())


@pytest.mark.unit
@pytest.mark.parametrize("change", LEFT)
@pytest.mark.parametrize("kind", MADE)
def test_a_file_whose_name_is_taken_gives_its_weights_all_the_same(
    kind: str, change: str, tmp_path: Path
) -> None:
    path = MADE[kind](tmp_path)
    expected = {name: stored.read().clone() for name, stored in STORED[kind](path).items()}
    found = STORED[kind](path)
    LEFT[change](path)
    assert found.keys() == expected.keys()
    with at_once():
        assert all(torch.equal(found[name].read(), tensor) for name, tensor in expected.items())


# Where this does not hold, the process ends.
@pytest.mark.process
@pytest.mark.parametrize("change", CUT)
@pytest.mark.parametrize("kind", MADE)
def test_a_file_that_is_cut_meanwhile_ends_in_one_line(kind: str, change: str, tmp_path: Path) -> None:
    path = MADE[kind](tmp_path)
    with pytest.raises(InputError) as refused:
        opened(path, partial(CUT[change], path))
    assert str(refused.value) == f"{path} was cut while it was read: open it again when it is whole"


@pytest.mark.unit
@pytest.mark.parametrize("change", [grown_again, another])
@pytest.mark.parametrize("kind", MADE)
def test_a_file_that_is_written_meanwhile_ends_in_one_line(
    kind: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = MADE[kind](tmp_path)
    os.utime(path, ns=(0, 0))  # a system counts time in steps, and this is long before
    with pytest.raises(InputError) as refused:
        opened(path, partial(change, path))
    assert str(refused.value) == f"{path} was written while it was read: open it again"


@pytest.mark.process
@pytest.mark.parametrize("change", CUT)
@pytest.mark.parametrize("kind", MADE)
def test_a_tensor_that_was_read_is_whole_whatever_becomes_of_its_file(
    kind: str, change: str, tmp_path: Path
) -> None:
    path = MADE[kind](tmp_path)
    expected = {name: stored.read().clone() for name, stored in STORED[kind](path).items()}
    read = {name: stored.read() for name, stored in STORED[kind](path).items()}
    CUT[change](path)
    assert all(torch.equal(read[name], tensor) for name, tensor in expected.items())


@pytest.mark.unit
@pytest.mark.parametrize("kind", MADE)
def test_a_tensor_alone_is_read_and_not_the_rest_of_its_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    found = STORED[kind](MADE[kind](tmp_path))
    read_into = StaysOpen.read_into

    def counted(file: StaysOpen, memory: Any, start: int) -> None:
        read.append(memoryview(memory).nbytes)
        read_into(file, memory, start)

    monkeypatch.setattr(StaysOpen, "read_into", counted)
    for stored in found.values():
        tensor = stored.read()
        assert read.pop() == tensor.nbytes
        assert not read


@pytest.mark.unit
@pytest.mark.parametrize("change", [*LEFT, *CUT])
@pytest.mark.parametrize("kind", MADE)
def test_sizes_are_held_against_the_very_bytes_that_are_read(
    kind: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes as soon as its size is known: nobody looks for it again by its name."""
    path = MADE[kind](tmp_path)
    expected = weights(opened(path))

    def then_changed(path: Path) -> StaysOpen:
        file = StaysOpen(path)
        (LEFT | CUT)[change](path)
        return file

    for reader in (checkpoint.torch_file, llama2c, safetensors_file):
        monkeypatch.setattr(reader, "StaysOpen", then_changed)
    if change in LEFT:
        found = weights(opened(path))
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    else:
        with pytest.raises(InputError, match=CUT_OR_NOT_WHOLE):
            opened(path)


@pytest.mark.unit
@pytest.mark.parametrize("kind", MADE)
def test_what_is_written_on_weights_that_were_read_reaches_no_file(kind: str, tmp_path: Path) -> None:
    path = MADE[kind](tmp_path)
    before = path.read_bytes()
    for stored in STORED[kind](path).values():
        stored.read().zero_()
    assert path.read_bytes() == before
