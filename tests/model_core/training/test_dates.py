"""Dates are made by rule: the answer is the day that was written, and the spans are of what says it."""

import string
from datetime import date
from itertools import islice, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.recipe import Recipe
from model_core.checkpoint.formats.native import vocabulary
from model_core.families.first_weights import initialise
from model_core.families.seq2seq import Seq2SeqConfig, build
from model_core.parts.model import Model
from model_core.sources.presets import preset_named
from model_core.text.tokenizer import Tokenizer
from model_core.training.dates import (
    ANSWER,
    CHARACTERS,
    FIRST,
    HELD_OUT,
    LAST,
    LONGEST,
    MONTHS,
    SHORT_YEARS,
    WAYS,
    Written,
    is_held_out,
    write,
    written,
)
from model_core.training.pairs import DatesTask, answers, by_length, rows_of
from model_core.training.train import train

pytestmark = pytest.mark.unit

days = st.dates(FIRST, LAST)
ways = st.sampled_from(WAYS)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return vocabulary("dates", None, asset("tokenizers"))


def said(pair: Written, field: str) -> str:
    first, last = pair.spans[field]
    return pair.text[first:last]


@given(days, ways)
def test_answer_is_the_day_in_iso_8601(day: date, way: str) -> None:
    assert date.fromisoformat(write(day, way).iso) == day


