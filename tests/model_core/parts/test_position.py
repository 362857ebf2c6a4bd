"""Positions are those of the papers; a rotation says how far apart two tokens are, not where they stand."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model_core.families.llama_like import adjacent_pairs
from model_core.parts.attention import repeat_kv
from model_core.parts.position import Rope, SinusoidalPositions, llama3_frequencies, rotate
from tests.support.models.tiny import CONFIGS, CONTEXT, POSITIONS, tiny, tokens

pytestmark = pytest.mark.unit

even = st.integers(1, 16).map(lambda pairs: 2 * pairs)
places = st.integers(0, 2000)
seeds = st.integers(0, 2**32 - 1)


def vectors(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def angles_of(positions: list[int], head_dim: int, theta: float = 10000.0) -> Tensor:
    """The paper's angles [T P] in float64: position * theta^(-2p/D)."""
    pairs = torch.arange(0, head_dim, 2, dtype=torch.float64)
    return torch.tensor(positions, dtype=torch.float64)[:, None] * theta ** (-pairs / head_dim)


def rotate_half(x: Tensor, angles: Tensor) -> Tensor:
    """The formula of Hugging Face's models: x cos + rotate_half(x) sin, pair p being dimensions p and p + D/2."""
    turn = torch.cat([angles, angles], -1)
    half = x.shape[-1] // 2
    return x * turn.cos() + torch.cat([-x[..., half:], x[..., :half]], -1) * turn.sin()


