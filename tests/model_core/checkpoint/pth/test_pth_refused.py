"""A file that is no state dict of a known layout ends in one line that says why."""

import argparse
import os
import pickle
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model_core.api.errors import InputError
from model_core.checkpoint.opening import open_checkpoint
from model_core.system import devices
from tests.support.models import tutorials
from tests.support.models.opening import refused
from tests.support.models.state_dicts import HEADS_SAID, change, nano, rewritten, saved
from tests.support.models.tutorials import drawn

pytestmark = pytest.mark.unit


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_malicious_pickle_is_refused_and_runs_nothing(zipped: bool, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    state = {**drawn(tutorials.NanoGPT()).state_dict(), "more": Malicious(witness)}
    path = tmp_path / "model.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    message = refused(path, config=HEADS_SAID)
    assert (
        "could run code and is not read" if zipped else "is a pickle or was saved by PyTorch before"
    ) in message
    path.write_bytes(pickle.dumps(Malicious(witness)))
    assert "is a pickle" in refused(path)
    assert not witness.exists()


def test_whole_models_and_namespaces_are_refused_with_what_to_save(tmp_path: Path) -> None:
    model = tutorials.NanoGPT()
    assert "save model.state_dict() alone" in refused(saved(tmp_path / "a.pth", model))
    state = {"model": model.state_dict(), "args": argparse.Namespace(lr=1)}
    assert "holds more than weights (argparse.Namespace)" in refused(saved(tmp_path / "b.pth", state))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no state dict"),
        ({}, "holds no tensors"),
        ({"epoch": 3}, "holds no tensors"),
        (
            {"a.weight": torch.zeros(2), "b.weight": torch.zeros(2)},
            "holds a.weight, b.weight, which are the names",
        ),
        ({"module.a": torch.zeros(1), "a": torch.zeros(1)}, "stores a twice"),
    ],
)
def test_files_without_a_known_state_dict_say_what_they_hold(
    content: Any, message: str, tmp_path: Path
) -> None:
    assert message in refused(saved(tmp_path / "model.pth", content))


def test_unknown_names_are_answered_with_the_layouts_known(tmp_path: Path) -> None:
    message = refused(saved(tmp_path / "model.pth", nn.Linear(2, 2).state_dict()))
    for title in ("nanoGPT", "LLMs-from-scratch", "mini-GPT", "encoder-decoder tutorial"):
        assert title in message


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (tutorials.NanoGPT, "transformer.wte.weight"),
        (tutorials.NanoGPT, "transformer.h.0.mlp.c_fc.weight"),
        (tutorials.NanoGPT, "transformer.h.1.ln_2.weight"),
        (tutorials.FromScratchGPT, "tok_emb.weight"),
        (tutorials.FromScratchGPT, "trf_blocks.1.att.W_key.weight"),
        (tutorials.MiniGPT, "blocks.1.multi_head_attention.heads.2.W_k.weight"),
        (
            partial(tutorials.TutorialTransformer, "pre"),
            "transformer.decoder.layers.1.mask_attention.wq.weight",
        ),
    ],
)
def test_missing_tensor_is_named(make: Any, name: str, tmp_path: Path) -> None:
    path = change(tmp_path / "model.pth", lambda state: state.pop(name), make)
    assert name in refused(path, config=HEADS_SAID)


