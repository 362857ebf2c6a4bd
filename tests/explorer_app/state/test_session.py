"""The session: what it tells, and what is selected."""

from dataclasses import replace

import pytest

from explorer_app.state.focus import Cursor
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from model_core.api.queries.answer import Answer
from model_core.api.queries.model import MeasuredGraph
from model_core.api.queries.prediction import NextTokens
from tests.support.window.fake_run import one_text as run
from tests.support.window.fake_run import sites, two_texts
from tests.support.window.sessions import PRESETS, SCENE, answered, heard

pytestmark = pytest.mark.unit


def test_an_equal_change_tells_nothing() -> None:
    session = Session(SCENE)
    told = heard(session.scene_changed)
    session.change(prompt="a b c")
    assert told == []
    session.change(prompt="a b")
    assert [scene.prompt for scene in told] == ["a b"]


def test_the_last_run_stays_on_screen_until_the_new_one_is_known() -> None:
    session = answered()
    session.change(prompt="new")
    assert session.shown == SCENE
    assert session.run is not None
    session.take(session.scene, RUN, run(5))
    assert session.shown.prompt == "new"
    assert len(session.run["tokens"]) == 5


def test_an_answer_to_an_outdated_scene_is_kept_but_not_shown() -> None:
    session = answered()
    session.change(prompt="new")
    told = heard(session.answered)
    old = MeasuredGraph()
    session.take(SCENE, old, Answer())
    assert told == []
    assert session.store.get(SCENE, old) is not None


def test_a_scene_seen_before_is_shown_at_once() -> None:
    session = answered()
    session.change(edits=("mask off",))
    session.take(session.scene, RUN, run())
    session.toggle_edit("mask off")
    assert session.shown == SCENE


def test_what_an_edit_changed_is_read_against_the_same_prompt() -> None:
    session = answered()
    session.change(edits=("mask off",))
    session.take(session.scene, RUN, run())
    assert session.before == SCENE
    session.change(prompt="other")
    session.take(session.scene, RUN, run())
    assert session.before is None


def test_the_selection_stays_within_the_model() -> None:
    session = answered()
    session.select(layer=99, head=-1, query=7, key=1)
    assert session.selection == Selection(layer=3, head=0, query=2, key=1, step=0, site="embed.out")


def test_a_token_that_is_locked_is_free_again_where_a_shorter_prompt_has_it_no_more() -> None:
    session = answered()
    session.select(query=2, key=1)
    session.change(prompt="a b")
    session.take(session.scene, RUN, run(tokens=2))
    assert (session.selection.query, session.selection.key) == (None, 1)
    session.change(prompt="a")
    session.take(session.scene, RUN, run(tokens=1))
    assert (session.selection.query, session.selection.key) == (None, None)


def test_the_first_answers_give_the_step_its_site() -> None:
    session = Session(SCENE)
    told = heard(session.selection_changed)
    session.take(SCENE, RUN, run())
    session.take(SCENE, SITES, sites("embed.out", "logits"))
    assert [selection.site for selection in told] == ["embed.out"]


def test_going_to_a_site_selects_its_step_and_its_layer() -> None:
    session = answered()
    session.go_to("blocks.2.attn.q")
    assert (session.selection.step, session.selection.layer) == (2, 2)
    session.go_to("logits")
    assert (session.selection.step, session.selection.layer) == (3, 2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("logits", "logits"),
        ("embed.out", "embed.out"),
        ("blocks.2.attn.q", "blocks.0.attn.q"),  # there is no such block
        ("blocks.0.attn.q", "blocks.0.attn.q"),
        ("blocks.0.mlp.up", "blocks.0.norm1.out"),  # nor such a value
        ("final", "tail"),
    ],
)
def test_another_model_is_looked_at_where_the_one_before_was(before: str, after: str) -> None:
    session = answered()
    session.take(
        SCENE,
        SITES,
        sites("embed.out", "blocks.0.attn.q", "blocks.0.mlp.up", "blocks.2.attn.q", "final", "logits"),
    )
    session.go_to(before)
    scene = replace(SCENE, model="other")
    session.change(model="other")
    session.take(scene, RUN, run(layers=1))
    keys = ["embed.out", "blocks.0.norm1.out", "blocks.0.attn.q", "resid", "tail", "logits"]
    session.take(scene, SITES, sites(*keys))
    selection = session.selection
    assert selection.site == after
    assert keys[selection.step] == after


