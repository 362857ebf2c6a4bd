"""Text goes on by the distribution that was asked for, the same way each time."""

import math
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from model_core.api.edits import parse
from model_core.api.errors import Cancelled, InputError, TooLong
from model_core.generation.generate import Sampling, distribution, generate
from model_core.parts.cache import Cache
from model_core.parts.decoder import Decoder
from model_core.taps.tap import record
from tests.support.models.tiny import CONFIGS, CONTEXT, VOCAB, tiny, tokens

pytestmark = pytest.mark.unit

GREEDY = Sampling(temperature=0)
families = pytest.mark.parametrize("family", CONFIGS)


def likeliest(model: Decoder, prompt: list[int], count: int, edits: list[str]) -> list[int]:
    """Greedy text without a cache: the whole text is read anew for each token."""
    text = list(prompt)
    for _ in range(count):
        with torch.inference_mode(), record(model, (), [parse(edit) for edit in edits]):
            text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    return text[len(prompt) :]


@pytest.mark.process
@families
@pytest.mark.parametrize("edits", [[], ["ablate L1H2"], ["mask off"], ["mask off L1H0", "ablate L0H0"]])
def test_greedy_text_is_the_argmax_of_a_pass_without_a_cache(family: str, edits: list[str]) -> None:
    model, prompt = tiny(family), tokens(5)
    new = list(generate(model, prompt, 12, GREEDY, [parse(edit) for edit in edits]))
    assert new == likeliest(model, prompt, 12, edits)
    assert len(set(new)) > 3


def test_edits_change_the_text() -> None:
    model = tiny("llama")
    texts = [
        list(generate(model, tokens(5), 12, GREEDY, [parse(edit) for edit in edits]))
        for edits in ([], ["ablate L1H2"], ["mask off"])
    ]
    assert len({tuple(text) for text in texts}) == 3


