"""Edits that the model has no place for: refused when added, suspended when another model is opened. No Qt."""

import pytest

from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text as run
from tests.support.window.fake_run import two_texts
from tests.support.window.sessions import heard

pytestmark = pytest.mark.unit

SCENE = Scene("deep", "a b c")
NO_LAYER = "there is no layer 3; this model has layers 0 to 1"


def answered() -> Session:
    """Four layers of two heads."""
    session = Session(SCENE)
    session.take(SCENE, RUN, run())
    return session


def opened(session: Session, model: str, **shape: int) -> None:
    session.change(model=model)
    session.take(session.scene, RUN, run(**shape))


def test_a_model_says_which_edits_it_has_a_place_for() -> None:
    session = answered()
    assert session.why_not("ablate L3H1") == ""
    assert session.why_not("mask off") == ""
    assert session.why_not("ablate L4H0") == "there is no layer 4; this model has layers 0 to 3"
    assert session.why_not("mask off L0H2") == "there is no head 2; this model has heads 0 to 1"
    assert "this model has no cross attention" in session.why_not("ablate cross L0H0")
    assert "no edit reads" in session.why_not("ablate everything")


def test_of_a_model_that_was_never_run_nothing_speaks_against_an_edit() -> None:
    assert Session(SCENE).why_not("ablate L9H9") == ""


def test_an_edit_is_suspended_by_a_model_without_its_place_and_comes_back_with_one_that_has_it() -> None:
    session = answered()
    session.change(edits=("ablate L3H1", "mask off"))
    opened(session, "shallow", layers=2)
    assert session.edits == ("ablate L3H1", "mask off")
    assert session.scene.edits == ("mask off",)
    assert session.suspended == {"ablate L3H1": NO_LAYER}
    session.change(model="deep")
    assert session.scene.edits == ("ablate L3H1", "mask off")
    assert session.suspended == {}
    session.change(model="shallow")
    assert session.scene.edits == ("mask off",)


def test_what_the_engine_refuses_is_suspended_and_the_rest_asked_for() -> None:
    session = answered()
    session.change(edits=("ablate L3H1", "mask off"))
    session.change(model="shallow")
    asked = session.scene
    assert asked.edits == ("ablate L3H1", "mask off")
    assert session.refuse(asked, {"ablate L3H1": NO_LAYER})
    assert session.scene.edits == ("mask off",)
    session.take(session.scene, RUN, run(layers=2))
    assert session.shown == session.scene
    assert session.suspended == {"ablate L3H1": NO_LAYER}
    assert not session.refuse(session.scene, {"ablate L7H7": "no such place"})


def test_files_that_became_a_smaller_model_are_believed_the_engine() -> None:
    session = answered()
    session.change(edits=("ablate L3H1",))
    session.change(version="later")
    assert session.refuse(session.scene, {"ablate L3H1": NO_LAYER})
    session.take(session.scene, RUN, run(layers=2))
    assert session.why_not("ablate L2H0") != ""
    session.take(session.scene, RUN, run(layers=4))
    assert session.scene.edits == ("ablate L3H1",)


def test_a_suspended_edit_can_be_removed_and_leaves_the_run_as_it_is() -> None:
    session = answered()
    session.change(edits=("ablate L3H1",))
    opened(session, "shallow", layers=2)
    told, scene = heard(session.edits_changed), session.scene
    session.toggle_edit("ablate L3H1")
    assert (session.edits, session.suspended, session.scene) == ((), {}, scene)
    assert told == [()]


def test_edits_of_one_kind_of_attention_wait_while_a_model_has_three() -> None:
    session = answered()
    session.change(edits=("ablate L1H1", "mask off"))
    session.change(model="two texts")
    session.refuse(session.scene, {"ablate L1H1": "this model has 3 kinds of attention"})
    session.take(session.scene, RUN, two_texts())
    assert session.scene.edits == ("mask off",)
    assert "ablate encoder L1H1 or ablate decoder L1H1" in session.suspended["ablate L1H1"]


def test_nothing_is_read_against_a_run_with_edits_once_they_are_all_gone() -> None:
    session = answered()
    session.change(edits=("mask off L1", "ablate L0H0"))
    session.take(session.scene, RUN, run())
    assert session.before == SCENE
    session.toggle_edit("ablate L0H0")
    session.take(session.scene, RUN, run())
    assert session.before is not None
    session.change(edits=())
    assert session.shown == SCENE
    assert session.before is None


# What is out of date


def test_what_is_shown_is_out_of_date_once_a_message_stands_or_the_engine_takes_long() -> None:
    session = answered()
    told = heard(session.stale_changed)
    session.change(prompt="new")
    assert session.stale == ""
    session.set_progress("running", 0.3)
    assert session.stale == "running"
    session.set_progress("", 1.0)
    session.take(session.scene, RUN, run(5))
    assert session.stale == ""
    session.change(prompt="too long")
    session.tell("the prompt is too long")
    assert told == ["running", "", "the prompt is too long"]


def test_a_quick_run_makes_nothing_look_out_of_date() -> None:
    session = answered()
    told = heard(session.stale_changed)
    session.change(prompt="new")
    session.take(session.scene, RUN, run(5))
    assert told == []


def test_what_is_out_of_date_stays_so_while_a_person_types_on() -> None:
    session = answered()
    session.change(prompt="too long")
    session.tell("the prompt is too long")
    told = heard(session.stale_changed)
    session.change(prompt="too long x")
    session.tell("the prompt is too long")
    assert told == []
    session.change(prompt="a b c")
    assert told == [""]


def test_a_message_about_what_is_on_screen_makes_nothing_out_of_date() -> None:
    session = answered()
    session.tell("there is no such site")
    assert session.stale == ""