def test_the_step_is_within_the_run_on_screen_while_another_is_asked_for() -> None:
    session = answered()
    session.go_to("logits")
    session.change(model="other")
    scene = session.scene
    session.take(scene, RUN, run())
    session.change(prompt="more")
    session.take(scene, SITES, sites("embed.out", "logits"))
    assert session.shown == scene
    assert session.selection.step == 1
    assert session.sites[session.selection.step]["key"] == "logits"


def test_the_step_goes_along_to_the_layer_that_a_preset_opens_on() -> None:
    session = answered()
    focus = {"stack": "", "layer": 2, "head": 1}
    session.greet({"presets": {**PRESETS, "growth": PRESETS["growth"] | {"focus": focus}}})
    session.go_to("blocks.0.attn.q")
    session.open("growth")
    session.take(session.scene, RUN, run())
    session.take(session.scene, SITES, sites("embed.out", "blocks.0.attn.q", "blocks.2.attn.q", "logits"))
    assert (session.selection.layer, session.selection.site) == (2, "blocks.2.attn.q")


def test_a_step_of_attention_goes_along_to_the_kind_that_a_preset_opens_on() -> None:
    session = answered()
    focus = {"stack": "cross", "layer": 1, "head": 0}
    session.greet({"presets": {**PRESETS, "dates": PRESETS["growth"] | {"focus": focus}}})
    session.go_to("blocks.0.attn.q")
    session.open("dates")
    session.take(session.scene, RUN, two_texts())
    keys = [f"decoder.blocks.{layer}.{kind}.q" for layer in range(2) for kind in ("attn", "cross")]
    session.take(session.scene, SITES, sites("embed.out", *keys))
    assert (session.selection.stack, session.selection.site) == ("cross", "decoder.blocks.1.cross.q")


def test_going_to_an_unknown_site_changes_nothing() -> None:
    session = answered()
    before = session.selection
    session.go_to("blocks.9.attn.q")
    assert session.selection == before


@pytest.mark.parametrize(("asked", "reached"), [(-5, 0), (2, 2), (50, 3)])
def test_steps_end_at_the_ends(asked: int, reached: int) -> None:
    session = answered()
    session.go_to_step(asked)
    assert session.selection.step == reached


def test_steps_before_the_first_answer_go_nowhere() -> None:
    session = Session(SCENE)
    session.go_to_step(3)
    assert session.selection == Selection()


def test_missing_names_each_unanswered_query_once_in_order() -> None:
    session = answered()
    one, two = MeasuredGraph(), NextTokens(k=3)
    assert session.missing([two, RUN, one, two]) == [two, one]


def test_a_stored_answer_is_shown_and_still_asked_for() -> None:
    session = Session(SCENE)
    session.store.put(SCENE, RUN, run(), stored=True)
    assert session.run is not None
    assert session.missing([RUN]) == [RUN]
    session.take(SCENE, RUN, run())
    assert session.missing([RUN]) == []


def test_the_same_message_with_another_fix_is_told() -> None:
    session = Session(SCENE)
    told = heard(session.message_changed)
    session.tell("too long", {"prompt": "a"})
    session.tell("too long", {"prompt": "a"})
    session.tell("too long", {"prompt": "b"})
    assert told == ["too long", "too long"]
    assert session.fix == {"prompt": "b"}


def test_a_change_takes_the_message_away() -> None:
    session = Session(SCENE)
    session.tell("too long")
    session.change(prompt="a")
    assert session.message == ""


def test_hovering_the_same_tokens_is_told_once() -> None:
    session = Session(SCENE)
    session.take(SCENE, RUN, run())
    told = heard(session.hovered_changed)
    session.hover(1, 0)
    session.hover(1, 0)
    session.hover(None)
    assert told == [(1, 0), (None, None)]


def test_a_token_that_is_locked_is_shown_in_the_place_of_what_the_pointer_rests_on() -> None:
    session = answered()
    session.hover(1, 0)
    session.select(layer=2)
    assert session.hovered == (1, 0)
    session.select(query=2)
    assert session.hovered == (None, None)


def test_what_is_pointed_at_is_a_token_of_the_texts_on_screen() -> None:
    session = Session(SCENE)
    session.take(SCENE, RUN, run(9))
    session.hover(8, 3)
    session.hover(20, 3)
    assert session.hovered == (None, 3)
    session.hover(8, 3)
    told = heard(session.hovered_changed)
    session.change(prompt="short")
    session.take(session.scene, RUN, run(4))
    assert session.hovered == (None, 3)
    assert told == [(None, 3)]
    # A picture of the longer prompt may be under the pointer still.
    session.hover(8, 7)
    assert session.pointed == Cursor()
    session.hover(1, 2, "encoder")
    assert session.pointed == Cursor()
