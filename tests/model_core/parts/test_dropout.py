"""Dropout acts in training alone: where it should, as often as it should, and the same way for the same seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model_core.api.recipe import Recipe
from model_core.families.first_weights import initialise
from model_core.families.registry import family_of
from model_core.parts.attention import Attention
from model_core.parts.mlp import MLP
from model_core.parts.model import Model
from model_core.taps.tap import record
from model_core.training.corpus import Corpus, TextTask
from model_core.training.train import train
from tests.support.models.tiny import CONFIGS, CONTEXT, tiny, tokens

pytestmark = pytest.mark.unit

PROMPT = torch.tensor([tokens(CONTEXT)])
families = pytest.mark.parametrize("family", [name for name in CONFIGS if hasattr(CONFIGS[name], "dropout")])


def dropping(family: str, dtype: torch.dtype = torch.float32) -> Model:
    """`tiny(family)` with dropout, in eval mode."""
    plain = tiny(family, dtype)
    model = family_of(plain.config).build(replace(plain.config, dropout=0.3)).to(dtype)
    model.load_state_dict(plain.state_dict())
    return model.eval().requires_grad_(False)


@families
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_changes_no_value_out_of_training(family: str, dtype: torch.dtype) -> None:
    plain, model = tiny(family, dtype), dropping(family, dtype)
    assert torch.equal(model(PROMPT), plain(PROMPT))
    with record(plain) as expected:
        plain(PROMPT)
    with record(model) as found:
        model(PROMPT)
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    cache, other = model.empty_cache(1, CONTEXT), plain.empty_cache(1, CONTEXT)
    for n in range(4):
        step = PROMPT[:, n : n + 1]
        assert torch.equal(model(step, cache), plain(step, other))


@families
def test_dropout_changes_every_pass_in_training(family: str) -> None:
    plain, model = tiny(family), dropping(family).train()
    passes = [model(PROMPT) for _ in range(2)]
    assert not torch.equal(*passes)
    assert not torch.equal(passes[0], plain(PROMPT))


def share_of_zeros(values: torch.Tensor) -> float:
    return (values == 0).float().mean().item()


@families
def test_share_that_was_asked_for_is_zeroed_where_the_stream_is_written(family: str) -> None:
    model = dropping(family).train()
    torch.manual_seed(0)
    with record(model) as trace:
        model(torch.cat([PROMPT] * 20))
    for key in ["blocks.0.resid_pre", *trace.find("*.attn.out", "*.mlp.out")]:
        assert share_of_zeros(trace[key]) == pytest.approx(0.3, abs=0.02)
    for key in trace.find("*.attn.pattern"):  # what is seen is what the softmax gave
        torch.testing.assert_close(trace[key].sum(-1), torch.ones(20, 4, CONTEXT))


def test_dropped_pattern_weighs_the_values_alike_whether_it_is_seen_or_not() -> None:
    """With one token the pattern is 1: each head's value is either dropped, or scaled by 1 / (1 - p)."""
    torch.manual_seed(0)
    attn = Attention(24, 4, qkv_bias=False, out_bias=False, dropout=0.4).train()
    x, mask = torch.randn(500, 1, 24), torch.zeros(1, 1)
    for globs in (["z", "v"], ["*"]):
        with torch.no_grad(), record(attn, globs) as trace:
            attn(x, mask)
        kept = (trace["z"] / trace["v"])[..., 0]
        assert {round(factor, 3) for factor in kept.flatten().tolist()} == {0.0, 1.667}
        assert share_of_zeros(kept) == pytest.approx(0.4, abs=0.04)


def test_mlp_drops_from_what_it_writes() -> None:
    torch.manual_seed(0)
    mlp, x = MLP(24, 40, torch.relu, bias=True, dropout=0.4).train(), torch.randn(50, 10, 24)
    assert share_of_zeros(mlp(x)) == pytest.approx(0.4, abs=0.03)
    assert share_of_zeros(mlp.eval()(x)) == 0


@families
def test_training_with_dropout_is_repeated_by_its_seed(family: str) -> None:
    text = np.array(list(b"the cat sat on the mat. " * 20), dtype=np.int32)
    recipe, trained = Recipe(steps=3, batch=4, length=16, warmup=1, seed=3), []
    for _ in range(2):
        config = replace(CONFIGS[family], vocab_size=256, dropout=0.2)
        model = family_of(config).build(config)
        initialise(model, 0)
        train(model, TextTask(Corpus(text, text[:0], 0), 256, recipe), recipe, lambda progress: None)
        trained.append(list(model.parameters()))
        torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(*trained, strict=True))
