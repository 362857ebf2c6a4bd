"""Recording sees everything and changes nothing."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from model_core.api.errors import Cancelled, InputError
from model_core.parts.decoder import Decoder
from model_core.runs.run import Run, sites
from model_core.taps import tap as tap_
from model_core.taps.tap import Tapped, record
from model_core.taps.trace import Trace
from tests.support.models.tiny import CONFIGS, POSITIONS, tiny, tokens

pytestmark = pytest.mark.unit

LENGTH = 9
PROMPT = torch.tensor([tokens(LENGTH)])

families = pytest.mark.parametrize("family", CONFIGS)


def kept(model: Decoder, *globs: str) -> tuple[Tensor, Trace]:
    """Logits of a pass that keeps the globs, and what was kept."""
    with record(model, globs) as trace:
        logits = model(PROMPT)
    return logits, trace


def hooks_of(model: Decoder) -> list[object]:
    return [
        hook
        for module in model.modules()
        for hooks in (module._forward_pre_hooks, module._forward_hooks)
        for hook in hooks.values()
    ]


@families
def test_recording_changes_no_logit_of_the_fused_path(family: str) -> None:
    model = tiny(family)
    plain = model(PROMPT)
    for globs in ([], ["*.resid_pre"], ["*.q", "*.z", "*.mask", "*.mlp.*", "*.norm1.out", "logits"]):
        logits, trace = kept(model, *globs)
        assert torch.equal(logits, plain)
        assert not any(key.endswith(".pattern") for key in trace.sites)
    assert torch.equal(model(PROMPT), plain)


@families
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_recording_changes_no_logit_of_the_written_out_path(family: str, dtype: torch.dtype) -> None:
    model = tiny(family, dtype)
    reference, _ = kept(model, "*.pattern")
    for globs in (["*"], ["*.scores"], ["*.masked", "*.mlp.post"], ["*.pattern", "*.z"]):
        assert torch.equal(kept(model, *globs)[0], reference)


@families
def test_float64_logits_are_the_same_whether_anybody_records(family: str) -> None:
    model = tiny(family, torch.float64)
    assert torch.equal(kept(model, "*")[0], model(PROMPT))


@families
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dry_run_names_exactly_the_sites_that_a_recording_passes(family: str, dtype: torch.dtype) -> None:
    model = tiny(family, dtype)
    _, trace = kept(model, "*")
    assert sites(model, LENGTH) == list(trace.sites.values())
    assert list(trace) == list(trace.sites)


@families
def test_described_shape_and_dtype_are_those_of_the_value(family: str) -> None:
    _, trace = kept(tiny(family), "*")
    for key, value in trace.values.items():
        site = trace.site(key)
        assert site.shape == tuple(value.shape)
        assert len(site.dims.split()) == value.ndim
        assert f"torch.{site.dtype}" == str(value.dtype)
        assert site.key == key == (f"{site.module}.{site.word}" if site.module else site.word)


@families
def test_kept_values_are_those_that_match_in_order_of_computation(family: str) -> None:
    _, trace = kept(tiny(family), "blocks.1.attn.*", "logits")
    words = [key.removeprefix("blocks.1.attn.") for key in trace]
    normed = ["q_norm", "k_norm"] if family == "qwen3" else []
    rotated = ["q_rot", "k_rot"] if POSITIONS[family] == ["rope.angles"] else []
    assert words == [
        "q",
        "k",
        "v",
        *normed,
        *rotated,
        "mask",
        "scores",
        "masked",
        "pattern",
        "z",
        "out",
        "logits",
    ]


class Miscounted(Tapped):
    def forward(self, x: Tensor, dims: str) -> Tensor:
        return self.tap("out", x, dims)


@pytest.mark.parametrize("dims", ["B T", "B T C D", "", "B T X", "BTC"])
def test_tap_whose_axis_letters_do_not_describe_the_value_is_refused(dims: str) -> None:
    module = Miscounted()
    with (
        record(module),
        pytest.raises(AssertionError, match=rf"out: axes '{dims}' do not describe shape \(1, 2, 3\)"),
    ):
        module(torch.zeros(1, 2, 3), dims)


def stop_after(count: int) -> tuple[list[str], Callable[[], bool], Callable[[str], None]]:
    passed: list[str] = []
    return passed, lambda: len(passed) == count, passed.append


@pytest.mark.process
@families
@pytest.mark.parametrize("count", [0, 1, 17])
def test_cancelled_pass_stops_at_the_next_tap_and_leaves_nothing_behind(family: str, count: int) -> None:
    model = tiny(family)
    before = model(PROMPT)
    passed, cancelled, visited = stop_after(count)
    with (
        pytest.raises(Cancelled),
        record(model, ["*"], cancelled=cancelled, visited=visited) as trace,
    ):
        model(PROMPT)
    assert passed == list(trace) == [site.key for site in sites(model, LENGTH)][:count]
    assert tap_._recorder.get() is None
    assert torch.equal(model(PROMPT), before)


@families
def test_cancelled_run_leaves_no_hook_on_the_model(family: str) -> None:
    model = tiny(family)
    passed, cancelled, visited = stop_after(17)
    with pytest.raises(Cancelled):
        Run(model, tokens(LENGTH), cancelled=cancelled, visited=visited)
    assert len(passed) == 17
    assert tap_._recorder.get() is None
    assert hooks_of(model) == []
    Run(model, tokens(LENGTH))
    assert hooks_of(model) == []


def test_recording_is_seen_by_its_own_thread_alone() -> None:
    model = tiny("llama")
    elsewhere: list[bool] = []

    def run() -> None:
        elsewhere.append(tap_._recorder.get() is None)
        model(PROMPT)

    with record(model) as trace:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert elsewhere == [True]
    assert len(trace.sites) == 0


def test_two_threads_record_the_same_model_at_once_without_mixing() -> None:
    model, found = tiny("gpt2"), {}
    together = threading.Barrier(2)

    def run(length: int) -> None:
        together.wait()
        with record(model) as trace:
            model(PROMPT[:, :length])
        found[length] = {site.shape[1] for site in trace.sites.values() if site.dims.startswith("B T")}

    threads = [threading.Thread(target=run, args=(length,)) for length in (3, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {3: {3}, 8: {8}}


def test_inner_recording_ends_where_the_outer_goes_on() -> None:
    model = tiny("gpt2")
    with record(model, ["logits"]) as outer:
        with record(model, ["embed.out"]) as inner:
            model(PROMPT)
        model(PROMPT)
    assert list(inner) == ["embed.out"]
    assert list(outer) == ["logits"]


def test_part_of_a_model_records_under_its_path_in_the_whole() -> None:
    model = tiny("gpt2")
    with record(model.blocks[1].mlp, root="blocks.1.mlp") as trace:
        model.blocks[1].mlp(torch.zeros(1, 2, 24))
    assert list(trace) == ["blocks.1.mlp.pre", "blocks.1.mlp.post", "blocks.1.mlp.out"]


def test_value_is_handed_out_as_float32_numpy_whatever_its_dtype() -> None:
    model = tiny("llama", torch.bfloat16)
    _, trace = kept(model, "blocks.0.attn.mask", "blocks.0.attn.q")
    for key in trace:
        array = trace.array(key)
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert np.array_equal(array, trace[key].float().numpy())


def test_trace_finds_by_glob_and_names_the_nearest_key_of_a_miss() -> None:
    _, trace = kept(tiny("gpt2"), "*")
    assert trace.find("*.0.*.pattern", "logits") == ["blocks.0.attn.pattern", "logits"]
    with pytest.raises(InputError, match=r"no site matches '\*\.patern'; nearest: .*\.pattern"):
        trace.find("*.patern")


def test_trace_counts_a_broadcast_axis_once() -> None:
    _, trace = kept(tiny("gpt2"), "blocks.0.attn.mask")
    assert trace["blocks.0.attn.mask"].shape == (1, 4, LENGTH, LENGTH)
    assert trace.nbytes == LENGTH * LENGTH * 4