@pytest.mark.parametrize("shape", [(), (5,), (0, 24), (24, 24, 2), (3, 25)])
@pytest.mark.parametrize("name", ["transformer.h.0.attn.c_attn.weight", "transformer.wte.weight"])
def test_tensor_of_another_shape_is_named(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = change(
        tmp_path / "m.pth", lambda state: state.update({name: torch.zeros(shape)}), tutorials.NanoGPT
    )
    assert "transformer." in refused(path, config=HEADS_SAID)


def test_tensors_that_are_no_floats_or_no_numbers_are_named(tmp_path: Path) -> None:
    name = "trf_blocks.0.att.W_query.weight"
    for value, message in (
        (torch.zeros(24, 24, dtype=torch.int64), f"{name} is stored as int64"),
        (torch.full((24, 24), float("nan")), f"{name} holds NaN"),
        (torch.zeros(24, 24).to_sparse(), f"{name} is stored in a form that cannot be read"),
        (torch.zeros(24, 24, device="meta"), f"{name} is stored in a form that cannot be read"),
    ):
        path = change(
            tmp_path / "m.pth",
            lambda state, value=value: state.update({name: value}),
            tutorials.FromScratchGPT,
        )
        assert message in refused(path, config=HEADS_SAID)


DTYPES = sorted({str(dtype) for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("make", "names", "needed"),
    [
        (tutorials.FromScratchGPT, ["tok_emb.weight", "out_head.weight"], True),  # compared: are they tied?
        (tutorials.MiniGPT, ["positional_encoding"], True),  # compared with sines and cosines
        (tutorials.NanoGPT, ["transformer.h.0.attn.bias"], False),
    ],
)
def test_a_tensor_of_any_dtype_opens_or_is_named(
    make: type[nn.Module], names: list[str], needed: bool, dtype: str, tmp_path: Path
) -> None:
    # Files are made by PyTorch with a dtype that it saves by its name, which is then replaced by any other's.
    def other(state: dict[str, Tensor]) -> None:
        for name in names:
            numbers = torch.zeros(8 * state[name].numel(), dtype=torch.uint16)
            state[name] = numbers[: state[name].numel()].view(state[name].shape)

    before, after = b"ctorch\nuint16\n", b"ctorch\n" + dtype.removeprefix("torch.").encode() + b"\n"

    def renamed(name: str, data: bytes) -> tuple[bytes, int]:
        assert before in data or not name.endswith("data.pkl")
        return data.replace(before, after), zipfile.ZIP_STORED

    path = rewritten(change(tmp_path / "model.pth", other, make), renamed)
    said = ["heads=4"] if make is not tutorials.MiniGPT else []
    if needed and dtype not in ("torch.float64", "torch.float32", "torch.float16", "torch.bfloat16"):
        message = refused(path, config=said)
        assert "is stored as " in message
        assert any(name in message for name in names)
    else:
        open_checkpoint(path, config=said)


@pytest.mark.parametrize("rows", [2**27, 2**50])
def test_more_numbers_than_are_stored_are_refused_before_one_is_read(rows: int, tmp_path: Path) -> None:
    huge = torch.zeros(1, 1).expand(rows, 24)  # stored as one number
    path = change(
        tmp_path / "m.pth",
        lambda state: state.update({"tok_emb.weight": huge, "out_head.weight": huge}),
        tutorials.FromScratchGPT,
    )
    assert os.path.getsize(path) < 200_000
    assert f"a tensor is to have {rows * 24:,} numbers, but 1 are stored for it" in refused(path)


def test_numbers_are_not_taken_for_more_weights_than_the_file_holds(tmp_path: Path) -> None:
    state = dict(drawn(tutorials.FromScratchGPT()).state_dict())
    block = {name: tensor for name, tensor in state.items() if name.startswith("trf_blocks.0.")}
    for n in range(1, 30):
        state |= {name.replace(".0.", f".{n}.", 1): tensor for name, tensor in block.items()}
    message = refused(saved(tmp_path / "shared.pth", state), config=HEADS_SAID)
    assert re.search(r"has 0\.1 MB, but its weights would be 0\.\d MB: many of its tensors share", message)
    apart = {name: tensor.clone() for name, tensor in state.items()}
    assert open_checkpoint(saved(tmp_path / "apart.pth", apart), config=HEADS_SAID).model.config.layers == 30


def test_folder_with_a_state_dict_says_to_give_the_file(tmp_path: Path) -> None:
    nano(tmp_path / "ckpt.pt")
    (tmp_path / "notes.txt").write_text("notes")
    assert "is no model itself: give one of its files, such as ckpt.pt" in refused(tmp_path)


def test_other_files_are_answered_with_what_could_be_given(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("These are notes, and no model at all; nobody could run them.")
    assert "is no model of llama2.c (.bin) or file of torch.save" in refused(tmp_path / "notes.txt")
    with zipfile.ZipFile(tmp_path / "some.docx", "w") as file:
        file.writestr("word/document.xml", "<xml/>")
    assert "is no whole file of torch.save" in refused(tmp_path / "some.docx")


def test_what_is_needed_and_free_is_said_before_the_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[object] = []
    path = nano(tmp_path / "model.pt")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable:     500 kB\n")
    monkeypatch.setattr(devices, "MEMINFO", meminfo)
    open_checkpoint(path, config=HEADS_SAID, needs=order.append, progress=order.append)
    assert order[0] == "needs 0.0 MB, 0.5 MB free"
    meminfo.write_text("MemAvailable:     20 kB\n")
    assert "model in float32 needs 0.0 MB, but cpu has 0.0 MB free" in refused(path, config=HEADS_SAID)


few = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@few
@given(data=st.data())
@pytest.mark.process
def test_any_damage_gives_a_model_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    original = nano(folder / "model.pth").read_bytes()
    if data.draw(st.booleans()):
        damaged = bytearray(original[: data.draw(st.integers(4, len(original)))])
    else:
        damaged = bytearray(original)
        # The pickle, which says what lies where, comes first; the directory of the archive last.
        near = st.integers(0, 4000) | st.integers(len(original) - 4000, len(original) - 1)
        for at in data.draw(st.lists(near, min_size=1, max_size=6)):
            damaged[at] = data.draw(st.integers(0, 255))
    (folder / "model.pth").write_bytes(damaged)
    message = ""
    try:
        open_checkpoint(folder / "model.pth", config=HEADS_SAID)
    except InputError as error:
        message = str(error)
    assert "\n" not in message
