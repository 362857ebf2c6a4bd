"""The card says in words what the numbers of a recipe did."""

import pytest

from model_core.card import first_words, guided_words
from model_core.recipe import Recipe

pytestmark = pytest.mark.unit


def test_a_card_names_the_heads_that_were_guided_and_for_how_long() -> None:
    assert guided_words(Recipe(steps=2000, guided=1200), layers=6) == (
        "in the first 1,200 steps a further loss, fading to nothing, asked head 0 of block 1 to look at the token "
        "before and head 0 of block 3 at the token that followed the same token; "
    )


def test_a_card_of_a_training_without_guidance_says_nothing_of_it() -> None:
    assert guided_words(Recipe(steps=2000), layers=6) == ""


def test_a_card_says_what_training_began_from_where_that_is_not_the_rule() -> None:
    assert first_words(Recipe(steps=2)) == ""
    assert first_words(Recipe(steps=2, embedding=1.0)) == "the embedding began as normal(0, 1); "
    both = "the embedding began as normal(0, 1) and the gain of the last norm as 0.05; "
    assert first_words(Recipe(steps=2, embedding=1.0, gain=0.05)) == both
