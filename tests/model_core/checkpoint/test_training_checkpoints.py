"""What training scripts save beside the weights keeps no file from opening; what is not read is called what it is."""

import argparse
import io
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._weights_only_unpickler import _get_allowed_globals
from torch.optim import SGD, Adam, AdamW, Optimizer, lr_scheduler

from model_core.checkpoint.formats.pth import state_dict
from model_core.checkpoint.opening import open_checkpoint
from tests.support.models import tutorials
from tests.support.models.opening import refused
from tests.support.models.tutorials import VOCAB, drawn

pytestmark = pytest.mark.unit

TOKENS = torch.arange(15)[None] * 7 % VOCAB
PROTOCOLS = [2, 3, 4, 5]
HOW_OPTIMISED: dict[str, Callable[[Any], Optimizer]] = {
    "SGD": partial(SGD, lr=0.01),
    "SGD with momentum": partial(SGD, lr=0.01, momentum=0.9, nesterov=True),
    "Adam": partial(Adam, lr=torch.tensor(0.01), amsgrad=True),
    "AdamW": partial(AdamW, lr=0.01, betas=(0.8, 0.9)),
}
SCHEDULES: dict[str, Callable[[Optimizer], Any]] = {
    "StepLR": partial(lr_scheduler.StepLR, step_size=3),
    "MultiStepLR": partial(lr_scheduler.MultiStepLR, milestones=[2, 2, 5]),
    "ConstantLR": lr_scheduler.ConstantLR,
    "LinearLR": lr_scheduler.LinearLR,
    "ExponentialLR": partial(lr_scheduler.ExponentialLR, gamma=0.9),
    "PolynomialLR": lr_scheduler.PolynomialLR,
    "CosineAnnealingLR": partial(lr_scheduler.CosineAnnealingLR, T_max=5),
    "CosineAnnealingWarmRestarts": partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=5),
    "ReduceLROnPlateau": lr_scheduler.ReduceLROnPlateau,
    "CyclicLR": partial(lr_scheduler.CyclicLR, base_lr=0.01, max_lr=0.1),
    "OneCycleLR": partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=9),
    "SequentialLR": lambda optimiser: lr_scheduler.SequentialLR(
        optimiser, [lr_scheduler.LinearLR(optimiser), lr_scheduler.MultiStepLR(optimiser, [2, 4])], [2]
    ),
    "ChainedScheduler": lambda optimiser: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(optimiser), lr_scheduler.MultiStepLR(optimiser, [2, 4])]
    ),
}
# These are made with a function of the script's.
OF_FUNCTIONS = {"LambdaLR", "MultiplicativeLR"}


def in_a_circle(length: int) -> Any:
    """A tuple with a list that has the tuple."""
    found: list[Any] = []
    found.append((found, *range(length - 1)))
    return found[0]


NUMBERS = numpy.arange(6.0).reshape(2, 3)
# What torch.load(weights_only=True) opens too.
KNOWN: dict[str, Any] = {
    "plain": {
        "epoch": 3,
        "loss": [1.5, float("nan")],
        "best": None,
        "done": True,
        "name": "first",
        "n": 10**30,
    },
    "a set": {1, "two", (3, 4.5)},
    "an empty set": set(),
    "complex": 1 + 2j,
    "a Counter": Counter("abracadabra"),
    "an OrderedDict": OrderedDict([("a", OrderedDict(b=1)), ("c", 2)]),
    "bytes": b"\x00\xff some",
    "a bytearray": bytearray(b"\x00\xff some"),
    "torch.Size": torch.Size([2, 3]),
    "dtypes": [torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.complex64, torch.bool, torch.uint16],
    "devices": [torch.device("cpu"), torch.device("cuda", 1)],
    "a layout": torch.sparse_coo,
    "kinds of tensors": [torch.FloatTensor, torch.cuda.HalfTensor, torch.Tensor],
    "tensors": [
        torch.zeros(2, dtype=torch.complex64),
        torch.eye(3).to_sparse(),
        torch.empty(0),
        torch.tensor(3),
    ],
    "parameters": nn.ParameterDict({"a": nn.Parameter(torch.ones(2))}).state_dict(keep_vars=True),
    "a state of chance": torch.get_rng_state(),
    "GradScaler": torch.amp.GradScaler("cpu", enabled=True).state_dict(),
}
# Harmless and common, though torch's own reader has to be told so first.
MORE: dict[str, Any] = {
    "a defaultdict": defaultdict(list, train=[1.0, 2.0], test=[3.0]),
    "a defaultdict of nothing": defaultdict(None, a=1),
    "a frozenset": frozenset({1, 2}),
    "what holds itself": [in_a_circle(2), in_a_circle(5)],
    "a deque": deque([1.0, 2.0], maxlen=5),
    "a range and a slice": [range(3, 9, 2), slice(1, None)],
    "types": [int, float, str, dict, list],
    "numbers of numpy": [numpy.float64(1.5), numpy.float32(2.5), numpy.int64(3), numpy.bool_(True)],
    "arrays of numpy": [NUMBERS, NUMBERS.T, NUMBERS[:, 1], numpy.array(["a", "bc"]), numpy.zeros((0, 2))],
    "a state of numpy's chance": numpy.random.RandomState(3).get_state(),
}


