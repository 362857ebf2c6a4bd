"""One focus: which attention and block a site means, and the same tokens seen from each attention."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer_app.state.focus import (
    Cursor,
    block_at,
    block_of,
    cursor_at,
    kind_named,
    kinds_of,
    seen_from,
    stack_at,
    token_of,
)
from tests.support.window.fake_run import ONE_KIND, THREE_KINDS, two_texts

pytestmark = pytest.mark.unit

ENCODER, DECODER, CROSS = THREE_KINDS
SOURCE, TARGET = 0, 1

kinds = st.sampled_from(THREE_KINDS)
positions = st.none() | st.integers(0, 9)


@st.composite
def cursors(draw: st.DrawFn) -> Cursor:
    return Cursor(draw(positions), draw(positions), draw(kinds).name)


def test_the_kinds_of_a_run_are_those_of_its_model() -> None:
    assert tuple(kinds_of(two_texts())) == THREE_KINDS
    assert kind_named(THREE_KINDS, "cross") == CROSS
    assert kind_named(THREE_KINDS, "of another model") == ENCODER


# The same tokens seen from another kind


def test_a_cell_of_cross_attention_is_its_source_token_in_the_encoder_and_its_target_token_in_the_decoder() -> (
    None
):
    cursor = Cursor(3, 5, "cross")
    assert seen_from(cursor, CROSS, ENCODER) == (5, 5)
    assert seen_from(cursor, CROSS, DECODER) == (3, 3)
    assert seen_from(cursor, CROSS, CROSS) == (3, 5)


def test_tokens_of_one_text_are_not_looked_for_in_the_other() -> None:
    assert seen_from(Cursor(2, 4, "encoder"), ENCODER, DECODER) == (None, None)
    assert seen_from(Cursor(2, 4, "decoder"), DECODER, ENCODER) == (None, None)


def test_a_token_keeps_its_role_where_it_can() -> None:
    assert seen_from(Cursor(2, 4, "encoder"), ENCODER, CROSS) == (None, 4)
    assert seen_from(Cursor(2, 4, "decoder"), DECODER, CROSS) == (2, None)
    assert seen_from(Cursor(2, None, "encoder"), ENCODER, CROSS) == (None, 2)
    assert seen_from(Cursor(None, 4, "decoder"), DECODER, CROSS) == (4, None)


@given(cursors(), kinds)
def test_what_is_shown_is_a_token_of_the_cursor_in_the_text_of_that_side(
    cursor: Cursor, onto: object
) -> None:
    of, onto = kind_named(THREE_KINDS, cursor.stack), kind_named(THREE_KINDS, onto.name)  # type: ignore[attr-defined]
    tokens = {(of.queries, cursor.query), (of.keys, cursor.key)}
    row, col = seen_from(cursor, of, onto)
    assert row is None or (onto.queries, row) in tokens
    assert col is None or (onto.keys, col) in tokens


@given(cursors())
def test_a_kind_shows_its_own_cursor_as_it_is(cursor: Cursor) -> None:
    of = kind_named(THREE_KINDS, cursor.stack)
    assert seen_from(cursor, of, of) == (cursor.query, cursor.key)


@given(cursors(), kinds)
def test_every_token_that_the_other_kind_has_is_shown_there(cursor: Cursor, onto: object) -> None:
    of, onto = kind_named(THREE_KINDS, cursor.stack), kind_named(THREE_KINDS, onto.name)  # type: ignore[attr-defined]
    has = {text for text, at in ((of.queries, cursor.query), (of.keys, cursor.key)) if at is not None}
    if of != onto:
        row, col = seen_from(cursor, of, onto)
        assert (row is not None) == (onto.queries in has)
        assert (col is not None) == (onto.keys in has)


# A token of a text


@given(kinds, st.sampled_from([SOURCE, TARGET]), st.integers(0, 9), st.sampled_from(["query", "key"]))
def test_a_cursor_at_a_token_means_that_token(kind: object, text: int, position: int, role: str) -> None:
    stack = kind.name  # type: ignore[attr-defined]
    fields = cursor_at(THREE_KINDS, stack, text, position, role)  # type: ignore[arg-type]
    cursor = Cursor(**{"stack": stack, **fields})  # type: ignore[arg-type]
    assert token_of(cursor, kind_named(THREE_KINDS, cursor.stack), text, role) in (position, None)  # type: ignore[arg-type]
    assert position in (
        token_of(cursor, kind_named(THREE_KINDS, cursor.stack), text, either)  # type: ignore[arg-type]
        for either in ("query", "key")
    )


def test_a_token_of_a_text_that_the_attention_in_focus_does_not_read_moves_the_focus() -> None:
    assert cursor_at(THREE_KINDS, "decoder", SOURCE, 4) == {"stack": "encoder", "query": 4, "key": None}
    assert cursor_at(THREE_KINDS, "cross", SOURCE, 4) == {"key": 4}
    assert cursor_at(THREE_KINDS, "cross", TARGET, 4, "key") == {"query": 4}
    assert cursor_at((ONE_KIND,), "", 0, 4, "key") == {"key": 4}


def test_of_one_text_query_and_key_are_two_tokens() -> None:
    cursor = Cursor(None, 4, "encoder")
    assert token_of(cursor, ENCODER, SOURCE) is None
    assert token_of(cursor, ENCODER, SOURCE, "key") == 4
    assert token_of(cursor, ENCODER, TARGET) is None
    assert token_of(Cursor(1, 2, "cross"), CROSS, SOURCE) == 2


# Blocks and kinds by path


@pytest.mark.parametrize(
    ("path", "block"),
    [
        ("blocks.3.attn.q", "blocks.3"),
        ("decoder.blocks.11.cross.pattern", "decoder.blocks.11"),
        ("encoder.blocks.0", "encoder.blocks.0"),
        ("encoder.norm.out", ""),
        ("logits", ""),
        ("blocks", ""),
    ],
)
def test_a_path_lies_in_its_block(path: str, block: str) -> None:
    assert block_of(path) == block


def test_a_layer_of_each_kind_lies_in_a_block_of_its_stack() -> None:
    assert [block_at(stack, 2) for stack in ("", "encoder", "decoder", "cross")] == [
        "blocks.2",
        "encoder.blocks.2",
        "decoder.blocks.2",
        "decoder.blocks.2",
    ]


@pytest.mark.parametrize(
    ("path", "present", "stack"),
    [
        ("decoder.blocks.1.cross.q", "encoder", "cross"),
        ("decoder.blocks.1.attn.q", "cross", "decoder"),
        ("encoder.blocks.1.attn.q", "cross", "encoder"),
        ("decoder.blocks.1.norm2.out", "cross", "cross"),
        ("decoder.blocks.1.norm2.out", "encoder", "decoder"),
        ("encoder.blocks.0.resid_pre", "decoder", "encoder"),
        ("encoder.norm.out", "cross", "encoder"),
        ("decoder.blocks.1", "cross", "cross"),
        ("logits", "cross", "cross"),
        ("source", "decoder", "decoder"),
    ],
)
def test_a_site_belongs_to_the_attention_of_its_part_or_of_its_stack(
    path: str, present: str, stack: str
) -> None:
    assert stack_at(path, THREE_KINDS, present) == stack


def test_a_model_with_one_kind_has_one_answer() -> None:
    for path, present in product(("blocks.1.attn.q", "logits", "norm.out"), ("", "cross")):
        assert stack_at(path, (ONE_KIND,), present) in ("", present)
