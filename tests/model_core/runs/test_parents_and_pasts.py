"""A run that takes from another, or goes on after one, is the run that does all by itself."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from model_core.api.edits import Edit, parse
from model_core.api.errors import InputError
from model_core.generation.generate import Sampling, generate
from model_core.parts.attention import Attention
from model_core.runs.past import Past
from model_core.runs.run import Run
from model_core.taps.tap import record
from tests.support.models.tiny import CONFIGS, CONTEXT, ENCODER_DECODERS, built, tokens

pytestmark = pytest.mark.process

EVERY = CONFIGS | ENCODER_DECODERS
EVERY["seq2seq normed"] = replace(ENCODER_DECODERS["seq2seq"], order="normed")
SOURCE, TARGET = tokens(11), tokens(20)[8:]

families = pytest.mark.parametrize("family", EVERY)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@cache
def model_of(family: str, dtype: torch.dtype = torch.float32) -> Any:
    return built(EVERY[family], dtype)


def texts(model: Any) -> list[list[int]]:
    """What the model reads; the last has 12 tokens."""
    return [SOURCE, TARGET][-len(model.inputs) :]


def run_of(model: Any, words: Sequence[str] = (), **how: Any) -> Run:
    first, *second = texts(model)
    return Run(model, first, edits_of(words), target=second[0] if second else (), **how)


def edits_of(words: Sequence[str]) -> list[Edit]:
    return [parse(text) for text in words]


def kinds(model: Any) -> list[str]:
    """The names of its kinds of attention, as words have them."""
    return [f" {kind.name}" if kind.name else "" for kind in model.attentions]


def assert_same(ours: Run, theirs: Run) -> None:
    """Every value of every site to the bit, in the same order."""
    assert list(ours.sites.values()) == list(theirs.sites.values())
    assert list(ours.trace) == list(theirs.trace)
    for key in theirs.sites:
        assert torch.equal(ours.value(key), theirs.value(key)), key


@families
@dtypes
def test_a_run_with_a_parent_is_the_run_without_one(family: str, dtype: torch.dtype) -> None:
    model = model_of(family, dtype)
    for stack in kinds(model):
        for words in (
            [f"ablate{stack} L0H1"],
            [f"ablate{stack} L2H1", f"mask off{stack} L1H0"],
            [f"cut{stack} L2H3 5->2"],
            [f"mean{stack} L1H2"],
            ["mask off"],
            [],
        ):
            ours = run_of(model, words, parent=run_of(model))
            assert_same(ours, run_of(model, words))
            # From an edited one to the plain one, and from one edit to another.
            assert_same(run_of(model, parent=ours), run_of(model))
            more = [*words, f"ablate{stack} L1H3"]
            assert_same(run_of(model, more, parent=ours), run_of(model, more))


@families
def test_what_comes_before_the_first_edit_is_the_parent_s_own(family: str) -> None:
    model = model_of(family)
    stack = kinds(model)[-1]
    parent = run_of(model)
    parent.value(next(key for key in parent.sites if key.endswith("blocks.0.attn.pattern")))
    child = run_of(model, [f"ablate{stack} L1H0"], parent=parent)
    last = ("decoder." if stack else "") + "blocks.1"
    before = list(child.stages)[: list(child.stages).index(last)]
    assert before
    for path in before:
        assert child.calls[path] is parent.calls[path]
        assert child.trace[f"{path}.resid_pre"] is parent.trace[f"{path}.resid_pre"]
    assert all(child.replays[path] is parent.replays[path] for path in parent.replays)
    assert child.calls[last] is not parent.calls[last]


def test_nothing_is_computed_of_a_block_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built(EVERY["llama"])
    parent = run_of(model)
    computed: list[int] = []
    for n, block in enumerate(model.blocks):
        block.mlp.register_forward_pre_hook(lambda *_, n=n: computed.append(n))
    run_of(model, ["skip mlp L2"], parent=parent)
    assert computed == [2]
    run_of(model, ["set norm.out[3,1]=2"], parent=parent)
    assert computed == [2]
    run_of(model, ["set embed.out[3,1]=2"], parent=parent)
    assert computed == [2, 0, 1, 2]


def test_a_patch_from_another_file_of_the_same_name_is_another_edit() -> None:
    model, key = model_of("llama"), "blocks.1.resid_mid"
    shape = (1, len(TARGET), 24)
    words = [f"patch {key} from run"]
    parent = run_of(model, words, read_site=lambda file, site: torch.zeros(shape))
    child = run_of(model, words, read_site=lambda file, site: torch.ones(shape), parent=parent)
    assert (child.value(key) == 1).all()
    assert child.calls["blocks.0"] is parent.calls["blocks.0"]


def test_a_parent_of_another_text_or_model_is_a_fault() -> None:
    model = model_of("llama")
    with pytest.raises(AssertionError, match="a parent of another model or other texts"):
        Run(model, TARGET[:-1], parent=run_of(model))
    with pytest.raises(AssertionError, match="a parent of another model or other texts"):
        Run(built(EVERY["llama"]), TARGET, parent=run_of(model))


# Pasts


def pieces(model: Any, sizes: Sequence[int], words: Sequence[str] = ()) -> list[Run]:
    """The last text in pieces, each a run that goes on after the one before."""
    *others, last = texts(model)
    past, runs, start = Past.nothing(model, CONTEXT), [], 0
    for size in sizes:
        part = last[start : start + size]
        first = others[0] if others else part
        runs.append(Run(model, first, edits_of(words), target=part, past=past))
        past, start = runs[-1].after(), start + size
    assert start == len(last)
    return runs


def along(run: Run, key: str) -> dict[int, slice]:
    """For each axis of a site that runs along the last text, the part of it in the whole text that a run shows."""
    site, last = run.sites[key], len(run.inputs) - 1
    texts, found = run.texts(key), {}
    for axis, (letter, size) in enumerate(zip(site.dims.split(), site.shape, strict=True)):
        if letter in "TS" and texts[letter] == last:
            end = run.start + len(run.tokens)
            found[axis] = slice(end - size, end)
    return found


EDITS: tuple[tuple[str, ...], ...] = (
    (),
    ("window 3", "cut{} L1H0 8->2"),
    ("skip attn{} L1", "ablate{} L0H2"),
)


@families
@dtypes
@pytest.mark.parametrize("words", EDITS, ids=lambda words: ", ".join(words) or "no edit")
def test_a_text_read_in_pieces_is_the_text_read_at_once(
    family: str, dtype: torch.dtype, words: Sequence[str]
) -> None:
    model = without_rounding(family) if dtype == torch.float64 else model_of(family, dtype)
    stack = " decoder" if len(model.inputs) > 1 else ""
    edits = [word.format(stack) for word in words]
    whole = run_of(model, edits)
    for run in pieces(model, [5, 1, 4, 1, 1], edits):
        for key, site in run.sites.items():
            value, expected = run.value(key), whole_value(whole, key)
            for axis, part in along(run, key).items():
                expected = expected.narrow(axis, part.start, part.stop - part.start)
            assert site.shape == tuple(value.shape) == tuple(expected.shape)
            assert_close(value, expected, dtype)


@cache
def without_rounding(family: str) -> Any:
    """The model in float64, its softmax as well, which LLaMA rounds to float32 by the sum over all keys."""
    model = built(EVERY[family], torch.float64)
    for module in model.modules():
        if isinstance(module, Attention):
            module.softmax_dtype = None
    return model


def whole_value(whole: Run, key: str) -> Tensor:
    """What a run without a past calls otherwise: all keys so far are its keys."""
    if not key.endswith("_all"):
        return whole.value(key)
    name = key.removesuffix("_all")
    return whole.value(next(found for found in (f"{name}_rot", f"{name}_norm", name) if found in whole.sites))


def assert_close(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> None:
    hidden = theirs.isneginf()
    assert torch.equal(ours.isneginf(), hidden)
    ours, theirs = ours.masked_fill(hidden, 0), theirs.masked_fill(hidden, 0)
    largest = max(1.0, theirs.abs().max().item())
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert (ours - theirs).abs().max().item() <= tolerance * largest


@families
def test_sites_of_a_run_with_a_past_are_replayed_to_the_bit(family: str) -> None:
    model = model_of(family, torch.float64)
    first, *_ = runs = pieces(model, [7, 2, 3])
    for run in runs:
        again = Past.nothing(model, CONTEXT) if run is first else replace(run.past, cache=copy_of(run.past))
        cached = again.cache.after(again.length, len(run.tokens))
        with torch.inference_mode(), record(model, ["*"]) as captured:
            model(*(torch.tensor([text]) for text in run.inputs), cache=cached)
        assert list(run.sites.values()) == list(captured.sites.values())
        for key in captured:
            assert torch.equal(run.value(key), captured[key])


def copy_of(past: Past | None) -> Any:
    assert past is not None
    cache = past.cache
    return replace(cache, keys=cache.keys.clone(), values=cache.values.clone(), length=past.length)


@families
def test_two_texts_go_on_after_one_past_and_neither_disturbs_the_other(family: str) -> None:
    model = without_rounding(family)
    *others, last = texts(model)
    begun = Run(model, others[0] if others else last[:6], target=last[:6], past=Past.nothing(model, 8))
    ends = [last[6:9], [token ^ 1 for token in last[6:12]], last[7:8]]
    runs = [Run(model, others[0] if others else end, target=end, past=begun.after()) for end in ends]
    before = begun.value(list(begun.sites)[-4]).clone()
    for run, end in zip(runs, ends, strict=True):
        text = last[:6] + end
        whole = Run(model, others[0] if others else text, target=text)
        for key in run.sites:
            value = run.value(key)
            expected = whole_value(whole, key)
            for axis, part in along(run, key).items():
                expected = expected.narrow(axis, part.start, part.stop - part.start)
            assert_close(value, expected, torch.float64)
    assert torch.equal(begun.value(list(begun.sites)[-4]), before)


@families
def test_a_run_may_have_a_parent_and_a_past(family: str) -> None:
    model = model_of(family)
    *others, last = texts(model)
    stack = " decoder" if others else ""
    begun = Run(model, others[0] if others else last[:6], target=last[:6], past=Past.nothing(model, CONTEXT))
    past, end = begun.after(), last[6:9]

    def going_on(*words: str, end: list[int] = end, **how: Any) -> Run:
        return Run(model, others[0] if others else end, edits_of(words), target=end, **how)

    parent = going_on(past=past)
    child = going_on(f"ablate{stack} L1H1", past=past, parent=parent)
    alone = going_on(f"ablate{stack} L1H1", past=past)
    assert_same(child, alone)
    assert_same(going_on(end=last[9:], past=child.after()), going_on(end=last[9:], past=alone.after()))


def test_the_source_is_read_once_for_all_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built(EVERY["seq2seq"])
    read: list[int] = []
    for n, block in enumerate(model.encoder.blocks):
        block.mlp.register_forward_pre_hook(lambda *_, n=n: read.append(n))
    pieces(model, [3, 9])
    assert read == [0, 1, 2]


@pytest.mark.parametrize("edit", ["mask off", "mean L1H1"])
def test_an_edit_that_shows_later_tokens_to_earlier_ones_needs_the_whole_text(edit: str) -> None:
    with pytest.raises(InputError, match=f"^{edit}: it lets tokens see later ones"):
        pieces(model_of("llama"), [3, 9], [edit])
    pieces(model_of("seq2seq"), [3, 9], ["mean encoder L1H1"])


def test_sites_that_come_with_a_past_can_be_edited() -> None:
    model = model_of("llama")
    words = ["set blocks.1.attn.k_all[1,2,3]=5"]
    for run in pieces(model, [5, 7], words):
        assert run.value("blocks.1.attn.k_all")[0, 1, 2, 3] == 5
    with pytest.raises(InputError, match=r"no site matches 'blocks\.1\.attn\.k_all'"):
        run_of(model, words)


def test_a_place_before_the_past_ends_is_no_mistake() -> None:
    model = model_of("llama")
    for run in pieces(model, [5, 7], ["cut L1H0 3->1"]):
        assert (run.value("blocks.1.attn.pattern")[0, 0, 3, 1] == 0) == (run.start == 0)


@families
@pytest.mark.parametrize("words", EDITS, ids=lambda words: ", ".join(words) or "no edit")
def test_each_step_of_a_generation_is_a_run(family: str, words: Sequence[str]) -> None:
    model = model_of(family, torch.float64)
    *others, last = texts(model)
    edits = edits_of([word.format(" decoder" if others else "") for word in words])
    told = list(generate(model, last, 6, Sampling(0), edits, source=others[0] if others else ()))
    past, unread = Past.nothing(model, len(last)), last
    for token in told:
        run = Run(model, others[0] if others else unread, edits, target=unread, past=past)
        assert run.logits[-1].argmax().item() == token
        assert all(run.value(key).shape == site.shape for key, site in run.sites.items())
        past, unread = run.after(), [token]
