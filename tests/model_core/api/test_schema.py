"""Values that somebody else wrote: what is wrong with a number is its type, its size, or neither."""

from typing import Any

import pytest

from model_core.api.errors import InputError
from model_core.api.schema import LARGEST, Count, Positive, value

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        (int, LARGEST, "seed is 9223372036854775808, larger than any that is used"),
        (Count, LARGEST, "seed is 9223372036854775808, larger than any that is used"),
        (int, 1e300, "seed is 1e+300, larger than any that is used"),
        (int, -LARGEST, "seed is -9223372036854775808, smaller than any that is used"),
        pytest.param(
            int,
            10**5000,
            "seed is a number of thousands of digits, larger than any that is used",
            id="digits",
        ),
        (int, float("inf"), "seed is inf, not a whole number"),
        (int, float("nan"), "seed is nan, not a whole number"),
        (int, 1.5, "seed is 1.5, not a whole number"),
        (int, "9223372036854775808", "seed is '9223372036854775808', not a whole number"),
        (Count, -1, "seed is -1, not a whole number from 0 up"),
        (Positive, 10**400, "larger than any that is used"),
        (Positive, float("inf"), "seed is inf, not a positive number"),
        (Positive, -1.0, "seed is -1.0, not a positive number"),
        (bool, LARGEST, "seed is 9223372036854775808, not true or false"),
    ],
)
def test_a_number_that_is_too_large_is_told_apart_from_what_is_no_such_number(
    kind: Any, said: Any, words: str
) -> None:
    with pytest.raises(InputError) as error:
        value("seed", said, kind)
    assert words in str(error.value)


@pytest.mark.parametrize("said", [LARGEST - 1, 1 - LARGEST, 4.0, 0])
def test_a_whole_number_within_reach_is_one(said: Any) -> None:
    assert value("seed", said, int) == said
