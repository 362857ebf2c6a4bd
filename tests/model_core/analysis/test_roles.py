"""The roles of a head are what their definitions say, on patterns made by hand, and between 0 and 1 on any."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_core.analysis.roles import named_keys, probe_roles, role_scores
from model_core.analysis.scores import scores_of
from model_core.api.errors import Cancelled, InputError
from model_core.api.names import AttentionKind
from model_core.api.role_list import LOCAL, ROLES, roles_of
from tests.support.models.tiny import CONFIGS, ENCODER_DECODERS, HEADS, LAYERS, built, tiny

pytestmark = pytest.mark.unit

CAUSAL = AttentionKind("", layers=1, heads=1, kv_heads=1, head_dim=4)
ENCODER = AttentionKind("encoder", layers=1, heads=1, kv_heads=1, head_dim=4, causal=False)
CROSS = AttentionKind("cross", layers=1, heads=1, kv_heads=1, head_dim=4, queries=1, keys=0, causal=False)

TEXT = torch.tensor([5, 6, 7, 8, 9, 5, 6, 7, 8, 9])
T = len(TEXT)
CAN_SEE = torch.ones(T, T, dtype=torch.bool).tril()


def looking(places: list[int]) -> Tensor:
    """A pattern [1 T S] whose query t gives all its weight to places[t]."""
    return torch.nn.functional.one_hot(torch.tensor(places), T)[None].float()


def scored(pattern: Tensor, tokens: Tensor = TEXT, visible: Tensor = CAN_SEE) -> dict[str, float]:
    found = role_scores(pattern, visible.expand_as(pattern), tokens, tokens, CAUSAL)
    return {name: score.item() for name, score in found.items()}


PERFECT = {
    "previous": [max(t - 1, 0) for t in range(T)],
    "induction": [0, 0, 0, 0, 0, 1, 2, 3, 4, 5],
    "duplicate": [0, 1, 2, 3, 4, 0, 1, 2, 3, 4],
    "first": [0] * T,
    "local": list(range(T)),
}


@pytest.mark.parametrize("role", PERFECT)
def test_a_head_that_does_nothing_else_has_a_score_of_one(role: str) -> None:
    assert scored(looking(PERFECT[role]))[role] == 1


@pytest.mark.parametrize("role", ["previous", "induction", "duplicate", "first", "uniform"])
def test_a_head_that_looks_at_itself_has_none_of_the_other_roles(role: str) -> None:
    assert scored(looking(list(range(T))))[role] == 0


def test_even_attention_has_a_uniform_score_of_one_and_gives_each_role_its_share() -> None:
    even = CAN_SEE / CAN_SEE.sum(-1, keepdim=True)
    found = scored(even[None])
    assert found["uniform"] == pytest.approx(1)
    assert found["previous"] == pytest.approx(np.mean([1 / (t + 1) for t in range(1, T)]))
    assert found["first"] == pytest.approx(np.mean([1 / (t + 1) for t in range(1, T)]))
    assert found["local"] == pytest.approx(np.mean([(LOCAL + 1) / (t + 1) for t in range(LOCAL + 1, T)]))
    assert found["duplicate"] == pytest.approx(np.mean([1 / (t + 1) for t in range(5, T)]))


def test_attention_halved_between_two_of_four_keys_is_half_uniform() -> None:
    visible = torch.tensor([[True, True, True, True]])
    pattern = torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])
    found = role_scores(pattern, visible[None], torch.tensor([1]), torch.tensor([1, 2, 3, 4]), CROSS)
    assert found["uniform"].item() == pytest.approx(0.5)


def test_only_queries_with_a_choice_count() -> None:
    # Four tokens, none of them twice: nothing to duplicate or to continue, and all of them near.
    found = scored(torch.eye(4)[None], torch.tensor([1, 2, 3, 4]), CAN_SEE[:4, :4])
    assert math.isnan(found["duplicate"])
    assert math.isnan(found["induction"])
    assert math.isnan(found["local"])
    assert all(math.isnan(score) for score in scored(torch.ones(1, 1, 1), TEXT[:1], CAN_SEE[:1, :1]).values())


def test_what_a_window_hides_is_asked_of_nobody() -> None:
    window = CAN_SEE & ~CAN_SEE.tril(-3)
    pattern = window / window.sum(-1, keepdim=True)
    found = scored(pattern[None], visible=window)
    assert found["first"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found["uniform"] == pytest.approx(1)
    assert math.isnan(found["local"])


def test_where_everything_is_seen_later_occurrences_count_as_well() -> None:
    tokens = torch.tensor([5, 6, 7, 5, 8])
    assert named_keys("induction", tokens, tokens, same=True).nonzero().tolist() == [[0, 4], [3, 1]]
    assert named_keys("duplicate", tokens, tokens, same=True).nonzero().tolist() == [[0, 3], [3, 0]]


def test_across_two_texts_a_duplicate_is_the_same_token_in_the_other() -> None:
    assert [role.name for role in roles_of(CROSS)] == ["duplicate", "first", "uniform"]
    source, target = torch.tensor([3, 4, 5]), torch.tensor([9, 5])
    pattern = torch.tensor([[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]])
    found = role_scores(pattern, torch.ones(1, 2, 3, dtype=torch.bool), target, source, CROSS)
    assert found["duplicate"].item() == pytest.approx(0.8)
    assert found["first"].item() == pytest.approx((0.2 + 0.1) / 2)


@settings(deadline=None, max_examples=80)
@given(
    tokens=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    heads=st.integers(1, 3),
    kind=st.sampled_from([CAUSAL, ENCODER]),
    seed=st.integers(0, 2**16),
    sharpness=st.floats(0, 40),
)
@pytest.mark.process
def test_every_score_is_between_0_and_1_or_there_is_none(
    tokens: list[int], heads: int, kind: AttentionKind, seed: int, sharpness: float
) -> None:
    n = len(tokens)
    scores = torch.randn(heads, n, n, generator=torch.Generator().manual_seed(seed)) * sharpness
    visible = torch.ones(n, n, dtype=torch.bool)
    visible = (visible.tril() if kind.causal else visible).expand_as(scores)
    pattern = scores.masked_fill(~visible, -torch.inf).softmax(-1)
    text = torch.tensor(tokens)
    for values in role_scores(pattern, visible, text, text, kind).values():
        assert values.shape == (heads,)
        assert all(math.isnan(value) or 0 <= value <= 1 for value in values.tolist())


def test_on_distinct_tokens_twice_roles_are_the_scores_of_the_probe() -> None:
    period = 6
    tokens = torch.arange(period).repeat(2)
    visible = torch.ones(2 * period, 2 * period, dtype=torch.bool).tril()
    scores = torch.randn(3, 2 * period, 2 * period, generator=torch.Generator().manual_seed(1))
    pattern = scores.masked_fill(~visible, -torch.inf).softmax(-1)
    found = role_scores(pattern, visible.expand_as(pattern), tokens, tokens, CAUSAL)
    for name, expected in scores_of(pattern[None], period).items():
        torch.testing.assert_close(found[name], expected)


@pytest.mark.parametrize("family", CONFIGS)
def test_the_probe_scores_every_head_of_every_family(family: str) -> None:
    found = probe_roles(tiny(family))
    assert list(found) == [role.name for role in ROLES]
    for values in found.values():
        assert values.shape == (LAYERS, HEADS)
        assert ((values >= 0) & (values <= 1) | values.isnan()).all()


def test_the_probe_is_measured_once_and_can_be_stopped() -> None:
    model = tiny("llama")
    with pytest.raises(Cancelled):
        probe_roles(model, cancelled=lambda: True)
    assert probe_roles(model) is probe_roles(model, cancelled=lambda: True)


def test_the_probe_is_for_models_that_read_one_text() -> None:
    with pytest.raises(InputError, match="ask for the prompt"):
        probe_roles(built(ENCODER_DECODERS["seq2seq"]))


def test_every_role_says_what_it_is_and_where_it_was_described() -> None:
    for role in ROLES:
        assert role.about.endswith(".")
        assert role.source
        assert role.link.startswith("https://")
