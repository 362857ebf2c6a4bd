"""Tokens of two texts are paired in order, as many as can be."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer_app.state.alignment import Alignment, align

pytestmark = pytest.mark.unit

TEXTS = st.text(alphabet="abc", max_size=9)


def longest(a: str, b: str) -> int:
    """By the recurrence as it is written in textbooks."""

    @cache
    def length(i: int, j: int) -> int:
        if not i or not j:
            return 0
        if a[i - 1] == b[j - 1]:
            return length(i - 1, j - 1) + 1
        return max(length(i - 1, j), length(i, j - 1))

    return length(len(a), len(b))


@given(TEXTS, TEXTS)
def test_pairs_are_equal_tokens_in_order_and_none_could_be_added(a: str, b: str) -> None:
    found = align(a, b)
    assert [a[n] for n in found.ours] == [b[n] for n in found.theirs]
    for positions in (found.ours, found.theirs):
        assert list(positions) == sorted(set(positions))
    assert len(found.ours) == longest(a, b)
    assert found.lengths == (len(a), len(b))


@given(TEXTS)
def test_a_text_is_aligned_with_itself_whole(text: str) -> None:
    found = align(text, text)
    assert found.ours == found.theirs == tuple(range(len(text)))
    assert found.is_whole


def test_unequal_texts_are_not_aligned_whole() -> None:
    assert not align("abc", "abcc").is_whole
    assert not align("abd", "abc").is_whole
    assert align("", "abc") == Alignment((), (), (0, 3))


def test_what_is_said_of_every_token_but_the_first_is_aligned_one_place_before() -> None:
    found = align("xabc", "abc").after_first()
    assert found.ours == (1, 2)
    assert found.theirs == (0, 1)