@cache
def model() -> nn.Module:
    return drawn(tutorials.MiniGPT())


def saved(path: Path, beside: dict[str, Any], protocol: int = 2) -> Path:
    torch.save({"model": model().state_dict(), **beside}, path, pickle_protocol=protocol)
    return path


def check_weights(path: Path) -> None:
    """The file opens, with the weights that were saved, number by number."""
    stored, _ = state_dict(path)
    expected = model().state_dict()
    assert stored.keys() == expected.keys()
    assert all(torch.equal(stored[name].read(), tensor) for name, tensor in expected.items())
    loaded = open_checkpoint(path)
    torch.testing.assert_close(loaded.model(TOKENS), model()(TOKENS), rtol=0.0, atol=1e-5)


def optimised(how: str) -> Optimizer:
    """An optimiser that has made a step, of a model of its own."""
    trainee = drawn(tutorials.MiniGPT()).requires_grad_()
    optimiser = HOW_OPTIMISED[how](trainee.parameters())
    trainee(TOKENS).square().mean().backward()
    optimiser.step()
    return optimiser


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("how", HOW_OPTIMISED)
def test_the_state_of_an_optimiser_may_lie_beside_the_weights(
    how: str, protocol: int, tmp_path: Path
) -> None:
    check_weights(saved(tmp_path / "ckpt.pt", {"optimizer": optimised(how).state_dict()}, protocol))


@pytest.mark.process
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_state_of_a_schedule_may_lie_beside_the_weights(
    schedule: str, protocol: int, tmp_path: Path
) -> None:
    optimiser = optimised("SGD with momentum")
    scheduler = SCHEDULES[schedule](optimiser)
    optimiser.step()
    scheduler.step(*[0.5] if schedule == "ReduceLROnPlateau" else [])
    beside = {"optimizer": optimiser.state_dict(), "scheduler": scheduler.state_dict()}
    check_weights(saved(tmp_path / "ckpt.pt", beside, protocol))


def test_no_schedule_of_pytorch_is_left_out() -> None:
    kinds = {
        name
        for name, kind in vars(lr_scheduler).items()
        if isinstance(kind, type) and issubclass(kind, lr_scheduler.LRScheduler) and "LRScheduler" not in name
    }
    assert kinds - OF_FUNCTIONS == set(SCHEDULES)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("what", [*KNOWN, *MORE])
def test_what_scripts_keep_may_lie_beside_the_weights(what: str, protocol: int, tmp_path: Path) -> None:
    beside = {"kept": (KNOWN | MORE)[what], "more": {"deep": [(KNOWN | MORE)[what]]}}
    check_weights(saved(tmp_path / "ckpt.pt", beside, protocol))


@pytest.mark.parametrize("what", KNOWN)
def test_what_opens_in_torch_has_the_same_weights_here(what: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "ckpt.pt", {"kept": KNOWN[what]})
    there = torch.load(path, weights_only=True)["model"]
    here, _ = state_dict(path)
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name].read(), tensor) for name, tensor in there.items())


plain: Any = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**3000), 2**3000)
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.binary().map(bytearray)
    | st.sampled_from([torch.float32, torch.device("cpu"), torch.Size([2]), range(3), int])
    | st.floats().map(numpy.float64)
    | st.integers(0, 9).map(numpy.ones)
    | st.integers(0, 9).map(torch.zeros)
)
keys: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary(),
    lambda inner: st.lists(inner).map(tuple) | st.frozensets(inner),
    max_leaves=8,
)
KINDS: list[Callable[[dict[Any, Any]], Any]] = [
    dict,
    OrderedDict,
    Counter,
    partial(defaultdict, list),
    partial(defaultdict, None),
]
nested = st.recursive(
    plain | keys | st.sets(keys),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(deque)
        | st.builds(lambda kind, entries: kind(entries), st.sampled_from(KINDS), st.dictionaries(keys, inner))
    ),
    max_leaves=30,
)


