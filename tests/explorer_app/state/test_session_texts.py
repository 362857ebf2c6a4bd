"""What a person typed is kept for each kind of text, whatever one model could not read. No Qt."""

import pytest

from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.state.training import Spec
from model_core.api.queries.answer import Answer
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text, two_texts
from tests.support.window.sessions import PRESETS, texts

pytestmark = pytest.mark.unit


def greeted(prompt: str = "a long prompt of mine") -> Session:
    session = Session(Scene("tales-llama", "a b c"))
    session.take(session.scene, RUN, doing("text"))
    session.greet({"presets": PRESETS})
    session.change(prompt=prompt)
    return session


def doing(task: str, run: Answer | None = None) -> Answer:
    run = run or one_text()
    return Answer({**run.facts, "task": task}, run.arrays)


def cut(session: Session, text: str) -> None:
    session.tell("the prompt is too long", {"prompt": text})
    session.mend()


def test_what_was_cut_for_one_model_is_whole_for_the_next() -> None:
    session = greeted()
    session.open("growth")
    cut(session, "a long")
    assert texts(session) == ("a long", "")
    session.open("tales-llama")
    assert texts(session) == ("a long prompt of mine", "")
    session.open("growth")
    assert texts(session) == ("a long", "")
    session.change(prompt="other")
    session.open("tales-llama")
    assert texts(session) == ("other", "")


def test_a_model_that_cannot_be_had_gives_back_what_the_one_on_screen_was_given() -> None:
    session = greeted()
    session.open("growth")
    cut(session, "a long")
    session.take(session.scene, RUN, doing("text"))
    session.open("path/to/nothing")
    assert texts(session) == ("a long prompt of mine", "")
    session.go_back("there is nothing")
    assert session.scene == session.shown
    assert session.message == "there is nothing"


def test_a_preset_of_another_task_that_cannot_be_had_leaves_the_prompt_as_it_was() -> None:
    session = greeted()
    session.take(session.scene, RUN, doing("text"))
    session.open("dates")
    assert texts(session) == ("3 March", "03")
    session.go_back("no weights")
    assert texts(session) == ("a long prompt of mine", "")


def test_a_checkpoint_of_another_task_brings_its_own_example() -> None:
    session = greeted()
    session.training.specs = {
        "out/dates": Spec("out/dates", preset="dates"),
        "out/further": Spec("out/further", source="out/dates"),
        "out/tales": Spec("out/tales", preset="tales-llama"),
        "out/round": Spec("out/round", source="out/round"),
    }
    session.open("out/further")
    assert texts(session) == ("3 March", "03")
    session.open("out/tales")
    assert texts(session) == ("a long prompt of mine", "")
    session.open("out/round")
    assert texts(session) == ("a long prompt of mine", "")


def test_a_model_of_which_nobody_knew_what_it_reads_leaves_the_prompt_to_the_others() -> None:
    session = greeted()
    session.open("path/to/ids")
    cut(session, "5 17")
    session.take(session.scene, RUN, doing("ids"))
    session.change(prompt="5 17 3")
    session.open("tales-llama")
    assert texts(session) == ("a long prompt of mine", "")
    session.open("path/to/ids")
    assert texts(session) == ("5 17 3", "")


def test_a_model_that_turns_out_to_read_another_kind_of_text_is_given_what_was_typed_for_such() -> None:
    session = greeted()
    session.open("path/to/ids")
    cut(session, "5 17")
    session.take(session.scene, RUN, doing("ids"))
    session.open("path/to/tales")
    assert texts(session) == ("5 17", "")
    session.take(session.scene, RUN, doing("text"))
    assert texts(session) == ("a long prompt of mine", "")


def test_a_session_that_begins_with_another_task_knows_it() -> None:
    session = Session(Scene("dates", "4 March"))
    session.greet({"presets": PRESETS})
    session.open("tales-llama")
    assert texts(session) == ("a b c", "")
    session.open("dates")
    assert texts(session) == ("4 March", "")


# Going on with a text


def test_a_token_is_put_behind_the_text_that_it_was_foreseen_for() -> None:
    session = greeted("a b")
    session.append(" d")
    assert session.scene.prompt == "a b"  # its run is not on screen yet
    session.take(session.scene, RUN, one_text())
    session.append(" d")
    session.append(" d")
    assert session.scene.prompt == "a b d"


@pytest.mark.parametrize(
    ("target", "prefix", "appended"),
    [("", 1, "1"), ("", 0, "3 March1"), ("19", 1, "191"), ("19", 0, "191")],
)
def test_a_decoder_that_was_given_nothing_goes_on_with_what_it_read(
    target: str, prefix: int, appended: str
) -> None:
    session = Session(Scene("dates", "3 March", target))
    read = two_texts()
    session.take(session.scene, RUN, Answer({**read.facts, "prefix": prefix}, read.arrays))
    session.append("1")
    assert texts(session) == ("3 March", appended)
