"""Each edit is what the same change does that is written by hand into a plain forward pass, in float64."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from model_core.api.edits import parse
from model_core.runs.run import Run
from tests.support.models.by_hand import Change, by_hand
from tests.support.models.tiny import CONFIGS, ENCODER_DECODERS, LAYERS, built, tokens

pytestmark = pytest.mark.process

EVERY = CONFIGS | ENCODER_DECODERS
EVERY["seq2seq normed"] = replace(ENCODER_DECODERS["seq2seq"], order="normed")
SOURCE, TARGET = tokens(11), tokens(16)[7:]
OTHER = 3  # what makes other texts

families = pytest.mark.parametrize("family", EVERY)


@cache
def model_of(family: str) -> Any:
    return built(EVERY[family], torch.float64)


@cache
def plain(family: str, shift: int = 0) -> dict[str, Tensor]:
    """Every value of the family's model as it is."""
    return by_hand(model_of(family), texts(model_of(family), shift))


def texts(model: Any, shift: int = 0) -> list[list[int]]:
    """A text for each that the model reads; a `shift` makes others of the same length."""
    return [[(token + shift) % 2048 for token in text] for text in (SOURCE, TARGET)][-len(model.inputs) :]


def assert_same(family: str, words: Sequence[str], changes: Mapping[str, Change], *, site: str = "") -> None:
    """A run with the edits has the logits of the changed plain pass, and not those of the model as it is.

    site  where not the logits but another value is compared
    """
    model = model_of(family)
    first, *second = texts(model)
    run = Run(
        model,
        first,
        [parse(text) for text in words],
        target=second[0] if second else (),
        read_site=lambda file, key: plain(family, OTHER)[key],
    )
    expected = by_hand(model, texts(model), changes)
    for key in ("logits", site) if site else ("logits",):
        assert (run.value(key) - expected[key]).abs().max().item() <= 1e-10
    assert (run.value("logits") - plain(family)["logits"]).abs().max().item() > 1e-6


def stacks(family: str) -> dict[str, str]:
    """Kind of attention in words -> the path of its blocks' attention, of a family."""
    if family in ENCODER_DECODERS or family == "seq2seq normed":
        return {
            " encoder": "encoder.blocks.{}.attn",
            " decoder": "decoder.blocks.{}.attn",
            " cross": "decoder.blocks.{}.cross",
        }
    return {"": "blocks.{}.attn"}


def blocks(family: str) -> dict[str, str]:
    """The stacks of blocks: as `stacks`, without the attention."""
    return {words: path.rpartition(".")[0] for words, path in stacks(family).items() if words != " cross"}


@families
def test_the_pass_by_hand_is_the_model(family: str) -> None:
    model = model_of(family)
    first, *second = texts(model)
    run = Run(model, first, target=second[0] if second else ())
    for key, expected in plain(family).items():
        value = run.value(key)
        hidden = expected.isneginf()
        assert torch.equal(value.expand_as(expected).isneginf(), hidden)
        assert (value - expected).masked_fill(hidden, 0).abs().max().item() <= 1e-10


def banded(mask: Tensor, size: int, heads: slice) -> Tensor:
    mask = mask.clone()
    for t in range(mask.shape[2]):
        for s in range(mask.shape[3]):
            if not t - size < s <= t:
                mask[:, heads, t, s] = -math.inf
    return mask


@families
def test_window(family: str) -> None:
    paths = [path for words, path in stacks(family).items() if words != " cross"]
    changes: dict[str, Change] = {
        f"{path.format(layer)}.mask": lambda mask, _: banded(mask, 3, slice(None))
        for path in paths
        for layer in range(LAYERS)
    }
    assert_same(family, ["window 3"], changes)
    for words, path in stacks(family).items():
        if words == " cross":
            continue
        key = f"{path.format(1)}.mask"
        assert_same(family, [f"window 3{words} L1"], {key: lambda mask, _: banded(mask, 3, slice(None))})
        assert_same(family, [f"window 2{words} L1H2"], {key: lambda mask, _: banded(mask, 2, slice(2, 3))})


def with_cell(value: Tensor, *place: int, to: float) -> Tensor:
    value = value.clone()
    value[(0, *place)] = to
    return value


@families
def test_cut(family: str) -> None:
    for words, path in stacks(family).items():
        attn = path.format(1)
        assert_same(
            family,
            [f"cut{words} L1H2 5->3"],
            {f"{attn}.pattern": lambda pattern, _: with_cell(pattern, 2, 5, 3, to=0)},
            site=f"{attn}.pattern",
        )
        assert_same(
            family,
            [f"cut{words} L1H2 5->3 renormalise"],
            {f"{attn}.scores": lambda scores, _: with_cell(scores, 2, 5, 3, to=-math.inf)},
            site=f"{attn}.pattern",
        )


