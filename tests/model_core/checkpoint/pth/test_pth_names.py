"""What a state dict is called and how much it holds costs no more work than its tensors are worth."""

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from model_core.checkpoint.files import Stored
from model_core.checkpoint.layouts.registry import LAYOUTS as KNOWN
from model_core.checkpoint.opening import open_checkpoint
from model_core.checkpoint.said import parse, settle
from tests.support.models import tutorials
from tests.support.models.opening import refused
from tests.support.models.state_dicts import HEADS_SAID, LAYOUTS, saved
from tests.support.models.tutorials import drawn

pytestmark = pytest.mark.unit


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
