"""B − A is zero where they are one, aligned where their texts differ, and refused where there is none."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from explorer_app.state.alignment import align
from explorer_app.state.difference import Incomparable, difference, subtract
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from model_core.api.queries.answer import Answer
from model_core.api.queries.heads import HeadRoles
from model_core.api.queries.model import ModelFacts
from model_core.api.queries.norms import NormStatistics
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.query import Query
from model_core.api.queries.values import HeadMaps, SiteValue
from model_core.api.scene import Scene
from tests.support.models import tiny
from tests.support.window.local_engine import LocalEngine

NUMBERS = st.floats(width=32) | st.sampled_from([0.0, float("inf"), float("-inf")])


@pytest.mark.unit
@given(arrays.arrays(np.float32, (2, 3, 3), elements=NUMBERS))
def test_a_value_against_itself_is_exactly_zero(values: np.ndarray) -> None:
    found = subtract(values, values, ["H", "T", "S"], lambda letter: align("abc", "abc"))
    assert (found[~np.isnan(values)] == 0).all()
    assert np.isnan(found[np.isnan(values)]).all()


@pytest.mark.unit
def test_rows_and_columns_of_unequal_texts_are_paired_and_the_others_are_no_numbers() -> None:
    a, b = np.arange(9.0).reshape(3, 3), np.arange(16.0).reshape(4, 4) + 10
    found = subtract(b, a, ["T", "S"], lambda letter: align("abc", "axbc"))
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert found[np.ix_([0, 2, 3], [0, 2, 3])].tolist() == (b[np.ix_([0, 2, 3], [0, 2, 3])] - a).tolist()


@pytest.mark.unit
def test_two_hidden_cells_differ_by_nothing_and_one_by_infinity() -> None:
    a, b = np.array([-np.inf, -np.inf, 1.0]), np.array([-np.inf, 2.0, -np.inf])
    assert subtract(b, a, ["C"], lambda letter: align("", "")).tolist() == [0, np.inf, -np.inf]


@pytest.mark.unit
def test_other_shapes_and_what_is_no_number_are_refused_in_a_sentence() -> None:
    with pytest.raises(Incomparable) as refused:
        subtract(np.zeros((3, 4)), np.zeros((3, 2)), ["H", "D"], lambda letter: align("", ""))
    assert refused.value.sentence.format(**dict(refused.value.fields)) == (
        "A has 2 here and B 4: they have no difference."
    )
    with pytest.raises(Incomparable, match="no numbers"):
        difference(ModelFacts(), Answer({"name": "x"}), Answer({"name": "y"}), lambda letter: align("", ""))


@pytest.mark.unit
def test_next_tokens_are_compared_by_what_they_are_and_not_by_their_rank() -> None:
    def answer(ids: list[int], probabilities: list[float]) -> Answer:
        arrays = {
            "probabilities": np.array(probabilities),
            "log_probs": np.zeros(2),
            "ranks": np.zeros(2, int),
        }
        return Answer({"ids": ids}, arrays)

    found = difference(
        NextTokens(3),
        answer([7, 8, 9], [0.5, 0.25, 0.125]),
        answer([8, 7, 1], [0.5, 0.25, 0.1]),
        lambda letter: align("abc", "abc"),
    )
    assert found["probabilities"][:2].tolist() == [0.25, -0.25]
    assert np.isnan(found["probabilities"][2])


def asked(session: Session) -> list[Query]:
    """Of every kind that has a difference, about the first attention."""
    kind = session.kinds[0]
    stack = kind.name
    norm = "encoder.blocks.0.norm1" if stack else "blocks.0.norm1"
    return [
        HeadMaps("pattern", stack),
        HeadMaps("masked", stack),
        HeadRoles("prompt", stack),
        NormStatistics(norm),
        NextTokens(5),
        SiteValue(kind.site(0, "masked"), {"H": 1}),
        SiteValue("logits", {"T": 0}),
    ]


@pytest.mark.process
@pytest.mark.parametrize("family", [*tiny.CONFIGS, *tiny.ENCODER_DECODERS])
def test_a_scene_against_itself_is_zero_in_every_answer_of_every_family(family: str, tmp_path: Path) -> None:
    session = Session(Scene(tiny.save(tmp_path / "model", family), "The cat saw the dog"))
    client = LocalEngine(session, lambda: [RUN, *(asked(session) if session.kinds else [])])
    client.start()
    client._ask()
    client._ask()
    assert session.message == ""
    tokens = [text["tokens"] for text in session.texts]
    for query in asked(session):
        answer = session.answer(query)
        assert answer is not None, query
        found = difference(query, answer, answer, lambda letter: align(tokens[-1], tokens[-1]))
        for name, array in found.arrays.items():
            numbers = np.asarray(answer.arrays[name], float)
            assert (np.nan_to_num(array[~np.isnan(numbers)], nan=1.0) == 0).all(), (query, name)
    client.close()
