"""State dicts of the tutorials open by the names of their tensors, and nothing in a file is ever run."""

import argparse
import os
import pickle
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import gelu

from model_core.api.errors import Cancelled, InputError, Unsaid
from model_core.api.files.regular_file import StaysOpen
from model_core.checkpoint.building import Loaded
from model_core.checkpoint.files import Stored
from model_core.checkpoint.formats.pth import state_dict
from model_core.checkpoint.layouts.registry import LAYOUTS as KNOWN
from model_core.checkpoint.layouts.registry import is_tied
from model_core.checkpoint.opening import open_checkpoint
from model_core.checkpoint.said import likely_heads, parse, settle
from model_core.checkpoint.torch_pickle import MAX_AXES, Damaged, Laid, Pickle, Record, Storage, Unread
from model_core.system import devices
from tests.support.models import tutorials
from tests.support.models.tutorials import CONTEXT, HEADS, LAYERS, VOCAB, drawn

pytestmark = pytest.mark.unit

TOKENS = torch.arange(15)[None] * 7 % VOCAB
HEADS_SAID = [f"heads={HEADS}"]
EXACT = {"rtol": 0.0, "atol": 1e-5}

# What is opened, the family it is, and what has to be said of it.
LAYOUTS: dict[str, tuple[Callable[[], nn.Module], str, list[str]]] = {
    "nanoGPT": (tutorials.NanoGPT, "gpt2", [*HEADS_SAID, "activation=gelu"]),
    "nanoGPT without biases": (partial(tutorials.NanoGPT, bias=False), "gpt2", [*HEADS_SAID, "act=gelu"]),
    "nanoGPT, untied": (partial(tutorials.NanoGPT, tied=False), "gpt2", [*HEADS_SAID, "activation=gelu"]),
    "minGPT": (
        partial(tutorials.NanoGPT, tied=False, activation=partial(gelu, approximate="tanh")),
        "gpt2",
        HEADS_SAID,
    ),
    "LLMs-from-scratch": (tutorials.FromScratchGPT, "gpt2", HEADS_SAID),
    "LLMs-from-scratch with biases": (partial(tutorials.FromScratchGPT, qkv_bias=True), "gpt2", HEADS_SAID),
    "LLMs-from-scratch, tied": (partial(tutorials.FromScratchGPT, tied=True), "gpt2", HEADS_SAID),
    "mini-GPT": (tutorials.MiniGPT, "mini", []),
    "mini-GPT, tied": (partial(tutorials.MiniGPT, tied=True), "mini", []),
    "mini-GPT with learned positions, tied": (
        partial(tutorials.MiniGPT, positions="learned", tied=True),
        "mini",
        [],
    ),
    "mini-GPT without a stored table": (partial(tutorials.MiniGPT, positions="computed"), "mini", []),
    "mini-GPT with learned positions": (partial(tutorials.MiniGPT, positions="learned"), "mini", []),
    "mini-GPT without positions": (partial(tutorials.MiniGPT, positions="none"), "mini", ["positions=none"]),
    "encoder-decoder": (partial(tutorials.TutorialTransformer, "pre"), "seq2seq", HEADS_SAID),
    "encoder-decoder, tied": (
        partial(tutorials.TutorialTransformer, "pre", tied=True),
        "seq2seq",
        HEADS_SAID,
    ),
    "encoder-decoder, normed": (
        partial(tutorials.TutorialTransformer, "normed"),
        "seq2seq",
        [*HEADS_SAID, "order=normed"],
    ),
}


def logits(loaded: Loaded) -> Tensor:
    if loaded.family.name == "seq2seq":
        return loaded.model.reader(TOKENS)(TOKENS, None)
    return loaded.model(TOKENS)


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def nano(path: Path) -> Path:
    return saved(path, drawn(tutorials.NanoGPT()).state_dict())


def refused(path: Path, **how: Any) -> str:
    with pytest.raises(InputError) as error:
        open_checkpoint(path, **how)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


# What opens