@pytest.mark.process
@settings(max_examples=150, deadline=None)
@given(beside=nested, protocol=st.sampled_from(PROTOCOLS))
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_any_nesting_of_plain_values_may_lie_beside_the_weights(
    beside: Any, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = saved(tmp_path_factory.getbasetemp() / "nested.pt", {"beside": beside}, protocol)
    stored, _ = state_dict(path)
    expected = model().state_dict()
    assert stored.keys() == expected.keys()
    assert all(torch.equal(stored[name].read(), tensor) for name, tensor in expected.items())


def with_pickle(path: Path, pickle: bytes) -> Path:
    """A file of torch.save with another data.pkl."""
    whole = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, pickle if entry.filename.endswith("data.pkl") else old.read(entry))
    return path


def names_of_torch() -> list[str]:
    return sorted(_get_allowed_globals())


@pytest.mark.parametrize("word", ["STACK_GLOBAL", "GLOBAL"])
def test_every_name_that_torch_knows_as_harmless_is_harmless(word: str, tmp_path: Path) -> None:
    assert len(names_of_torch()) > 100
    pickle = b"\x80\x04]("
    for full in names_of_torch():
        module, _, name = full.rpartition(".")
        parts = [module.encode(), name.encode()]
        if word == "GLOBAL":
            pickle += b"c" + b"\n".join(parts) + b"\n"
        else:
            pickle += b"".join(b"\x8c" + bytes([len(part)]) + part for part in parts) + b"\x93"
    assert "holds no state dict" in refused(with_pickle(tmp_path / "m.pth", pickle + b"e."))


def test_names_of_python_2_are_those_of_python_3(tmp_path: Path) -> None:
    for old in (b"__builtin__\nset", b"__builtin__\nunicode", b"__builtin__\nxrange", b"__builtin__\nlong"):
        assert "holds no state dict" in refused(
            with_pickle(tmp_path / "m.pth", b"\x80\x02](c" + old + b"\n)Re.")
        )
    for old, new in (
        (b"c__builtin__\neval", "builtins.eval"),
        (b"ccommands\ngetoutput", "subprocess.getoutput"),
        (b"(icommands\ngetoutput", "subprocess.getoutput"),
    ):
        said = refused(with_pickle(tmp_path / "m.pth", b"\x80\x02" + old + b"\n."))
        assert f"holds more than weights ({new}), which could run code and is not read" in said


@pytest.mark.parametrize(
    ("pickle", "used"),
    [
        (b"(icollections\nOrderedDict\n.", "INST of pickle"),
        (b"(ccollections\nOrderedDict\no.", "OBJ of pickle"),
        (b"Pstorage\n.", "PERSID of pickle"),
        (b"\x80\x02\x82\x01.", "EXT1 of pickle"),
        (b"\x80\x05\x97.", "NEXT_BUFFER of pickle"),
        (b"\x80\x02ctorch._utils\nanything\n)R)R.", "a call of what torch._utils.anything makes"),
        (b"\x80\x02)" + b"\x85" * 17 + b".", "more than 16 tuples within each other"),
        (b"\x80\x02" + b"]" * 1_000_001 + b".", "more than 1,000,000 words of pickle"),
    ],
)
def test_what_is_not_read_is_called_what_it_is(pickle: bytes, used: str, tmp_path: Path) -> None:
    said = refused(with_pickle(tmp_path / "m.pth", pickle))
    assert f"m.pth uses {used}, which is not read here: save model.state_dict() alone" in said
    assert "could run code" not in said


def test_the_oldest_pickle_is_called_what_it_is(tmp_path: Path) -> None:
    said = refused(saved(tmp_path / "m.pth", {}, protocol=0))
    assert "uses DICT of pickle, which is not read here: save model.state_dict() alone" in said


def test_protocol_1_is_followed(tmp_path: Path) -> None:
    check_weights(
        saved(tmp_path / "m.pth", {"kept": [True, 10**30, 1.5, (1, 2, {"a": None}), {3}]}, protocol=1)
    )


def test_what_torch_refuses_is_refused_in_one_line(tmp_path: Path) -> None:
    for beside, name in (
        (argparse.Namespace(lr=1), "argparse.Namespace"),
        (lr_scheduler.StepLR(optimised("SGD"), 1), "torch.optim.lr_scheduler.StepLR"),
        (print, "builtins.print"),
    ):
        said = refused(saved(tmp_path / "m.pth", {"args": beside}))
        assert f"holds more than weights ({name}), which could run code and is not read" in said


