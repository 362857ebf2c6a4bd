"""The steps of a forward pass come back as they were packed, for texts of any length; and an answer counts itself."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.names import Site
from model_core.api.queries.answer import ANSWER_BYTES, ARRAY_BYTES, Answer, held
from model_core.api.steps import pack, unpack

pytestmark = pytest.mark.unit

SITES = [
    Site("source", "B T", (1, 1), "int64"),
    Site("target", "B T", (1, 2), "int64"),
    Site("decoder.blocks.0.cross.pattern", "B H T S", (1, 3, 2, 1), "float32"),
    Site("logits", "B T V", (1, 2, 50_257), "bfloat16"),
    Site("ende.out", "C", (7,), "float32"),
]
TEXTS = [{"T": 0}, {"T": 1}, {"T": 1, "S": 0}, {"T": 1}, {}]


def test_steps_have_the_lengths_of_the_texts_that_their_axes_run_along() -> None:
    steps = unpack(pack(SITES, TEXTS), [20, 9])
    assert [step["shape"] for step in steps] == [[1, 20], [1, 9], [1, 3, 9, 20], [1, 9, 50_257], [7]]
    assert [step["texts"] for step in steps] == TEXTS
    for step, site in zip(steps, SITES, strict=True):
        assert (step["key"], step["dims"], step["dtype"]) == (site.key, site.dims, site.dtype)
        assert (step["module"], step["word"]) == (site.module, site.word)


def test_a_deep_model_s_steps_are_sent_in_less_than_sixty_bytes_each() -> None:
    sites = [Site(f"blocks.{n}.attn.q", "B H T D", (1, 12, 1, 64), "float32") for n in range(800)]
    packed = pack(sites, [{"T": 0}] * len(sites))
    sent = len(json.dumps(packed.facts)) + sum(array.nbytes for array in packed.arrays.values())
    assert sent < 60 * len(sites)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
@pytest.mark.process
def test_the_size_of_any_facts_is_known(facts: Any) -> None:
    assert held(facts) >= 0
    assert held([facts, facts]) < 2 * held(facts) + 200


@pytest.mark.parametrize(
    "facts",
    [
        {"tokens": list(range(1000, 3000)), "strings": [f" word{n}" for n in range(2000)]},
        {"sites": [{"key": f"blocks.{n}.attn.q", "shape": [1, 6, 9, 32]} for n in range(5000)]},
        [[float(n), n + 300] for n in range(1000)],
    ],
    ids=["strings", "objects", "numbers"],
)
def test_facts_are_counted_as_large_as_they_are(facts: Any) -> None:
    text = json.dumps(facts)
    tracemalloc.start()
    read = json.loads(text)
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 * now < held(read) < 1.2 * now


def test_an_answer_counts_its_numbers_its_facts_and_what_is_around_them() -> None:
    facts = {"strings": ["a long string of some kind"] * 3}
    answer = Answer(facts, {"x": np.zeros(100, np.float32), "y": np.zeros(3)})
    assert answer.nbytes == 424 + held(facts) + 2 * ARRAY_BYTES + ANSWER_BYTES
