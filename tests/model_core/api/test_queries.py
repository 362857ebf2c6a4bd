"""Every kind of query takes the fields that it documents, and refuses others in one line."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.api.queries.query import Query, gives, kinds, read, usage
from model_core.api.queries.values import SiteValue

pytestmark = pytest.mark.unit

GOOD: dict[str, Any] = {
    "layer": 1, "head": 0, "query": 2, "key": 1, "k": 3, "site": "blocks.0.attn.q", "at": {"H": 1}, "limit": 5,
    "word": "pattern", "stack": "", "side": 4, "on": "probe", "module": "norm", "position": 0, "text": None,
}  # fmt: skip
WRONG: tuple[Any, ...] = (
    1.5,
    True,
    "three",
    [1],
    {"H": "x"},
    {"H": 0.5},
    None,
    2**70,
    -(2**70),
    float("nan"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)


def names(kind: str) -> list[str]:
    return [one.name for one in fields(kinds()[kind])]  # type: ignore[arg-type]


def read_or_why(kind: str, arguments: dict[str, Any]) -> Query | str:
    try:
        return read(kind, arguments)
    except InputError as error:
        return str(error)


def refused(kind: str, arguments: dict[str, Any]) -> str:
    with pytest.raises(InputError) as error:
        read(kind, arguments)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 500
    return said


@pytest.mark.parametrize("kind", kinds())
def test_documented_fields_are_taken_and_come_back_from_json(kind: str) -> None:
    arguments = {name: GOOD[name] for name in names(kind)}
    asked = read(kind, arguments)
    assert isinstance(asked, Query)
    again = read(**json.loads(json.dumps(asked.to_json())))
    assert again == asked
    assert hash(again) == hash(asked)
    assert asked.to_json() == {"kind": kind, "arguments": arguments}


@pytest.mark.parametrize("kind", kinds())
def test_what_is_no_field_is_refused_and_the_fields_are_named(kind: str) -> None:
    arguments = {name: GOOD[name] for name in names(kind)}
    said = refused(kind, arguments | {"colour": 1})
    assert said == f"{kind}: there is no 'colour'; there are {', '.join(names(kind)) or 'none'}"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in kinds() for name in names(kind)])
def test_a_field_of_another_type_is_refused_and_named(kind: str, name: str) -> None:
    arguments = {one: GOOD[one] for one in names(kind)}
    said = [read_or_why(kind, arguments | {name: wrong}) for wrong in WRONG]
    refusals = [one for one in said if isinstance(one, str)]
    assert all(one.startswith(f"{kind}: '{name}'") and "\n" not in one for one in refusals)
    assert (
        len(refusals) >= len(WRONG) - 1
    )  # "three" is a text, and None is one where the field may be left empty


@pytest.mark.parametrize("kind", kinds())
def test_a_field_that_is_needed_is_asked_for(kind: str) -> None:
    needed = [word.partition("=")[0] for word in usage(kinds()[kind]).split() if not word.startswith("[")][1:]
    needed = [name for name in names(kind) if name in needed]
    for name in needed:
        arguments = {one: GOOD[one] for one in names(kind) if one != name}
        assert refused(kind, arguments) == f"{kind}: no '{name}' is said"


def test_no_other_kind_is_known() -> None:
    assert refused("moon", {}) == "queries of kind 'moon' are not known here"


def test_positions_have_one_hash_in_any_order() -> None:
    one, two = SiteValue("x", {"H": 1, "T": 2}), SiteValue("x", {"T": 2, "H": 1})
    assert {one: 1}[two] == 1


def test_every_array_of_an_answer_says_its_axes() -> None:
    for kind in kinds().values():
        assert gives(kind), kind.kind


@given(
    st.sampled_from(list(kinds())), st.dictionaries(st.sampled_from(list(GOOD)) | st.text(max_size=4), JSON)
)
def test_anything_that_is_said_is_a_query_or_one_line(kind: str, arguments: dict[str, Any]) -> None:
    asked = read_or_why(kind, arguments)
    if isinstance(asked, str):
        assert "\n" not in asked
    else:
        assert read(**asked.to_json()) == asked
