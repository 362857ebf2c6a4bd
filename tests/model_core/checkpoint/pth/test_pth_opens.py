"""A file of a state dict opens as the model that a tutorial saved, and asks for what it does not say."""

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from model_core.api.errors import Cancelled, Unsaid
from model_core.api.files.regular_file import StaysOpen
from model_core.checkpoint.formats.pth import state_dict
from model_core.checkpoint.layouts.registry import is_tied
from model_core.checkpoint.opening import open_checkpoint
from model_core.checkpoint.said import likely_heads
from model_core.checkpoint.torch_pickle import Laid, Record, Storage
from tests.support.models import tutorials
from tests.support.models.opening import refused
from tests.support.models.state_dicts import EXACT, HEADS_SAID, LAYOUTS, TOKENS, logits, nano, saved
from tests.support.models.tutorials import CONTEXT, HEADS, LAYERS, VOCAB, drawn

pytestmark = pytest.mark.unit


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