@pytest.mark.parametrize("name", LAYOUTS)
def test_logits_equal_those_of_the_tutorials_own_model(name: str, tmp_path: Path) -> None:
    make, family, said = LAYOUTS[name]
    model = drawn(make())
    # The name of the file says nothing, on purpose.
    loaded = open_checkpoint(saved(tmp_path / "what.bin", model.state_dict()), config=said)
    assert loaded.family.name == family
    torch.testing.assert_close(logits(loaded), model(TOKENS), **EXACT)


@pytest.mark.parametrize("holder", [None, "model", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_state_dict_is_found_where_people_put_it(holder: str | None, prefix: str, tmp_path: Path) -> None:
    model = drawn(tutorials.FromScratchGPT())
    state: Any = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    beside = {"epoch": 3, "optimizer": {"state": {0: torch.zeros(3)}}, "loss": 1.5}
    path = saved(tmp_path / "model.pth", state if holder is None else {**beside, holder: state})
    torch.testing.assert_close(logits(open_checkpoint(path, config=HEADS_SAID)), model(TOKENS), **EXACT)


def test_nanogpt_says_its_heads_beside_the_weights(tmp_path: Path) -> None:
    model = drawn(tutorials.NanoGPT())
    args = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": 24, "block_size": CONTEXT, "bias": True}
    path = saved(tmp_path / "ckpt.pt", {"model": model.state_dict(), "model_args": args, "iter_num": 5})
    loaded = open_checkpoint(path)
    assert loaded.model.config.heads == HEADS
    torch.testing.assert_close(logits(loaded), model(TOKENS), **EXACT)


def test_matrices_of_hugging_faces_gpt2_are_turned(tmp_path: Path) -> None:
    model = drawn(tutorials.NanoGPT(activation=partial(gelu, approximate="tanh")))
    turned = {
        name: tensor.T.contiguous()
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        else tensor
        for name, tensor in model.state_dict().items()
    }
    loaded = open_checkpoint(saved(tmp_path / "model.pt", turned), config=HEADS_SAID)
    torch.testing.assert_close(logits(loaded), model(TOKENS), **EXACT)


def test_a_table_of_positions_that_is_no_sincos_is_taken_as_it_is(tmp_path: Path) -> None:
    model = drawn(tutorials.MiniGPT(positions="learned"))
    state = model.state_dict()
    state["pos_table"] = state.pop("position_embedding.weight")[None]
    loaded = open_checkpoint(saved(tmp_path / "model.pt", state))
    assert (loaded.model.config.positions, loaded.model.config.context) == ("learned", CONTEXT)
    torch.testing.assert_close(logits(loaded), model(TOKENS), **EXACT)


def test_what_the_tensors_tell_is_not_asked(tmp_path: Path) -> None:
    config = open_checkpoint(saved(tmp_path / "m.pt", drawn(tutorials.MiniGPT()).state_dict())).model.config
    assert (config.vocab_size, config.width, config.layers, config.heads) == (VOCAB, 24, LAYERS, HEADS)
    assert (config.hidden, config.context, config.positions, config.tied) == (40, CONTEXT, "sincos", False)
    assert open_checkpoint(nano(tmp_path / "n.pt"), config=HEADS_SAID).model.config.tied


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_dtype_open_in_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    model = drawn(tutorials.NanoGPT()).to(dtype)
    loaded = open_checkpoint(saved(tmp_path / "model.pt", model.state_dict()), config=HEADS_SAID)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert torch.equal(loaded.model.embed.weight, model.lm_head.weight.float())


def test_progress_rises_to_one_and_cancel_stops(tmp_path: Path) -> None:
    shares: list[float] = []
    path = nano(tmp_path / "model.pt")
    open_checkpoint(path, config=HEADS_SAID, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    shares.clear()
    with pytest.raises(Cancelled):
        open_checkpoint(path, config=HEADS_SAID, progress=shares.append, cancelled=lambda: len(shares) == 3)
    assert len(shares) == 3


# What is asked, and what is said


def test_heads_are_asked_for_with_a_form_and_a_line(tmp_path: Path) -> None:
    with pytest.raises(Unsaid) as asked:
        open_checkpoint(nano(tmp_path / "ckpt.pt"))
    assert "ckpt do not say heads (attention heads in each layer)" in str(asked.value)
    assert "such as --config heads=" in str(asked.value)
    heads, activation, eps = asked.value.asks
    assert heads["name"] == "heads"
    assert heads["kind"] == "int"
    assert 24 % heads["default"] == 0
    assert (activation["kind"], activation["choices"]) == ("choice", ["gelu_tanh", "gelu"])
    assert (eps["name"], eps["default"], eps["kind"]) == ("eps", 1e-5, "float")


def test_offered_heads_are_64_wide_where_that_can_be() -> None:
    assert [likely_heads(width) for width in (768, 1024, 64, 32, 100, 7)] == [12, 16, 1, 1, 2, 1]


@pytest.mark.parametrize(
    "name", ["heads", "n_heads", "n_head", "num_heads", "N-Heads", "num_attention_heads"]
)
def test_heads_are_understood_under_every_common_name(name: str, tmp_path: Path) -> None:
    path = nano(tmp_path / "model.pt")
    assert open_checkpoint(path, config=[f"{name}=2"]).model.config.heads == 2


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("heads=5", "cannot be: a width of 24 cannot be split into 5 heads"),
        ("heads=many", "heads='many': heads is a whole number"),
        ("heads=0", "'heads' is 0"),
        ("heads=1e400", "heads is a whole number"),
        ("heads", "'heads' says nothing of a model: write it as NAME=VALUE"),
        ("=5", "says nothing of a model"),
        ("wings=2", "GPT-2 has no 'wings' to be said; it has vocab_size, width"),
        ("layers=3", "has layers=2 in its files, and not 3: leave out layers=3"),
        ("tied=perhaps", "tied is true or false"),
        ("activation=relu", "activation is one of gelu_tanh, gelu"),
    ],
)
def test_what_cannot_be_said_ends_in_one_line(said: str, message: str, tmp_path: Path) -> None:
    assert message in refused(nano(tmp_path / "model.pt"), config=[said])


def test_saying_what_the_files_say_is_no_error(tmp_path: Path) -> None:
    open_checkpoint(nano(tmp_path / "model.pt"), config=[*HEADS_SAID, "n_layer=2", "tied=true"])


# What is refused


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


def change(path: Path, change: Callable[[dict[str, Tensor]], object], make: type[nn.Module]) -> Path:
    state = dict(drawn(make()).state_dict())
    change(state)
    return saved(path, state)


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


def rewritten(path: Path, change: Callable[[str, bytes], tuple[bytes, int]]) -> Path:
    """The file with other records; `change` is given each, and says its bytes and how they are compressed."""
    with zipfile.ZipFile(path) as old:
        content = {entry.filename: old.read(entry) for entry in old.infolist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            data, method = change(name, data)
            new.writestr(name, data, method)
    return path


def test_a_pickle_that_is_compressed_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    # 1.2 GB of nothing pack into half a megabyte.
    path = rewritten(
        nano(tmp_path / "model.pth"),
        lambda name, data: (
            (data + b"\0" * (8 << 20), zipfile.ZIP_DEFLATED)
            if name.endswith("data.pkl")
            else (data, zipfile.ZIP_STORED)
        ),
    )
    assert "data.pkl' is compressed, which torch.save never does" in refused(path)


def test_records_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    path = nano(tmp_path / "model.pth")
    data = path.read_bytes()
    # The directory says twice that the largest record is there.
    at = data.index(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    path.write_bytes(data[:at] + data[at:end] * 40 + directory(data[end:], 40, at, end))
    message = refused(path, config=HEADS_SAID)
    assert "its records would be larger than itself" in message or "no whole file" in message


def directory(end: bytes, times: int, at: int, until: int) -> bytes:
    """The end of a zip whose directory is there so many times."""
    count = int.from_bytes(end[10:12], "little") * times
    size = (until - at) * times
    return (
        end[:8]
        + count.to_bytes(2, "little") * 2
        + size.to_bytes(4, "little")
        + at.to_bytes(4, "little")
        + end[20:]
    )


@pytest.mark.parametrize(
    ("pickle_", "message"),
    [
        (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "holds no state dict"),  # of two gigabytes
        (b"\x80\x02}r\xff\xff\xff\x7f.", "holds no tensors"),  # put aside as number two billion
        (
            b"\x80\x02" + b"]" * 1_000_001 + b".",
            "uses more than 1,000,000 words of pickle, which is not read here",
        ),
        (b"\x80\x02" + b"(" * 3, "is no whole file of torch.save"),
        (b"\x80\x02}X\x01\x00\x00\x00a.", "holds no state dict"),
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "holds more than weights (os.system)"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "holds more than weights (os.system)"),
        (b"\x80\x02ctorch.hub\nload\n.", "holds more than weights (torch.hub.load)"),
        (b"(X\x02\x00\x00\x00lsios\nsystem\n.", "holds more than weights (os.system)"),
        (b"\x80\x02K\x01)R.", "its pickle calls what is no function"),
        (b"\x80\x02h\x07.", "its pickle makes no sense from word 1 on"),
        (b"\x80\x02.", "its pickle makes no sense from word 1 on"),
        (b"\x80\x02K\x01Q.", "its pickle makes no sense from word 2 on"),
    ],
)
def test_a_pickle_takes_no_memory_and_runs_nothing(pickle_: bytes, message: str, tmp_path: Path) -> None:
    path = rewritten(
        nano(tmp_path / "model.pth"),
        lambda name, data: (pickle_ if name.endswith("data.pkl") else data, zipfile.ZIP_STORED),
    )
    said = refused(path)
    assert message in said
    assert not re.search(r"'[A-Z_]+'|object has no attribute|index", said)


def test_more_axes_than_the_tensors_of_a_model_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(8))
    pickle = Pickle({}, "", StaysOpen(path))
    storage = Storage(Record(0, 8), torch.float32)
    ones = (1,) * 64
    for _ in range(MAX_AXES // 64):
        pickle.tensor(storage, 0, ones, ones, None)
    with pytest.raises(Unread, match="more than 500,000 axes"):
        pickle.tensor(storage, 0, ones, ones, None)


@pytest.mark.parametrize(
    ("shape", "strides"), [((-1,), (1,)), ((2, 2), (1,)), ((True,), (1,)), ((2**62,), (1,))]
)
def test_a_tensor_of_an_impossible_shape_is_damage(
    shape: tuple[int, ...], strides: tuple[int, ...], tmp_path: Path
) -> None:
    storage = Storage(Record(0, 16), torch.float32)
    path = tmp_path / "model.pth"
    path.write_bytes(bytes(16))
    with pytest.raises(Damaged, match=r"^a tensor has an impossible shape$"):
        Pickle({}, "", StaysOpen(path)).tensor(storage, 0, shape, strides, None)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each reading takes from now on."""
    read: list[int] = []
    read_into = StaysOpen.read_into

    def read_and_counted(file: StaysOpen, memory: Any, start: int) -> None:
        read.append(memoryview(memory).nbytes)
        read_into(file, memory, start)

    monkeypatch.setattr(StaysOpen, "read_into", read_and_counted)
    return read


def test_numbers_that_lie_far_apart_are_read_and_not_what_lies_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        for n, number in enumerate((1.0, 2.0, 3.0)):
            file.seek(n << 32)
            file.write(struct.pack("<ff", number, -number))
    storage = Storage(Record(0, path.stat().st_size), torch.float32)
    laid = Laid(storage, 0, (2, 3), (1, 1 << 30), StaysOpen(path))
    read = counted(monkeypatch)
    assert laid.read().tolist() == [[1, 2, 3], [-1, -2, -3]]
    assert sum(read) == 24


@pytest.mark.parametrize(
    "make", [lambda x: x[:, 3:7], lambda x: x.T, lambda x: x[::5, ::90], lambda x: x[1:1]]
)
def test_a_part_of_a_larger_tensor_is_read_as_it_was_saved(
    make: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    part = make(torch.randn(300, 400))
    torch.save({"part": part}, tmp_path / "model.pth")
    assert torch.equal(state_dict(tmp_path / "model.pth")[0]["part"].read(), part)


def test_tied_weights_that_are_stored_once_are_not_read_to_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tied = torch.zeros(7, 3)
    torch.save({"head": tied, "embed": tied, "other": tied.clone()}, tmp_path / "model.pth")
    found = state_dict(tmp_path / "model.pth")[0]
    read = counted(monkeypatch)
    assert is_tied(found, "head", "embed")
    assert not read
    assert is_tied(found, "head", "other")
    assert len(read) == 2


def doubled(times: int) -> bytes:
    """Tuples of two, each the one before twice: 2^times leaves in so many bytes."""
    return b")" + b"2\x86" * times


def thousandfold(times: int) -> bytes:
    """Tuples of a thousand, each the one before so often."""
    return b")q\x01" + (b"0(" + b"h\x01" * 1000 + b"tq\x01") * times


def storage(key: bytes, count: bytes) -> bytes:
    """A pickle that asks for a record by that key, with so many numbers."""
    return (
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + key
        + b"X\x03\x00\x00\x00cpu"
        + count
        + b"tQ."
    )


KEY = b"X\x01\x00\x00\x000"


@pytest.mark.parametrize(
    ("pickle_", "message"),
    [
        (storage(doubled(400), b"K\x01"), "more than 16 tuples within each other"),
        (storage(KEY, doubled(400)), "more than 16 tuples within each other"),
        (storage(doubled(15), b"K\x01"), "has no record a tuple of 2"),
        (storage(thousandfold(14), b"K\x01"), "has no record a tuple of 1000"),
        (storage(KEY, doubled(15)), "is to hold a tuple of 2 numbers"),
        (storage(b"K\x00", b"K\x01"), "has no record 0"),
        (storage(b"X\xa0\x86\x01\x00" + b"k" * 100_000, b"K\x01"), "has no record 'kkk"),
        (storage(KEY, b"\x8b\x88\x13\x00\x00" + b"\x7f" * 5000), "a number of thousands of digits"),
    ],
)
def test_what_a_pickle_shares_is_never_written_out(pickle_: bytes, message: str, tmp_path: Path) -> None:
    path = rewritten(
        nano(tmp_path / "model.pth"),
        lambda name, data: (pickle_ if name.endswith("data.pkl") else data, zipfile.ZIP_STORED),
    )
    assert message in refused(path)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (partial(tutorials.NanoGPT, bias=False), "transformer.h.1."),
        (tutorials.FromScratchGPT, "trf_blocks.1."),
        (tutorials.MiniGPT, "blocks.1."),
        (tutorials.MiniGPT, "blocks.0.multi_head_attention.heads.1."),
        (partial(tutorials.TutorialTransformer, "pre"), "transformer.encoder.layers.1."),
    ],
)
def test_a_huge_number_in_a_name_makes_no_names(make: Any, part: str, tmp_path: Path) -> None:
    huge = part.removesuffix("1.") + "99999999."
    state = {name.replace(part, huge): tensor for name, tensor in drawn(make()).state_dict().items()}
    message = refused(saved(tmp_path / "model.pth", state), config=HEADS_SAID[: "Mini" not in str(make)])
    assert "the file has a number 99,999,999 of " in message


def test_more_heads_and_blocks_than_tensors_make_no_names(tmp_path: Path) -> None:
    state = dict(drawn(tutorials.MiniGPT()).state_dict())
    blocks = {name: tensor for name, tensor in state.items() if name.startswith("blocks.1.")}
    for n in range(2, 20):
        state |= {
            f"blocks.{n}.{name.removeprefix('blocks.1.')}": tensor
            for name, tensor in blocks.items()
            if ".heads." not in name or "heads.0.W_q" in name
        }
    query = "blocks.0.multi_head_attention.heads.{}.W_q.weight"
    state |= {query.format(n): state[query.format(0)] for n in range(200)}
    message = refused(saved(tmp_path / "model.pth", state))
    assert f"the file has 20 blocks of 200 heads, but {len(state):,} tensors: it is not whole" in message


@pytest.mark.parametrize("name", ["module." * 100 + "w", "w" * 100_000])
def test_a_name_of_many_letters_is_neither_looked_at_nor_repeated(name: str, tmp_path: Path) -> None:
    message = refused(saved(tmp_path / "model.pth", {name: torch.zeros(1)}))
    assert f"has a tensor whose name is {len(name):,} letters long, more than 500" in message
    assert message.endswith("save the state dict with shorter names")
    message = refused(saved(tmp_path / "sparse.pth", {name: torch.zeros(1, 1).to_sparse()}))
    assert "is stored in a form that cannot be read" in message


def test_more_tensors_than_a_model_has_are_refused_before_a_layout_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = torch.zeros(1)
    path = saved(tmp_path / "model.pth", {f"h.{n}.attn.c_attn.weight": one for n in range(20_001)})
    monkeypatch.setattr("model_core.checkpoint.formats.pth.LAYOUTS", [])
    assert "holds more than 20,000 tensors, which are no model's" in refused(path)


class Walked(dict[str, Stored]):
    """It counts the names that are gone through."""

    steps = 0

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.steps += 1
            yield name

    def items(self) -> Any:
        return [(name, self[name]) for name in self]


def walked(name: str, blocks: int) -> int:
    """How many names a layout goes through until it has said where all parameters of so many blocks lie."""
    make, _, config = LAYOUTS[name]
    found = Walked()
    for key, tensor in make().state_dict().items():
        last = re.match(r"(.*?\b(?:h|trf_blocks|blocks|layers)\.)1(\..*)", key)
        for each in [f"{last[1]}{n}{last[2]}" for n in range(1, blocks)] if last else [key]:
            found[each] = Stored(each, tuple(tensor.shape), "F32", lambda tensor=tensor: tensor)
    layout = next(layout for layout in KNOWN if layout.recognises(found))
    plan = layout.read(found, {})
    settled = settle("m", plan.family, plan.known, parse(config), plan.asks)
    assert len(plan.weights(settled)) > 8 * blocks
    return found.steps


@pytest.mark.parametrize("name", LAYOUTS)
def test_twice_the_blocks_are_at_most_twice_the_work(name: str) -> None:
    assert 0 < walked(name, 40) <= 2 * walked(name, 20)


def steps(path: Path, blocks: int) -> int:
    """How many functions are called until a file of so many blocks is open."""
    state = dict(drawn(tutorials.MiniGPT()).state_dict())
    last = {name: tensor for name, tensor in state.items() if name.startswith("blocks.1.")}
    for n in range(2, blocks):
        state |= {name.replace(".1.", f".{n}.", 1): tensor.clone() for name, tensor in last.items()}
    saved(path, state)
    found = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        open_checkpoint(path)
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.process
def test_opening_twice_the_blocks_is_at_most_twice_the_work(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    steps(path, 4)  # what is done once in a process
    a, b = steps(path, 20), steps(path, 40)
    assert b <= 2 * a


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_any_protocol_of_pickle_is_followed(protocol: int, tmp_path: Path) -> None:
    model = drawn(tutorials.FromScratchGPT())
    path = tmp_path / "model.pth"
    torch.save(
        {"model": model.state_dict(), "step": 3, "of": torch.Size([2])}, path, pickle_protocol=protocol
    )
    torch.testing.assert_close(logits(open_checkpoint(path, config=HEADS_SAID)), model(TOKENS), **EXACT)


def test_parameters_and_views_of_one_storage_are_read(tmp_path: Path) -> None:
    model = drawn(tutorials.FromScratchGPT())
    state: dict[str, Tensor] = {
        name: nn.Parameter(tensor) for name, tensor in model.state_dict(keep_vars=True).items()
    }
    name = "trf_blocks.0.att.W_query.weight"
    wide = torch.cat([state[name].detach(), torch.ones(24, 24)], 1)
    state[name] = wide[:, :24]
    state["pos_emb.weight"].note = "written on it"  # type: ignore[attr-defined]
    path = saved(tmp_path / "model.pth", state)
    torch.testing.assert_close(logits(open_checkpoint(path, config=HEADS_SAID)), model(TOKENS), **EXACT)
