"""The card says in words what the numbers of a recipe did."""

from dataclasses import replace

import pytest

from model_core.api.recipe import Recipe
from model_core.training.card import dates_training, first_words, text_training, training_words

pytestmark = pytest.mark.unit


def test_a_card_says_what_training_began_from_where_that_is_not_the_rule() -> None:
    assert first_words(Recipe(steps=2)) == ""
    assert first_words(Recipe(steps=2, embedding=1.0)) == "the embedding began as normal(0, 1); "
    both = "the embedding began as normal(0, 1) and the gain of the last norm as 0.05; "
    assert first_words(Recipe(steps=2, embedding=1.0, gain=0.05)) == both


def test_a_card_says_how_many_rows_repeat_and_how_many_of_them_are_random_tokens() -> None:
    recipe = Recipe(steps=2000, repeats=0.2, random_repeats=1.0)
    assert text_training(recipe).startswith(
        "2,000 steps of 32 rows of 256 tokens, 6 of them a chunk repeated, 6 of those of random tokens; AdamW"
    )
    assert "0 of them a chunk repeated; AdamW" in text_training(replace(recipe, repeats=0.0))


def test_a_card_tells_of_each_phase_and_of_what_the_first_began_from_once() -> None:
    first = Recipe(steps=6000, batch=64, repeats=0.5, embedding=1.0, gain=0.05)
    second = replace(first, steps=300, batch=32, lr=1e-3)
    assert training_words([first], dates_training) == dates_training(first)
    told = training_words([first, second], text_training)
    assert told.startswith(text_training(first) + ". Then, with a new optimiser, 300 steps of 32 rows")
    assert told.count("the embedding began") == 1
