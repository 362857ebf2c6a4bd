"""The session of a model with two texts and three kinds of attention."""

import pytest

from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from tests.support.window.fake_run import sites, two_texts
from tests.support.window.sessions import SCENE, answered, heard

pytestmark = pytest.mark.unit


def encoder_decoder() -> Session:
    """A source of five tokens and a target of three."""
    session = Session(SCENE)
    session.take(SCENE, RUN, two_texts(5, 3))
    keys = (
        "source",
        "encoder.blocks.1.attn.q",
        "encoder.norm.out",
        "target",
        "decoder.blocks.2.cross.k",
        "logits",
    )
    session.take(SCENE, SITES, sites(*keys))
    return session


def test_the_first_kind_of_attention_is_in_focus_where_another_is_not_known() -> None:
    session = encoder_decoder()
    assert session.selection.stack == "encoder"
    session.select(stack="cross")
    assert session.attention == session.kinds[2]
    session.select(stack="of another model")
    assert session.selection.stack == "encoder"
    assert answered().selection.stack == ""


def test_before_a_run_there_is_no_attention_in_focus() -> None:
    session = Session(SCENE)
    assert session.attention is None
    assert session.kinds == []
    session.hover_token(0, 1)
    session.select_token(0, 1)
    assert session.selection == Selection()


def test_positions_stay_within_the_texts_of_the_attention_in_focus() -> None:
    session = encoder_decoder()
    session.select(stack="cross", query=9, key=9)
    assert (session.selection.query, session.selection.key) == (2, 4)
    session.select(stack="decoder", query=9, key=9)
    assert (session.selection.query, session.selection.key) == (2, 2)


def test_another_kind_of_attention_keeps_the_tokens_that_it_has_as_well() -> None:
    session = encoder_decoder()
    session.select(stack="cross", query=2, key=4)
    session.select(stack="decoder")
    assert (session.selection.query, session.selection.key) == (2, 2)
    session.select(stack="encoder")
    assert (session.selection.query, session.selection.key) == (None, None)


def test_going_to_a_site_focuses_its_kind_of_attention_and_its_layer() -> None:
    session = encoder_decoder()
    session.go_to("decoder.blocks.2.cross.k")
    assert (session.selection.stack, session.selection.layer) == ("cross", 2)
    session.go_to("logits")
    assert (session.selection.stack, session.selection.layer) == ("cross", 2)
    session.go_to("encoder.blocks.1.attn.q")
    assert (session.selection.stack, session.selection.layer) == ("encoder", 1)


def test_a_site_says_which_text_its_axes_run_along() -> None:
    session = encoder_decoder()
    assert session.text_of("decoder.blocks.2.cross.k", "S") == 0
    assert session.text_of("logits", "T") == 1
    assert session.text_of("nowhere", "T") == 1


def test_what_is_pointed_at_in_one_kind_is_told_as_the_one_in_focus_shows_it() -> None:
    session = encoder_decoder()
    told = heard(session.hovered_changed)
    session.hover(2, 4, "cross")
    session.hover(1, 4, "encoder")
    session.hover(None)
    assert told == [(4, 4), (1, 4), (None, None)]
    session.hover(2, 4, "cross")
    assert session.seen(session.pointed, session.kinds[1]) == (2, 2)


def test_a_token_of_a_text_is_locked_in_the_role_that_its_text_has() -> None:
    session = encoder_decoder()
    session.select(stack="cross")
    session.select_token(0, 3)
    session.select_token(1, 2)
    assert (session.selection.query, session.selection.key, session.selection.stack) == (2, 3, "cross")
    session.select(stack="decoder", query=None, key=None)
    session.select_token(0, 3)
    assert (session.selection.query, session.selection.key, session.selection.stack) == (3, None, "encoder")
    session.hover_token(1, 2)
    assert session.pointed.stack == "decoder"
    assert session.hovered == (None, None)
