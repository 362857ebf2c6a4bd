"""The scores of a head are means of exactly those weights that their definitions name."""

import numpy as np
import pytest
import torch

from model_core.analysis.scores import describe, head_scores, scores_of
from model_core.api.errors import InputError
from model_core.taps.tap import record
from tests.support.models.tiny import CONFIGS, CONTEXT, HEADS, LAYERS, VOCAB, tiny

pytestmark = pytest.mark.unit

PERIOD = 5
LENGTH = 2 * PERIOD


def looking_back(back: int) -> torch.Tensor:
    """A pattern [T S] whose every query looks `back` tokens back, and at the first where that is not there."""
    pattern = torch.zeros(LENGTH, LENGTH)
    for t in range(LENGTH):
        pattern[t, max(t - back, 0)] = 1
    return pattern


def test_each_ideal_head_scores_one_where_it_should_and_zero_elsewhere() -> None:
    ideal = torch.stack([looking_back(back) for back in (1, PERIOD - 1, PERIOD, 0)])[None]
    found = scores_of(ideal, PERIOD)
    assert found["induction"].tolist() == [0, 1, 0, 0]
    assert found["duplicate"].tolist() == [0, 0, 1, 0]
    # Of nine tokens, only the second has the first as the one before it, wherever its head looks back to.
    np.testing.assert_allclose(found["previous"], [1, 1 / 9, 1 / 9, 0], rtol=1e-6)


def test_uniform_attention_scores_the_mean_of_what_each_query_gives() -> None:
    pattern = torch.ones(LENGTH, LENGTH).tril()
    pattern /= pattern.sum(-1, keepdim=True)
    found = scores_of(pattern[None, None], PERIOD)
    second_half = np.mean([1 / (t + 1) for t in range(PERIOD, LENGTH)])
    assert found["previous"].item() == pytest.approx(np.mean([1 / (t + 1) for t in range(1, LENGTH)]))
    assert found["induction"].item() == pytest.approx(second_half)
    assert found["duplicate"].item() == pytest.approx(second_half)


def test_scores_read_the_weights_cell_by_cell() -> None:
    pattern = torch.rand(2, 3, LENGTH, LENGTH, generator=torch.Generator().manual_seed(0))
    found = scores_of(pattern, PERIOD)
    for head in range(3):
        cells = {
            "previous": [pattern[:, head, t, t - 1] for t in range(1, LENGTH)],
            "induction": [pattern[:, head, t, t - PERIOD + 1] for t in range(PERIOD, LENGTH)],
            "duplicate": [pattern[:, head, t, t - PERIOD] for t in range(PERIOD, LENGTH)],
        }
        for name, values in cells.items():
            assert found[name][head].item() == pytest.approx(torch.stack(values).mean().item(), rel=1e-5)


@pytest.mark.parametrize("family", CONFIGS)
def test_scores_of_a_model_are_those_of_its_patterns_on_repeated_tokens(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, probes = tiny(family), []
    forward = type(model).forward
    monkeypatch.setattr(
        type(model), "forward", lambda self, tokens: probes.append(tokens) or forward(self, tokens)
    )
    found = head_scores(model, length=6, rows=3, seed=2)
    monkeypatch.undo()

    assert len(probes) == 3
    for probe in probes:
        assert probe.shape == (1, 12)
        assert torch.equal(probe[:, :6], probe[:, 6:])
        assert probe.max() < VOCAB
    assert not torch.equal(probes[0], probes[1])
    with record(model, ["*.pattern"]) as trace:
        model(torch.cat(probes))
    for layer in range(LAYERS):
        expected = scores_of(trace[f"blocks.{layer}.attn.pattern"], 6)
        for name, values in expected.items():
            assert found[name].shape == (LAYERS, HEADS)
            np.testing.assert_allclose(found[name][layer], values, rtol=1e-4)


def test_probe_is_repeatable_and_changes_with_the_seed() -> None:
    model = tiny("gpt2")
    first, again, other = (head_scores(model, rows=2, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["previous"], other["previous"])


def test_probe_is_shortened_to_half_of_a_short_context() -> None:
    model = tiny("gpt2")
    found, expected = head_scores(model, length=64), head_scores(model, length=CONTEXT // 2)
    assert np.array_equal(found["induction"], expected["induction"])
    model.context = 3
    with pytest.raises(InputError, match="a context of 3 is too short"):
        head_scores(model)


def test_description_names_the_best_head_of_each_score_and_lists_all() -> None:
    found = {name: np.full((2, 3), 0.125, np.float32) for name in ("previous", "induction", "duplicate")}
    found["previous"][1, 2] = 0.75
    found["induction"][0, 1] = 0.5
    lines = [line.split() for line in describe(found).splitlines()]
    assert lines[:3] == [
        ["best", "previous", "L1H2", "0.750"],
        ["best", "induction", "L0H1", "0.500"],
        ["best", "duplicate", "L0H0", "0.125"],
    ]
    assert lines[4] == ["head", "previous", "induction", "duplicate"]
    assert lines[5:] == [
        ["L0H0", "0.125", "0.125", "0.125"],
        ["L0H1", "0.125", "0.500", "0.125"],
        ["L0H2", "0.125", "0.125", "0.125"],
        ["L1H0", "0.125", "0.125", "0.125"],
        ["L1H1", "0.125", "0.125", "0.125"],
        ["L1H2", "0.750", "0.125", "0.125"],
    ]
    assert len({len(line) for line in describe(found).splitlines()[4:]}) == 1
