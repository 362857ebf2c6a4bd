"""What a preset brings with it: an example, and where to look first."""

import pytest

from explorer_app.state.store import RUN
from tests.support.window.fake_run import one_text as run
from tests.support.window.sessions import PRESETS, answered, heard, texts

pytestmark = pytest.mark.unit


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
