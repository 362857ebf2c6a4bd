"""Derived numbers are what their descriptions say."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_core.analysis.derive import cosines, histogram, next_token, shrink, statistics
from model_core.parts.norm import LayerNorm, RMSNorm

pytestmark = pytest.mark.unit

anything = arrays.arrays(
    np.float32, arrays.array_shapes(max_dims=3, max_side=6), elements=st.floats(width=32)
)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_next_token_names_the_likeliest_and_how_each_prompt_token_was_foreseen() -> None:
    logits, tokens = random(4, 6), [5, 0, 3, 2]
    found = next_token(logits, tokens, 3)
    last = np.exp(logits[-1].double().numpy())
    order = np.argsort(-last)
    assert found.ids.tolist() == order[:3].tolist()
    np.testing.assert_allclose(found.probabilities, last[order[:3]] / last.sum(), rtol=1e-6)
    for t in range(3):
        row = logits[t].double().numpy()
        chosen = row[tokens[t + 1]]
        assert found.log_probs[t].item() == pytest.approx(chosen - math.log(np.exp(row).sum()), abs=1e-6)
        assert found.ranks[t].item() == sum(other > chosen for other in row)


def test_foreseen_token_has_rank_zero_and_an_impossible_one_minus_infinite_log_probability() -> None:
    logits = torch.tensor([[0.0, 9.0, 1.0], [-math.inf, 1.0, 2.0], [0.0, 0.0, 0.0]])
    found = next_token(logits, [2, 1, 0], 3)
    assert found.ranks.tolist() == [0, 2]
    assert found.log_probs[1] == -math.inf


def test_prompt_of_one_token_has_a_next_token_and_none_that_was_foreseen() -> None:
    found = next_token(random(1, 6), [4], 2)
    assert found.ids.shape == (2,)
    assert found.log_probs.shape == found.ranks.shape == (0,)


def test_no_more_tokens_are_named_than_there_are() -> None:
    found = next_token(random(2, 6), [1, 2], 100)
    assert sorted(found.ids.tolist()) == list(range(6))
    assert found.probabilities.sum().item() == pytest.approx(1)


def test_statistics_of_a_norm_give_its_output_back() -> None:
    x = random(5, 16) * 3 + 1
    layer, rms = LayerNorm(16, 1e-3), RMSNorm(16, 1e-3)
    found = layer.statistics(x)
    by_hand = (x - found["mean"][:, None]) / found["divisor"][:, None]
    torch.testing.assert_close(found["divisor"], (found["variance"] + 1e-3).sqrt())
    torch.testing.assert_close(by_hand, layer(x))
    torch.testing.assert_close(x / rms.statistics(x)["rms"][:, None], rms(x))


def test_norm_statistics_are_the_formulas_of_one_token() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    found = LayerNorm(4, 0.5).statistics(x)
    assert found["mean"].tolist() == [3]
    assert found["variance"].tolist() == [3.5]
    assert RMSNorm(4, 0.5).statistics(x)["rms"].tolist() == [pytest.approx(math.sqrt(13))]


def test_norm_statistics_of_bfloat16_are_computed_in_float32() -> None:
    x = random(3, 64).bfloat16()
    found = RMSNorm(64).statistics(x)["rms"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, RMSNorm(64).statistics(x.float())["rms"])


def test_the_divisor_told_of_an_rms_norm_is_the_one_that_it_used() -> None:
    x = torch.full((2, 8), 1e30, dtype=torch.float64)
    layer = RMSNorm(8).double()
    with torch.no_grad():
        assert not layer(x).any()
    found = layer.statistics(x)["rms"]
    assert found.isinf().all()
    assert found.dtype == torch.float32
    assert LayerNorm(8).double().statistics(x)["mean"].dtype == torch.float64


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1e20, 1e37])
def test_cosines_do_not_depend_on_how_large_the_rows_are(size: float) -> None:
    rows = random(4, 6)
    torch.testing.assert_close(cosines(rows * size), cosines(rows))


def test_cosines_are_the_angles_between_rows() -> None:
    rows = torch.tensor([[2.0, 0.0], [0.0, 5.0], [3.0, 3.0], [-1.0, 0.0], [0.0, 0.0]])
    half = math.sqrt(0.5)
    expected = [
        [1, 0, half, -1, 0],
        [0, 1, half, 0, 0],
        [half, half, 1, -half, 0],
        [-1, 0, -half, 1, 0],
        [0] * 5,
    ]
    torch.testing.assert_close(cosines(rows), torch.tensor(expected))


@given(anything)
@example(np.float32([]).reshape(0))
def test_statistics_count_every_value_and_measure_the_finite_ones(values: np.ndarray) -> None:
    found = statistics(values)
    finite = [float(v) for v in values.reshape(-1) if math.isfinite(v)]
    assert found["count"] == values.size
    assert found["nan"] == sum(math.isnan(v) for v in values.reshape(-1))
    assert found["minus_infinite"] == sum(v == -math.inf for v in values.reshape(-1))
    assert found["plus_infinite"] == sum(v == math.inf for v in values.reshape(-1))
    if not finite:
        assert not found.keys() & {"min", "max", "mean", "std"}
        return
    assert (found["min"], found["max"]) == (min(finite), max(finite))
    mean = math.fsum(finite) / len(finite)
    scale = max(map(abs, finite))
    assert found["mean"] == pytest.approx(mean, abs=1e-12 * scale)
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in finite) / len(finite))
    assert found["std"] == pytest.approx(std, abs=1e-9 * scale)


@given(anything)
@example(np.float32([3e38, 3e38]))
@example(np.float32([-3e38, 3e38]))
@example(np.float32([1e-45, 0]))
@example(np.float32([np.nan, np.inf]))
def test_histogram_counts_every_finite_value_in_forty_bins(values: np.ndarray) -> None:
    counts, edges = histogram(values)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert counts.shape == (40,)
    assert edges.shape == (41,)
    assert counts.sum() == finite.size
    assert (np.diff(edges) > 0).all()
    if finite.size and finite.min() < finite.max():
        assert edges[0] == finite.min()
        assert edges[-1] == finite.max()


def test_shrunk_map_keeps_every_peak_where_it_was() -> None:
    maps = random(2, 3, 50, 70)
    maps[1, 2, 37, 68] = 100
    small = shrink(maps, 8)
    assert small.shape == (2, 3, 8, 8)
    torch.testing.assert_close(small.amax((-2, -1)), maps.amax((-2, -1)))
    assert small[1, 2, 37 * 8 // 50, 68 * 8 // 70] == 100
    for row in range(8):
        rows = slice(row * 50 // 8, math.ceil((row + 1) * 50 / 8))
        for column in range(8):
            columns = slice(column * 70 // 8, math.ceil((column + 1) * 70 / 8))
            assert torch.equal(small[..., row, column], maps[..., rows, columns].amax((-2, -1)))


def test_map_that_fits_is_left_as_it_is() -> None:
    maps = random(3, 8, 8)
    assert torch.equal(shrink(maps, 8), maps)
    assert shrink(random(3, 5, 20), 8).shape == (3, 5, 8)


def test_shrinking_hides_no_masked_cell_behind_zero() -> None:
    masked = torch.full((1, 20, 20), -math.inf)
    assert (shrink(masked, 4) == -math.inf).all()