@given(head_dim=even, heads=st.integers(1, 3), start=places, seed=seeds)
def test_complex_pairs_and_rotate_half_agree_after_the_permutation_of_the_rows(
    head_dim: int, heads: int, start: int, seed: int
) -> None:
    """From the weights on: rows stored for rotate-half, put in the order of pairs, give the same scores."""
    width, length = 6, 5
    stored_q, stored_k = vectors(seed, 2, heads * head_dim, width)
    x = vectors(seed + 1, length, width)
    angles = angles_of(list(range(start, start + length)), head_dim)

    def split(rows: Tensor) -> Tensor:
        return (x @ rows.T).view(length, heads, head_dim).transpose(0, 1)

    theirs_q, theirs_k = rotate_half(split(stored_q), angles), rotate_half(split(stored_k), angles)
    ours_q = rotate(split(adjacent_pairs(stored_q, head_dim))[None], angles)[0]
    ours_k = rotate(split(adjacent_pairs(stored_k, head_dim))[None], angles)[0]

    order = [n for p in range(head_dim // 2) for n in (p, p + head_dim // 2)]
    largest = max(1.0, theirs_q.abs().max().item(), theirs_k.abs().max().item())
    assert (ours_q - theirs_q[..., order]).abs().max() <= 1e-12 * largest
    assert (ours_k - theirs_k[..., order]).abs().max() <= 1e-12 * largest
    assert (ours_q @ ours_k.mT - theirs_q @ theirs_k.mT).abs().max() <= 1e-12 * largest**2 * head_dim


@given(head_dim=even, first=places, second=places, shift=places, seed=seeds)
def test_scores_depend_only_on_the_difference_of_the_positions(
    head_dim: int, first: int, second: int, shift: int, seed: int
) -> None:
    q, k = vectors(seed, 2, head_dim)

    def score(query_at: int, key_at: int) -> float:
        turned_q = rotate(q.view(1, 1, 1, -1), angles_of([query_at], head_dim))
        turned_k = rotate(k.view(1, 1, 1, -1), angles_of([key_at], head_dim))
        return (turned_q * turned_k).sum().item()

    # An angle of thousands of radians keeps 12 digits after the point.
    tolerance = 1e-11 * (1 + q.norm().item() * k.norm().item())
    assert score(first + shift, second + shift) == pytest.approx(score(first, second), abs=tolerance)
    assert score(first, first) == pytest.approx((q * k).sum().item(), abs=tolerance)


def test_scores_do_change_with_the_difference() -> None:
    q, k = vectors(0, 2, 8)
    turned = [rotate(q.view(1, 1, 1, -1), angles_of([n], 8))[0, 0, 0] @ k for n in range(6)]
    assert len({round(score.item(), 6) for score in turned}) == 6


@pytest.mark.parametrize("family", [name for name in CONFIGS if POSITIONS[name] == ["rope.angles"]])
def test_rotary_scores_of_a_model_stay_when_all_tokens_move_on(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the rounding of float32 angles. A text told to stand 500 tokens later gets the same logits."""
    model = tiny(family)
    text = torch.tensor([tokens(CONTEXT)])
    here = model(text)
    forward: Callable[[Rope, Tensor], Tensor] = Rope.forward
    monkeypatch.setattr(Rope, "forward", lambda self, positions: forward(self, positions + 500))
    there = model(text)
    assert not torch.equal(here, there)
    torch.testing.assert_close(there, here, rtol=0, atol=2e-3)


@given(head_dim=even, position=places, theta=st.sampled_from([10000.0, 500000.0, 1e6]))
def test_angles_are_those_of_the_formula(head_dim: int, position: int, theta: float) -> None:
    rope = Rope(head_dim, theta)
    found = rope(torch.tensor([position]))
    assert found.dtype == torch.float32
    for p in range(head_dim // 2):
        assert found[0, p].item() == pytest.approx(position * theta ** (-2 * p / head_dim), rel=1e-5)


@given(seed=seeds, head_dim=even)
def test_rotation_turns_each_pair_by_its_angle_and_keeps_every_length(seed: int, head_dim: int) -> None:
    x, angles = vectors(seed, 1, 1, 3, head_dim), angles_of([0, 1, 7], head_dim)
    turned = rotate(x, angles)
    assert torch.equal(turned[0, 0, 0], x[0, 0, 0])
    for t in range(3):
        for p in range(head_dim // 2):
            a, b = x[0, 0, t, 2 * p].item(), x[0, 0, t, 2 * p + 1].item()
            angle = angles[t, p].item()
            expected = (
                math.cos(angle) * a - math.sin(angle) * b,
                math.sin(angle) * a + math.cos(angle) * b,
            )
            assert turned[0, 0, t, 2 * p : 2 * p + 2].tolist() == pytest.approx(expected, abs=1e-12)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-12, atol=1e-12)


def test_llama3_keeps_fast_pairs_slows_slow_ones_and_blends_between() -> None:
    """Each pair by the words of the formula: turns in the old context below 1, above 4, or between."""
    plain = Rope(128, 500000.0).frequencies(torch.device("cpu"))
    found = llama3_frequencies(plain, factor=8.0, low=1.0, high=4.0, context=8192)
    kinds = set()
    for before, after in zip(plain.tolist(), found.tolist(), strict=True):
        turns = 8192 * before / (2 * math.pi)
        share = min(1.0, max(0.0, (turns - 1) / (4 - 1)))
        kinds.add("kept" if share == 1 else "slowed" if share == 0 else "between")
        assert after == pytest.approx(share * before + (1 - share) * before / 8, rel=1e-5)
    assert kinds == {"kept", "slowed", "between"}


@given(groups=st.integers(1, 4), times=st.integers(1, 4))
def test_repeated_key_value_heads_stand_beside_each_other(groups: int, times: int) -> None:
    """Query head h reads key/value head h // times, as Meta's repeat_kv has it."""
    x = torch.arange(groups * 6.0).view(1, groups, 3, 2)
    found = repeat_kv(x, times)
    assert found.shape == (1, groups * times, 3, 2)
    for head in range(groups * times):
        assert torch.equal(found[0, head], x[0, head // times])


@pytest.mark.parametrize("width", [2, 6, 7, 24])
def test_sinusoids_are_those_of_the_formula_entry_by_entry(width: int) -> None:
    """Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) the cosine of the same."""
    positions = [0, 1, 2, 30, 511, 4095]
    table = SinusoidalPositions(width)(torch.tensor(positions), torch.float64)
    assert table.shape == (len(positions), width)
    for row, position in zip(table.tolist(), positions, strict=True):
        for n, entry in enumerate(row):
            angle = position / 10000 ** ((n - n % 2) / width)
            expected = math.cos(angle) if n % 2 else math.sin(angle)
            assert entry == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_sinusoids_of_a_smaller_dtype_are_the_exact_ones_rounded_once(dtype: torch.dtype) -> None:
    pos, positions = SinusoidalPositions(24), torch.tensor([3, 1000])
    assert torch.equal(pos(positions, dtype), pos(positions, torch.float64).to(dtype))


def test_sinusoids_are_not_stored() -> None:
    assert SinusoidalPositions(24).state_dict() == {}


@given(position=st.integers(0, 1000), step=st.integers(0, 1000))
def test_moving_on_turns_each_pair_of_sinusoids_by_the_same_angle_wherever_it_begins(
    position: int, step: int
) -> None:
    """What made the authors choose them: PE(pos + k) is a rotation of PE(pos) that depends on k alone."""
    here, there = SinusoidalPositions(8)(torch.tensor([position, position + step]), torch.float64)
    # Sine first, cosine second: moving on turns the pair clockwise.
    turned = rotate(here.view(1, 1, 1, -1), -angles_of([step], 8))
    torch.testing.assert_close(turned.flatten(), there, rtol=0, atol=1e-9)
