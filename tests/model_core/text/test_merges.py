"""Why a word was cut as it was: the steps lead from its bytes or characters to the tokens that the model reads."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.text.merges import Made, Split, best_ways, bpe
from model_core.text.opening import default_tokenizer
from model_core.text.tokenizer import END_OF_TEXT, IdTokenizer, TiktokenTokenizer, Tokenizer
from tests.support.models.vocabularies import (
    bpe_json,
    llama2c_tokenizer,
    open_json,
    sentencepiece_tokenizer,
    unigram_json,
    whole_text_json,
)

pytestmark = pytest.mark.unit

TALES = Path(__file__).parents[3] / "assets" / "tokenizers" / "tales-2048.tiktoken"

TOKENIZERS = {
    "ranks": lambda: TiktokenTokenizer.from_file(TALES),
    "gpt2": lambda: default_tokenizer(50257),
    "tokenizer.json": lambda: open_json(bpe_json()),
    "tokenizer.json without words": lambda: open_json(whole_text_json()),
    "unigram tokenizer.json": lambda: open_json(unigram_json()),
    "sentencepiece bpe": lambda: sentencepiece_tokenizer("bpe"),
    "sentencepiece unigram": lambda: sentencepiece_tokenizer("unigram"),
    "llama2.c": llama2c_tokenizer,
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]()


TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from([" the", " cat", "sat", "  ", "12345", "’s", "東京", "\n", "é", ", "]), max_size=8
    ).map("".join),
)


@given(TEXTS)
@pytest.mark.process
def test_last_step_is_what_the_tokenizer_made(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    for position in range(len(ids)):
        split = tokenizer.split(text, position)
        assert split.kind in ("merges", "scores", "byte", "special")
        here = slice(split.first, split.first + len(split.ids))
        assert split.first <= position < split.first + len(split.ids)
        assert list(split.ids) == ids[here]
        assert list(split.pieces) == [tokenizer.token(id) for id in ids[here]]


@pytest.mark.process
@given(TEXTS)
def test_each_step_joins_two_neighbours_and_leaves_the_rest(tokenizer: Tokenizer, text: str) -> None:
    for position in range(len(tokenizer.encode(text))):
        for before, after in pairwise(tokenizer.split(text, position).steps):
            assert after.made is not None
            widths = list(before.widths)
            widths[after.made : after.made + 2] = [sum(widths[after.made : after.made + 2])]
            assert list(after.widths) == widths
            assert after.pair == before.pieces[after.made : after.made + 2]
            kept = [*before.pieces[: after.made], *before.pieces[after.made + 2 :]]
            assert [*after.pieces[: after.made], *after.pieces[after.made + 1 :]] == kept


def test_merges_of_a_word_are_those_of_gpt2() -> None:
    split = default_tokenizer(50257).split("Every effort moves you", 2)
    assert split.measure == "rank"
    assert [(step.pair, step.value) for step in split.steps[1:]] == [
        (("e", "s"), 274),
        ((" ", "m"), 285),
        (("o", "v"), 709),
        ((" m", "ov"), 1409),
        ((" mov", "es"), 6100),
    ]
    assert split.steps[0].pieces == (" ", "m", "o", "v", "e", "s")
    assert split.pieces == (" moves",)


def test_merges_of_llama2c_go_by_the_highest_score() -> None:
    split = llama2c_tokenizer().split("Once upon a time", 3)
    assert split.measure == "score"
    assert [step.pair for step in split.steps[1:]] == [(" ", "t"), ("i", "m"), ("im", "e"), (" t", "ime")]
    scores = [step.value for step in split.steps[1:]]
    assert scores == sorted(scores, reverse=True)


def test_bytes_of_half_a_character_are_spelled_until_they_are_whole() -> None:
    split = default_tokenizer(50257).split("é", 0)
    assert split.steps[0].pieces == ("<0xC3>", "<0xA9>")
    assert split.steps[-1].pieces == ("é",)


def test_unigram_takes_the_way_with_the_highest_sum_of_scores() -> None:
    split = sentencepiece_tokenizer("unigram").split("the cat sat", 1)
    totals = [way.total for way in split.ways]
    assert totals == sorted(totals, reverse=True)
    assert all(way.total == pytest.approx(sum(way.scores)) for way in split.ways)
    assert split.ways[0].pieces == split.pieces
    assert len(split.ways) > 1


@given(st.text("abc", min_size=1, max_size=7))
def test_best_ways_are_the_best_of_all_ways(word: str) -> None:
    scores = {"a": -1.0, "b": -1.5, "c": -2.25, "ab": -2.0, "bc": -3.0, "abc": -3.5, "ca": -2.75}

    def every_way(rest: str) -> list[tuple[str, ...]]:
        if not rest:
            return [()]
        return [
            (rest[:end], *way)
            for end in range(1, len(rest) + 1)
            if rest[:end] in scores
            for way in every_way(rest[end:])
        ]

    sums = sorted((sum(scores[piece] for piece in way) for way in every_way(word)), reverse=True)
    found = best_ways(word, scores, 5)
    assert [sum(values) for _, values in found] == pytest.approx(sums[:5])
    assert all("".join(pieces) == word for pieces, _ in found)


@given(st.lists(st.sampled_from("ab"), max_size=12))
def test_bpe_equals_looking_for_the_first_pair_again_and_again(symbols: list[str]) -> None:
    ranks = {"ab": 2, "ba": 1, "aa": 3, "aba": 0, "abab": 5, "aab": 4, "bb": 1}

    def merge(left: str, right: str) -> tuple[str, float] | None:
        return (left + right, ranks[left + right]) if left + right in ranks else None

    pieces, slow = list(symbols), []
    while pairs := [(ranks[a + b], at) for at, (a, b) in enumerate(pairwise(pieces)) if a + b in ranks]:
        rank, at = min(pairs)
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        slow.append((pieces[at], rank))
    fast = bpe(symbols, merge, highest_first=False)
    assert [(made.piece, made.value) for made in fast] == slow
    assert all(isinstance(made, Made) and made.start < made.middle < made.end for made in fast)


def test_special_token_was_not_merged() -> None:
    tokenizer = default_tokenizer(50257)
    split = tokenizer.split(f"Once{END_OF_TEXT}The", 1)
    assert split == Split("special", 1, (50256,), (END_OF_TEXT,))


def test_ids_have_no_vocabulary() -> None:
    assert IdTokenizer(100).split("5 17 3", 1) == Split("ids", 1, (17,), ("17",))


def test_of_a_very_long_word_the_token_alone_is_explained() -> None:
    tokenizer = default_tokenizer(50257)
    text = "supercalifragilistic" * 20
    split = tokenizer.split(text, 7)
    assert (split.first, len(split.ids)) == (7, 1)
    assert split.steps[-1].pieces == (tokenizer.token(tokenizer.encode(text)[7]),)


@pytest.mark.parametrize("position", [-1, 4])
def test_position_without_a_token_is_refused(position: int) -> None:
    with pytest.raises(InputError, match="this text has 4"):
        default_tokenizer(50257).split("Every effort moves you", position)


def test_ways_whose_scores_have_no_finite_sum_are_left_out() -> None:
    scores = {"a": -1e308, "b": -1e308, "ab": -2.0, "c": 1e308, "d": 1e308}
    assert best_ways("ab", scores, 5) == [(("ab",), (-2.0,))]
    assert best_ways("cd", scores, 5) == []
