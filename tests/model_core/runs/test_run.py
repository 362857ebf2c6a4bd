"""A run keeps little, and what it computes again is what it would have kept."""

from collections import OrderedDict
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model_core.api.edits import Edit, Told, parse
from model_core.api.errors import Cancelled, InputError, TooLong
from model_core.parts.decoder import Decoder
from model_core.runs import graph
from model_core.runs import run as run_
from model_core.runs.run import Run, sites
from model_core.taps.tap import record
from model_core.taps.trace import Trace
from tests.support.models.edits import fitting_edit
from tests.support.models.tiny import (
    CONFIGS,
    CONTEXT,
    ENCODER_DECODERS,
    LAYERS,
    POSITIONS,
    built,
    tiny,
    tokens,
)

pytestmark = pytest.mark.unit

LENGTH = 11
EDITS = ([], ["mask off"], ["mask off L1H2", "ablate L0H1", "ablate L2H3"])

EVERY = CONFIGS | ENCODER_DECODERS

families = pytest.mark.parametrize("family", CONFIGS)
edited = pytest.mark.parametrize("words", EDITS, ids=lambda words: ", ".join(words) or "no edit")


@cache
def model_of(family: str) -> Any:
    return built(EVERY[family], torch.float64)


def captured(model: Decoder, ids: list[int], edits: list[Edit]) -> Trace:
    """Every value of one pass, kept as it is computed."""
    with torch.inference_mode(), record(model, ["*"], edits) as trace:
        model(torch.tensor([ids]))
    return trace


def assert_equal(ours: Tensor, captured: Tensor, dtype: torch.dtype) -> None:
    """To the last bit in float64, where run and capture go the same way; in float32 within 1e-6 of the largest value.

    The terms of a sum round by their own size, which is more than the sum's where they cancel.
    """
    if dtype == torch.float64:
        assert torch.equal(ours, captured)
    else:
        largest = captured[captured.isfinite()].abs().max().item()
        torch.testing.assert_close(ours, captured, rtol=0, atol=1e-6 * largest)


@pytest.mark.process
@given(st.sampled_from(sorted(EVERY)), st.data())
def test_replay_equals_full_capture_under_any_list_of_edits(family: str, data: st.DataObject) -> None:
    model = model_of(family)
    first, *second = [tokens(LENGTH), tokens(LENGTH + 2)[4:]][: len(model.inputs)]
    edits = data.draw(st.lists(fitting_edit(model, [len(text) for text in (first, *second)]), max_size=5))
    others = [[token ^ 1 for token in text] for text in (first, *second)]
    other = Run(model, others[0], target=others[-1])
    tensors = {name: other.value(name[1]) for edit in edits for name in edit.refers}
    run = Run(
        model,
        first,
        edits,
        target=second[0] if second else (),
        read_site=lambda file, key: tensors[file, key],
    )
    with torch.inference_mode(), record(model, ["*"], edits, told=Told(tensors)) as whole:
        model(*(torch.tensor([text]) for text in (first, *second)))
    assert list(run.sites) == list(whole)
    for key in whole:
        assert torch.equal(run.value(key), whole[key])


@pytest.mark.process
@families
@edited
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_replay_equals_full_capture(family: str, words: list[str], dtype: torch.dtype) -> None:
    model, edits = tiny(family, dtype), [parse(text) for text in words]
    run = Run(model, tokens(LENGTH), edits)
    whole = captured(model, tokens(LENGTH), edits)
    assert list(run.sites) == list(whole)
    for key in whole:
        assert_equal(run.value(key), whole[key], dtype)
        assert run.sites[key] == whole.site(key)
    assert_equal(run.logits, whole["logits"][0], dtype)


@families
def test_logits_of_a_run_are_the_model_s_own(family: str) -> None:
    model = tiny(family)
    assert torch.equal(Run(model, tokens(LENGTH)).logits, model(torch.tensor([tokens(LENGTH)]))[0])


@families
def test_run_keeps_each_block_s_input_and_what_lies_outside_the_blocks(family: str) -> None:
    run = Run(tiny(family), tokens(LENGTH))
    inputs = [f"blocks.{n}.resid_pre" for n in range(LAYERS)]
    assert list(run.trace) == ["embed.out", *POSITIONS[family], *inputs, "norm.out", "logits"]
    assert list(run.replays) == []


def test_replayed_blocks_beyond_the_budget_are_forgotten_and_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_, "REPLAY_BYTES", 0)
    run = Run(tiny("llama"), tokens(LENGTH))
    first = run.value("blocks.0.attn.pattern")
    for layer in (1, 2, 1):
        run.value(f"blocks.{layer}.attn.pattern")
        assert list(run.replays) == [f"blocks.{layer}"]
    assert torch.equal(run.value("blocks.0.attn.pattern"), first)


def test_block_is_replayed_once_for_all_its_values() -> None:
    run = Run(tiny("llama"), tokens(LENGTH))
    run.value("blocks.1.mlp.post")
    replayed = run.replays["blocks.1"]
    run.value("blocks.1.attn.pattern")
    assert run.replays["blocks.1"] is replayed
    assert list(run.replays) == ["blocks.1"]


def test_block_used_last_is_forgotten_last(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tiny("llama"), tokens(LENGTH))
    run.replay("blocks.0")
    run.replay("blocks.1")
    monkeypatch.setattr(run_, "REPLAY_BYTES", 2 * run.replays["blocks.0"].nbytes)
    run.replay("blocks.0")
    run.replay("blocks.2")
    assert list(run.replays) == ["blocks.0", "blocks.2"]


def test_cancelled_replay_is_not_kept_as_a_whole_one() -> None:
    run = Run(tiny("llama"), tokens(LENGTH))
    with pytest.raises(Cancelled):
        run.value("blocks.1.attn.pattern", cancelled=lambda: True)
    assert list(run.replays) == []
    assert run.value("blocks.1.attn.pattern").shape == (1, 4, LENGTH, LENGTH)


@pytest.mark.parametrize(
    "key", ["", "nothing", "blocks", "blocks.1", "blocks.1.attn.patern", "blocks.9.attn.q"]
)
def test_unknown_site_is_named(key: str) -> None:
    with pytest.raises(InputError, match=f"^there is no site '{key}' in this model$"):
        Run(tiny("llama"), tokens(LENGTH)).value(key)


def test_empty_prompt_and_one_that_is_too_long_are_refused() -> None:
    with pytest.raises(InputError, match="the prompt is empty"):
        Run(tiny("gpt2"), [])
    with pytest.raises(TooLong, match="27 tokens, 3 more than the context of 24"):
        Run(tiny("gpt2"), tokens(CONTEXT + 3))


@families
@pytest.mark.process
def test_shapes_of_sites_follow_the_length_of_the_prompt(family: str) -> None:
    model = tiny(family)
    for length in (1, 2, CONTEXT):
        assert list(Run(model, tokens(length)).sites.values()) == sites(model, length)


@pytest.mark.process
def test_the_graphs_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MEASURED_MODELS", 2)
    monkeypatch.setattr(graph, "_measured", OrderedDict())
    for family in ("llama", "gpt2", "llama", "qwen2"):
        graph.measured(tiny(family))
    assert [config for config, *_ in graph._measured] == [CONFIGS["llama"], CONFIGS["qwen2"]]
