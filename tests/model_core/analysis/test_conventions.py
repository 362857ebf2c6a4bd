"""RoPE's two conventions are one rotation: neighbours as complex numbers, or the two halves of a head."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_core.analysis.conventions import both, halves_from_pairs, rotate_halves, rotate_pairs
from model_core.families.llama_like import adjacent_pairs
from model_core.parts.position import Rope

pytestmark = pytest.mark.unit

HEAD_DIMS = [2, 8, 64]


def head(head_dim: int, length: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(length, head_dim, generator=generator, dtype=torch.float64) for _ in "qk")
    return q, k, Rope(head_dim)(torch.arange(length)).double()


@given(head_dim=st.sampled_from(HEAD_DIMS), length=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_both_give_the_same_scores(head_dim: int, length: int, seed: int) -> None:
    in_pairs, in_halves = both(*head(head_dim, length, seed), 1 / math.sqrt(head_dim))
    torch.testing.assert_close(in_pairs, in_halves, rtol=0, atol=1e-12)


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_the_turned_numbers_are_the_same_in_another_order(head_dim: int) -> None:
    q, _, angles = head(head_dim, 9, 0)
    order = halves_from_pairs(head_dim)
    torch.testing.assert_close(
        rotate_halves(q[:, order], angles), rotate_pairs(q, angles)[:, order], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_the_order_is_the_one_in_which_rows_are_put_when_a_checkpoint_is_opened(head_dim: int) -> None:
    rows = torch.arange(head_dim, dtype=torch.float64)[:, None]
    stored = rows[halves_from_pairs(head_dim)]
    assert torch.equal(adjacent_pairs(stored, head_dim), rows)


def test_without_the_other_order_the_scores_differ() -> None:
    q, k, angles = head(8, 5, 0)
    wrong = rotate_halves(q, angles) @ rotate_halves(k, angles).mT
    right = rotate_pairs(q, angles) @ rotate_pairs(k, angles).mT
    assert (wrong - right).abs().max() > 0.1
