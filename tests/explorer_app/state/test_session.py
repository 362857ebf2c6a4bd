"""The session: what is told and when, what is shown, and what the selection may be. No Qt, no engine."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from explorer_app.state.focus import Cursor
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES, Store
from model_core.api.queries.answer import Answer
from model_core.api.queries.model import MeasuredGraph
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text, sites, two_texts
from tests.support.window.fake_run import one_text as run

pytestmark = pytest.mark.unit

SCENE = Scene("tales-llama", "a b c")


def answered(scene: Scene = SCENE) -> Session:
    session = Session(scene)
    session.take(scene, RUN, run())
    session.take(scene, SITES, sites("embed.out", "blocks.0.attn.q", "blocks.2.attn.q", "logits"))
    return session


def heard(signal: Any) -> list[Any]:
    told: list[Any] = []
    # psygnal keeps only a weak reference to a bound method, and list.append has no owner to die.
    signal.connect(lambda *values: told.append(values[0] if len(values) == 1 else values))
    return told


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


# The store


def sized(kilobytes: int) -> Answer:
    return Answer({}, {"values": np.zeros(kilobytes << 10, np.uint8)})


def test_the_least_recently_used_answers_make_room() -> None:
    store = Store(limit=28 << 10)
    first, second, third = (SiteValue(site=site) for site in "abc")
    store.put(SCENE, first, sized(10))
    store.put(SCENE, second, sized(10))
    store.get(SCENE, first)
    store.put(SCENE, third, sized(10))
    assert store.get(SCENE, second) is None
    assert store.get(SCENE, first) is not None
    assert store.size <= store.limit


def test_an_answer_larger_than_the_whole_budget_is_kept_until_the_next() -> None:
    store = Store(limit=1 << 10)
    store.put(SCENE, SiteValue(site="a"), sized(10))
    assert store.get(SCENE, SiteValue(site="a")) is not None
    store.put(SCENE, SiteValue(site="b"), sized(10))
    assert len(store.answers) == 1


def test_an_answer_given_again_is_counted_once() -> None:
    store = Store()
    for _ in range(3):
        store.put(SCENE, RUN, sized(10))
    assert store.size == sized(10).nbytes


def test_what_is_of_the_model_is_kept_once_for_all_its_prompts_and_edits() -> None:
    store = Store()
    one, other = Scene("m", "a prompt"), Scene("m", "another one", edits=("mask off",))
    for scene in (one, other):
        store.put(scene, SITES, sites("embed.out"))
        store.put(scene, RUN, sized(1))
    assert len(store.answers) == 3
    assert store.get(one, SITES) is store.get(other, SITES)
    for another in (
        Scene("n", "a prompt"),
        Scene("m", "a prompt", version="2"),
        Scene("m", "", dtype="float64"),
    ):
        assert store.get(another, SITES) is None


def test_a_mark_that_an_answer_is_from_a_file_goes_with_the_answer() -> None:
    store = Store(limit=28 << 10)
    for n in range(5):
        store.put(SCENE, SiteValue(site=str(n)), sized(10), stored=True)
    marked = [n for n in range(5) if store.is_stored(SCENE, SiteValue(site=str(n)))]
    assert marked == [3, 4]
    assert len(store._stored) == len(store.answers)


def test_steps_have_the_lengths_of_the_texts_that_are_shown() -> None:
    session = Session(SCENE)
    session.take(SCENE, SITES, sites("embed.out"))
    assert session.sites == []  # no run has said yet how long its texts are
    session.take(SCENE, RUN, one_text(7))
    assert session.sites[0]["shape"] == [1, 7, 7]
    assert session.sites is session.sites
    longer = replace(SCENE, prompt="longer")
    session.change(prompt="longer")
    session.take(longer, RUN, one_text(9))
    assert session.sites[0]["shape"] == [1, 9, 9]


# Two texts and three kinds of attention


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


PRESETS = {
    "tales-llama": {"task": "text", "example": {"prompt": "a b c", "target": ""}},
    "growth": {"task": "text", "example": {"prompt": "d e d", "target": ""}},
    "dates": {"task": "dates", "example": {"prompt": "3 March", "target": "03"}},
}


def texts(session: Session) -> tuple[str, str]:
    return session.scene.prompt, session.scene.target


def test_a_preset_brings_its_example_where_nobody_has_typed_anything() -> None:
    session = answered()
    session.greet({"presets": PRESETS})
    told = heard(session.scene_changed)
    session.open("growth")
    assert texts(session) == ("d e d", "")
    assert len(told) == 1
    session.open("tales-llama")
    assert texts(session) == ("a b c", "")


def test_what_was_typed_stays_with_every_preset_that_reads_such_text() -> None:
    session = answered()
    session.greet({"presets": PRESETS})
    session.change(prompt="typed")
    session.open("growth")
    assert texts(session) == ("typed", "")
    session.open("path/to/a/model")
    assert texts(session) == ("typed", "")
    session.open("dates")
    assert texts(session) == ("3 March", "03")
    session.change(prompt="4 March")
    session.open("tales-llama")
    assert texts(session) == ("typed", "")
    session.open("dates")
    assert texts(session) == ("4 March", "03")


def test_a_preset_opens_on_the_head_that_shows_what_it_learned() -> None:
    session = answered()
    focus = {"stack": "", "layer": 2, "head": 1}
    session.greet({"presets": {**PRESETS, "growth": PRESETS["growth"] | {"focus": focus}}})
    before = (session.selection.layer, session.selection.head)
    session.open("growth")
    assert (
        session.selection.layer,
        session.selection.head,
    ) == before  # the model on screen is another one still
    session.take(session.scene, RUN, run())
    assert (session.selection.layer, session.selection.head) == (2, 1)
    session.select(layer=0, head=0)
    session.change(prompt="more")
    session.take(session.scene, RUN, run())
    assert (session.selection.layer, session.selection.head) == (0, 0)


def test_the_focus_of_a_preset_that_was_not_opened_is_forgotten() -> None:
    session = answered()
    focus = {"stack": "", "layer": 2, "head": 1}
    session.greet({"presets": {**PRESETS, "growth": PRESETS["growth"] | {"focus": focus}}})
    session.open("growth")
    session.go_back("no memory")
    session.open("path/to/a/model")
    session.take(session.scene, RUN, run())
    assert (session.selection.layer, session.selection.head) == (0, 0)


def test_answers_of_the_baseline_make_no_room_and_are_known_beside_those_on_screen() -> None:
    session = answered()
    session.store.limit = 1
    session.pin_baseline()
    session.change(prompt="another")
    for text in ("one", "two"):
        session.take(replace(SCENE, prompt=text), RUN, run())
    assert session.answer_of_baseline(RUN) is not None
    assert session.requests([RUN]) == [(session.scene, [RUN])]
    session.unpin_baseline()
    session.take(replace(SCENE, prompt="three"), RUN, run())
    assert session.store.get(SCENE, RUN) is None
    assert session.answer_of_baseline(RUN) is None