@given(days, ways)
def test_spans_are_of_what_says_year_month_and_day(day: date, way: str) -> None:
    pair = write(day, way)
    year, month, number = (said(pair, field) for field in ("year", "month", "day"))
    assert year == (str(day.year) if len(year) == 4 else f"{day.year % 100:02}")
    assert int(number) == day.day
    assert int(month) == day.month if month.isdigit() else MONTHS[day.month - 1].startswith(month)
    spans = sorted(pair.spans.values())
    assert all(first < last for first, last in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@given(days, ways)
def test_text_has_known_characters_and_fits(day: date, way: str) -> None:
    text = write(day, way).text
    assert set(text) <= set(CHARACTERS)
    assert len(text) <= LONGEST


def test_longest_text_is_as_long_as_is_said() -> None:
    assert max(len(write(date(2023, 9, 13), way).text) for way in WAYS) == LONGEST


def test_positions_of_the_answer_are_those_of_its_digits() -> None:
    iso = "2024-03-07"
    assert ["".join(iso[at] for at in positions) for positions in ANSWER.values()] == iso.split("-")


@pytest.mark.process
def test_no_text_has_two_answers() -> None:
    """Two ways of writing that make the same text of two days would be a question without an answer."""
    found: dict[str, str] = {}
    for ordinal in range(date(2000, 1, 1).toordinal(), date(2004, 1, 1).toordinal()):
        for year in (0, 36525):  # the same day a century earlier
            day = date.fromordinal(ordinal - year)
            for way in WAYS:
                if "{y}" not in way or day.year in SHORT_YEARS:
                    pair = write(day, way)
                    assert found.setdefault(pair.text, pair.iso) == pair.iso


def test_same_seed_makes_the_same_dates_and_held_out_days_never_meet_the_others() -> None:
    learned, again, other = (list(islice(written(seed, held_out=False), 500)) for seed in (3, 3, 4))
    kept = list(islice(written(3, held_out=True), 500))
    assert learned == again != other
    assert not {pair.iso for pair in learned} & {pair.iso for pair in kept}
    assert all(is_held_out(date.fromisoformat(pair.iso)) for pair in kept)
    assert len({pair.text.lower() for pair in kept}) > 480
    assert sum(map(is_held_out, map(date.fromordinal, range(730000, 731000)))) == 1000 // HELD_OUT


def test_vocabulary_of_dates_is_a_token_a_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == len(CHARACTERS) + 2 == preset_named("dates").config.vocab_size
    ids = tokenizer.encode(CHARACTERS)
    assert ids == list(range(len(CHARACTERS)))
    assert [tokenizer.token(id) for id in ids] == list(CHARACTERS)
    assert tokenizer.decode(ids) == CHARACTERS
    assert tokenizer.prefix == (tokenizer.bos,)
    assert tokenizer.special == {tokenizer.bos, tokenizer.eos}
    with pytest.raises(InputError, match="'ä', character 2 of the text, is not among those"):
        tokenizer.encode("Mär")
    assert set(string.printable) > set(CHARACTERS)


RECIPE = Recipe(steps=60, batch=16, lr=5e-3, warmup=5, embedding=1.0, seed=2)


def small() -> Model:
    config = Seq2SeqConfig(vocab_size=70, width=32, layers=1, heads=2, hidden=64, context=32, norm="standard")
    model = build(config)
    initialise(model, 0, RECIPE.embedding)
    return model


@pytest.mark.process
def test_nothing_is_padded_and_every_length_is_drawn(tokenizer: Tokenizer) -> None:
    task, seen = DatesTask(tokenizer, RECIPE), set()
    for step in range(40):
        batch = task.batch(step)
        source, target = batch.inputs
        texts = [tokenizer.decode(row[1:].tolist()) for row in source]
        assert len({len(text) for text in texts}) == 1
        assert (source[:, 0] == tokenizer.bos).all()
        assert (target[:, 0] == tokenizer.bos).all()
        assert (batch.targets[:, -1] == tokenizer.eos).all()
        assert torch.equal(target[:, 1:], batch.targets[:, :-1])
        assert not any(is_held_out(date.fromisoformat(tokenizer.decode(row[1:].tolist()))) for row in target)
        seen.add(source.shape[1])
    assert len(seen) > 10
    again = DatesTask(tokenizer, RECIPE).batch(7)
    assert torch.equal(again.inputs[0], task.batch(7).inputs[0])


def test_spots_are_the_tokens_of_what_each_digit_comes_from(tokenizer: Tokenizer) -> None:
    batch = rows_of([write(date(2024, 3, 7), "the {d}{th} of {B}, {Y}")], tokenizer)
    assert batch.spots is not None
    source = batch.inputs[0][0].tolist()
    found = [
        "".join(tokenizer.token(source[at]) for at in row.nonzero()[:, 0].tolist()) for row in batch.spots[0]
    ]
    assert found == ["2024"] * 4 + ["March"] * 2 + ["7"] * 2


@pytest.mark.process
def test_small_model_learns_from_dates(tokenizer: Tokenizer) -> None:
    model, task, losses = small(), DatesTask(tokenizer, RECIPE), []
    before = task.held_out_loss(model)
    train(model, task, RECIPE, lambda progress: losses.append(progress.held_out_loss), every=30, measure=30)
    assert before is not None
    assert before > 2 * losses[-1]


def test_answers_are_exact_and_aligned_where_they_are(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that answers every question as if it were the first, and looks nowhere, is measured as such."""
    pairs = [write(date(2024, 3, 7), "{Y}-{mm}-{dd}"), write(date(2024, 3, 7), "{d}.{m}.{Y}")]
    pairs.append(write(date(1999, 12, 31), "{Y}-{mm}-{dd}"))
    model = small().eval()
    wanted = rows_of(pairs[:1], tokenizer).targets[0]

    def reader(*others: torch.Tensor) -> object:
        def read(tokens: torch.Tensor, cache: object) -> torch.Tensor:
            model.decode(model.encode(*others), tokens)
            logits = torch.zeros(*tokens.shape, 70)
            for at in range(tokens.shape[1]):
                logits[:, at, wanted[at]] = 50
            return logits

        return read

    monkeypatch.setattr(model, "reader", reader)
    with torch.no_grad():
        for block in model.decoder.blocks:
            block.cross.q.weight.zero_()
    found = answers(model, tokenizer, pairs)
    assert found.exact == pytest.approx(2 / 3)
    # Every weight is the same, so the first token, the one before the text, is the largest: of nothing.
    assert found.alignment.max() == 0
    assert by_length(pairs) == {10: [0, 2], 8: [1]}