def test_a_long_word_that_is_used_again_and_again_takes_no_memory_and_no_time(tmp_path: Path) -> None:
    torch_, long = text("torch") + b"q\x000", text("a" * (1 << 20)) + b"q\x010"
    # Kept a hundred thousand times, and left away as often; as the type of a storage, and as its record.
    for pickle in (
        torch_ + long + b"(" + b"h\x00h\x01\x93" * 100_000 + b"l",
        torch_ + long + b"h\x00h\x01\x930" * 100_000 + b"N",
        text("torch") + text("a" * (1 << 20)) + b"\x93q\x000",
    ):
        said = refused(with_pickle(tmp_path / "m.pth", b"\x80\x04" + pickle + b"."))
        assert "holds more than weights (torch." in said
        assert len(said) < 1000
    pickle = storage("0" * (1 << 16)) + b"q\x000" + b"h\x00Q0" * 100_000 + b"N."
    said = refused(with_pickle(tmp_path / "m.pth", b"\x80\x04" + pickle))
    assert "it has no record '000" in said
    assert len(said) < 1000


def text(said: str) -> bytes:
    """The word of pickle that is a text."""
    return b"X" + len(said).to_bytes(4, "little") + said.encode()


def storage(record: str) -> bytes:
    """What a pickle says of one number in a record of the file."""
    kind = text("storage") + text("torch") + text("FloatStorage") + b"\x93"
    return b"(" + kind + text(record) + text("cpu") + b"K\x01t"


@pytest.mark.parametrize("name", ["_dynamo", "_inductor", "onnx", "has_cuda", "has_mps"])
def test_a_name_that_pytorch_would_import_or_call_is_no_dtype(name: str, tmp_path: Path) -> None:
    rebuilt = text("torch._utils") + text("_rebuild_tensor_v3") + b"\x93"
    laid = storage("0") + b"QK\x00K\x01\x85K\x01\x85\x89N"
    typed = rebuilt + b"(" + laid + text("torch") + text(name) + b"\x93tR"
    pickle = b"\x80\x04}" + text("a") + typed + b"s."
    before = set(sys.modules)
    assert "a is stored in a form that cannot be read" in refused(with_pickle(tmp_path / "m.pth", pickle))
    assert set(sys.modules) == before


def test_a_word_with_the_end_of_a_line_in_it_is_one_line(tmp_path: Path) -> None:
    for pickle in (
        text("torch") + text("a\nb") + b"\x93)R)R.",
        text("evil\nmod") + text("a") + b"\x93.",
        text("torch") + text("a\u202e\x1b") + b"\x93)R)R.",
    ):
        assert refused(with_pickle(tmp_path / "m.pth", b"\x80\x04" + pickle)).isprintable()


@pytest.mark.parametrize(
    "shared",
    [
        # Tuples of two, each the one before twice, as a key, in a set, in a Counter and in a dict that is counted.
        b")q\x01" + b"h\x01\x86q\x01" * 13 + b"K\x01s",
        b"c__builtin__\nset\n(](" + b")q\x01" + b"h\x01\x86q\x01" * 13 + b"etRK\x01s",
        b"\x8f()q\x01" + b"h\x01\x86q\x01" * 13 + b"\x90K\x01s",
        b"()q\x01" + b"h\x01\x86q\x01" * 13 + b"\x91K\x01s",
        # A dict that takes itself over and over, as Counter's and OrderedDict's.
        b"ccollections\nCounter\nq\x02K\x01s}q\x01h\x01K\x01s" + b"h\x02h\x01\x85Rq\x010" * 50,
        b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85RK\x01s",
        # Tuples of a thousand, each the one before so often, as the name of a module.
        b")q\x01" + (b"0(" + b"h\x01" * 1000 + b"tq\x01") * 14 + b"h\x01\x93K\x01s",
        b"cnumpy\nndarray\n\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85RK\x01s",
        b"c__builtin__\nlist\nc__builtin__\nxrange\n\x8a\x06"
        + (10**12).to_bytes(6, "little")
        + b"\x85R\x85RK\x01s",
    ],
)
def test_what_is_made_by_a_call_takes_no_memory_and_no_time(shared: bytes, tmp_path: Path) -> None:
    said = refused(with_pickle(tmp_path / "m.pth", b"\x80\x04}" + shared + b"."))
    assert "holds no tensors" in said or "no whole file" in said or "holds no state dict" in said