@families
def test_same_seed_gives_the_same_text_and_another_seed_another(family: str) -> None:
    model = tiny(family)
    texts = [list(generate(model, tokens(3), 15, Sampling(seed=seed))) for seed in (4, 4, 5)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_other_random_numbers_in_between_do_not_change_the_text() -> None:
    model, begun = tiny("gpt2"), []
    for token in generate(model, tokens(3), 8, Sampling(seed=1)):
        torch.rand(3)
        begun.append(token)
    assert begun == list(generate(model, tokens(3), 8, Sampling(seed=1)))


@pytest.mark.process
@families
@pytest.mark.parametrize("edits", [[], ["mask off"]])
def test_text_ends_where_the_context_is_full(family: str, edits: list[str]) -> None:
    model, changes = tiny(family), [parse(edit) for edit in edits]
    for length in (1, CONTEXT - 4, CONTEXT):
        new = list(generate(model, tokens(length), 100, GREEDY, changes))
        # The token after a full context can still be told; none after it.
        assert len(new) == CONTEXT - length + 1


def test_prompt_longer_than_the_context_is_refused() -> None:
    with pytest.raises(TooLong, match="1 more than the context of 24"):
        next(generate(tiny("llama"), tokens(CONTEXT + 1), 1, GREEDY))


def test_text_ends_at_the_stop_token_which_is_told() -> None:
    model = tiny("llama")
    new = list(generate(model, tokens(5), 12, GREEDY))
    stop = new[4]
    assert list(generate(model, tokens(5), 12, GREEDY, stop=stop)) == new[: new.index(stop) + 1]


def test_empty_prompt_is_refused() -> None:
    with pytest.raises(InputError, match="the prompt is empty"):
        next(generate(tiny("gpt2"), [], 1, GREEDY))


def test_unknown_head_is_refused() -> None:
    with pytest.raises(InputError, match="there is no head 9"):
        next(generate(tiny("gpt2"), [1], 1, GREEDY, [parse("ablate L0H9")]))


def test_cancelled_generation_stops_within_the_token() -> None:
    wanted = True
    text = generate(tiny("gpt2"), tokens(3), 10, GREEDY, cancelled=lambda: not wanted)
    assert len(list(islice(text, 2))) == 2
    wanted = False
    with pytest.raises(Cancelled):
        next(text)


def test_prompt_is_not_changed() -> None:
    prompt = tokens(4)
    list(generate(tiny("gpt2"), prompt, 5, GREEDY))
    assert prompt == tokens(4)


def test_cache_holds_no_more_than_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    empty = Cache.empty
    monkeypatch.setattr(
        Cache,
        "empty",
        lambda kind, batch, capacity, like: made.append(capacity) or empty(kind, batch, capacity, like),
    )
    list(generate(tiny("gpt2"), tokens(4), 3, GREEDY))
    list(generate(tiny("gpt2"), tokens(4), 1000, GREEDY))
    assert made == [7, CONTEXT]


def by_brute_force(logits: list[float], sampling: Sampling) -> np.ndarray:
    """The definition, token by token, likeliest first. Logits have no ties."""
    order = sorted(range(len(logits)), key=lambda token: -logits[token])
    if sampling.temperature == 0:
        return np.eye(len(logits))[order[0]]
    if sampling.top_k is not None:
        order = order[: sampling.top_k]
    weights = {token: math.exp((logits[token] - logits[order[0]]) / sampling.temperature) for token in order}
    total, reached = math.fsum(weights.values()), 0.0
    kept = {}
    for token in order:
        if sampling.top_p is not None:
            # At the very edge, rounding decides.
            assume(abs(reached - sampling.top_p) > 1e-9)
            if reached >= sampling.top_p:
                break
        kept[token] = weights[token] / total
        reached += kept[token]
    found = np.zeros(len(logits))
    for token, probability in kept.items():
        found[token] = probability / reached
    return found


@given(
    logits=st.lists(st.integers(-400, 400).map(lambda n: n / 16), min_size=1, max_size=12, unique=True),
    temperature=st.one_of(st.just(0.0), st.floats(0.05, 20)),
    top_k=st.none() | st.integers(1, 14),
    top_p=st.none() | st.floats(0.01, 1),
)
@example(logits=[0.0, 1.0], temperature=1.0, top_k=1, top_p=None)
@example(logits=[0.0, 1.0, 2.0], temperature=1.0, top_k=None, top_p=1.0)
@example(logits=[0.0, 1.0, 2.0], temperature=1.0, top_k=2, top_p=0.01)
def test_distribution_is_the_one_defined_token_by_token(
    logits: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    sampling = Sampling(temperature, top_k, top_p)
    found = distribution(torch.tensor(logits), sampling)
    np.testing.assert_allclose(found.numpy(), by_brute_force(logits, sampling), rtol=1e-9, atol=1e-12)
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()


@given(
    logits=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=8),
    temperature=st.floats(0, 1e30),
    top_k=st.none() | st.integers(1, 10),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
)
@example(logits=[3e38, -3e38], temperature=1e-300, top_k=None, top_p=5e-324)
@example(logits=[0.0, 0.0, 0.0], temperature=1.0, top_k=1, top_p=0.1)
def test_every_setting_gives_probabilities_that_sum_to_one(
    logits: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    found = distribution(torch.tensor(logits), Sampling(temperature, top_k, top_p))
    assert float(found.sum()) == pytest.approx(1, abs=1e-9)
    assert (found >= 0).all()


@families
def test_text_is_drawn_only_from_what_top_k_keeps(family: str) -> None:
    model, text = tiny(family), tokens(5)
    for token in generate(model, text, 10, Sampling(temperature=5, top_k=2, seed=3)):
        with torch.inference_mode():
            best = model(torch.tensor([text]))[0, -1].topk(2).indices.tolist()
        assert token in best
        text.append(token)


@pytest.mark.process
def test_draws_follow_the_distribution() -> None:
    model, draws = tiny("llama"), 400
    sampling = Sampling(temperature=0.3, top_k=4)
    with torch.inference_mode():
        expected = distribution(model(torch.tensor([tokens(6)]))[0, -1], sampling)
    drawn = [
        next(generate(model, tokens(6), 1, Sampling(temperature=0.3, top_k=4, seed=seed)))
        for seed in range(draws)
    ]
    found = torch.bincount(torch.tensor(drawn), minlength=VOCAB) / draws
    assert (found - expected).abs().max() < 4 * math.sqrt(0.25 / draws)
    assert set(drawn) == set(expected.nonzero()[:, 0].tolist())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature -0.1 is not a number from 0 up"),
        ({"temperature": math.nan}, "temperature nan is not a number from 0 up"),
        ({"temperature": math.inf}, "temperature inf is not a number from 0 up"),
        ({"top_k": 0}, "top-k 0 keeps no token: use 1 or more"),
        ({"top_k": -3}, "top-k -3 keeps no token: use 1 or more"),
        ({"top_p": 0.0}, "top-p 0.0 is not a share above 0 and up to 1"),
        ({"top_p": 1.5}, "top-p 1.5 is not a share above 0 and up to 1"),
        ({"top_p": math.nan}, "top-p nan is not a share above 0 and up to 1"),
    ],
)
def test_setting_that_means_nothing_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as error:
        Sampling(**settings)
    assert str(error.value) == message