@families
def test_mean_over_the_prompt(family: str) -> None:
    def mean(z: Tensor, _: object) -> Tensor:
        z = z.clone()
        z[0, 2] = z[0, 2].sum(0) / z.shape[2]
        return z

    for words, path in stacks(family).items():
        assert_same(family, [f"mean{words} L1H2"], {f"{path.format(1)}.z": mean})


@families
def test_skip(family: str) -> None:
    def passed_by(key: str) -> Change:
        return lambda _, known: known[key]

    for words, path in blocks(family).items():
        at = path.format(1)
        before = "resid_cross" if words == " decoder" else "resid_mid"
        cases = {
            f"skip{words} L1": (f"{at}.resid_post", f"{at}.resid_pre"),
            f"skip attn{words} L1": (f"{at}.resid_mid", f"{at}.resid_pre"),
            f"skip mlp{words} L1": (f"{at}.resid_post", f"{at}.{before}"),
        }
        if words == " decoder":
            cases["skip cross L1"] = (f"{at}.resid_cross", f"{at}.resid_mid")
        for edit, (after, key) in cases.items():
            assert_same(family, [edit], {after: passed_by(key)}, site=after)


@families
def test_patch(family: str) -> None:
    values = plain(family, OTHER)

    def patched(key: str, position: int | None = None) -> Change:
        def change(value: Tensor, _: object) -> Tensor:
            if position is None:
                return values[key]
            value = value.clone()
            value[..., position, :] = values[key][..., position, :]
            return value

        return change

    for path in blocks(family).values():
        at = path.format(1)
        for key in (
            f"{at}.resid_mid",
            f"{at}.attn.pattern",
            f"{at}.attn.k",
            f"{at}.mlp.post",
            f"{at}.attn.z",
        ):
            assert_same(family, [f"patch {key} from a file.safetensors"], {key: patched(key)}, site=key)
            assert_same(family, [f"patch {key}[6] from run"], {key: patched(key, 6)}, site=key)


@families
def test_set(family: str) -> None:
    for path in blocks(family).values():
        at = path.format(1)
        for key, place in (
            (f"{at}.attn.pattern", (2, 5, 1)),
            (f"{at}.attn.scores", (0, 4, 2)),
            (f"{at}.mlp.post", (3, 7)),
            (f"{at}.resid_pre", (8, 0)),
        ):
            words = f"set {key}[{','.join(map(str, place))}]=0.75"
            assert_same(
                family, [words], {key: lambda value, _, to=place: with_cell(value, *to, to=0.75)}, site=key
            )


@families
def test_several_edits_are_made_in_their_order(family: str) -> None:
    words, path = list(stacks(family).items())[-1]
    z = f"{path.format(1)}.z"
    assert_same(
        family,
        [f"mean{words} L1H2", f"set {z}[2,4,1]=3.5"],
        {z: lambda value, _: with_cell(head_mean(value), 2, 4, 1, to=3.5)},
        site=z,
    )
    assert_same(
        family,
        [f"set {z}[2,4,1]=3.5", f"mean{words} L1H2"],
        {z: lambda value, _: head_mean(with_cell(value, 2, 4, 1, to=3.5))},
        site=z,
    )


def head_mean(z: Tensor) -> Tensor:
    z = z.clone()
    z[0, 2] = z[0, 2].mean(0, keepdim=True)
    return z


@families
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_query_that_may_look_at_no_key_weighs_nothing(family: str, dtype: torch.dtype) -> None:
    model = built(EVERY[family], dtype)
    first, *second = texts(model)
    for words, path in stacks(family).items():
        keys = (
            len(first) if words == " cross" else 1
        )  # a first token sees itself alone, a decoder's first cross all
        cuts = [f"cut{words} L1H2 0->{key} renormalise" for key in range(keys)]
        if words == " encoder":
            cuts = ["window 1 encoder L1", f"cut{words} L1H2 0->0 renormalise"]
        run = Run(model, first, [parse(cut) for cut in cuts], target=second[0] if second else ())
        attn = path.format(1)
        z = run.value(f"{attn}.z")[0, 2]
        assert (z[0] == 0).all()
        assert z.isfinite().all()
        assert not (z[1] == 0).all()
        pattern = run.value(f"{attn}.pattern")[0, 2]
        assert (pattern[0] == 0).all()
        assert pattern.isfinite().all()
        assert run.value("logits").isfinite().all()
