"""What the form of a training proposes: the model on screen, until a person chooses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.session import Session
from explorer_app.train_form import TrainForm
from explorer_app.training import Spec
from model_core.engine import greeting
from model_core.queries import Scene
from tests.explorer_app.fake_training import keep

pytestmark = pytest.mark.unit


@pytest.fixture
def form(qtbot: QtBot) -> Iterator[TrainForm]:
    session = Session(Scene("growth@16", "The cat"))
    form = TrainForm(session)
    qtbot.addWidget(form)
    session.greet(greeting())
    yield form
    form.detach()


def shows(form: TrainForm, model: str) -> None:
    session = form.session
    session.scene = session.shown = Scene(model, "The cat")
    session.shown_changed.emit(session.shown)


def test_the_model_on_screen_is_proposed(form: TrainForm) -> None:
    assert form.preset == "growth"
    assert form.steps.value() == form.presets["growth"]["recipe"]["steps"]
    assert form.folder().name == "growth"
    shows(form, "dates")
    assert form.preset == "dates"
    shows(form, "path/to/mine")
    assert form.preset == ""
    assert form.folder().name == "mine-further"


def test_what_was_chosen_stays_whatever_is_on_screen(form: TrainForm) -> None:
    form.what.setCurrentIndex(form.what.findData("tales-mini"))
    form.what.activated.emit(form.what.currentIndex())
    shows(form, "dates")
    assert form.preset == "tales-mini"


def test_what_a_person_started_stays_proposed(form: TrainForm) -> None:
    shows(form, "dates")
    assert form.spec() is not None
    shows(form, "tales-llama")
    assert form.preset == "dates"


def test_the_model_on_screen_is_trained_further_where_every_preset_is_damaged(qtbot: QtBot) -> None:
    form = TrainForm(Session(Scene("path/to/mine", "The cat")))
    qtbot.addWidget(form)
    form.session.greet(greeting() | {"presets": {}, "damaged": {"growth": "cut off"}})
    assert [form.what.itemText(row) for row in range(form.what.count())] == [
        "continue training the model on screen: mine"
    ]
    assert form.folder().name == "mine-further"
    assert form.isEnabled()
    form.detach()


@pytest.fixture
def started(qtbot: QtBot) -> Iterator[TrainForm]:
    """The form of a window whose engine has not greeted yet."""
    form = TrainForm(Session(Scene("tales-llama", "The cat")))
    qtbot.addWidget(form)
    yield form
    form.detach()


def test_nothing_is_filled_in_until_the_engine_has_greeted(started: TrainForm) -> None:
    assert not started.isEnabled()
    assert not started.said["what"].isHidden()
    assert started.said["what"].text() == "The engine is starting; it knows what can be trained."
    started.session.greet(greeting())
    assert started.isEnabled()
    assert started.said["what"].isHidden()
    assert started.preset == "tales-llama"


def test_what_was_stopped_last_is_offered_by_the_next_form(started: TrainForm, tmp_path: Path) -> None:
    text = str(tmp_path / "tale.txt")
    Path(text).touch()
    specs = [
        Spec(out=str(tmp_path / "stopped"), source="tales-llama", data=(text,)),
        Spec(out=str(tmp_path / "older"), preset="dates"),
    ]
    keep(tmp_path / "stopped", 12, 40, None)
    keep(tmp_path / "older", 12, 40, "dates")
    started.session.training.specs = {spec.out: spec for spec in specs}
    started.session.greet(greeting())
    assert started.folder() == tmp_path / "stopped"
    assert started.found is not None
    assert (started.preset, started.data, started.steps.value()) == ("", (text,), 40)
    assert started.said["out"].text() == (
        "Training stopped there at step 12 of 40. Resume continues it as it was begun; "
        "to train anything else, choose New folder."
    )
    spec = started.spec()
    assert spec is not None
    assert (spec.out, spec.source) == (str(tmp_path / "stopped"), "tales-llama")

    started.new_folder.click()
    assert started.found is None
    started.session.greet(greeting())
    assert started.found is None


@pytest.mark.parametrize("last", ["gone", "done", "unknown"])
def test_the_model_on_screen_is_proposed_where_the_last_training_cannot_be_continued(
    started: TrainForm, tmp_path: Path, last: str
) -> None:
    preset = "of-another-version" if last == "unknown" else "dates"
    specs = [Spec(out=str(tmp_path / last), preset=preset), Spec(out=str(tmp_path / "older"), preset="dates")]
    keep(tmp_path / "done", 40, 40, "dates")
    (tmp_path / "done" / "training.json").write_text('{"run": {}, "done": {}}', encoding="utf-8")
    keep(tmp_path / "unknown", 12, 40, preset)
    keep(tmp_path / "older", 12, 40, "dates")
    started.session.training.specs = {spec.out: spec for spec in specs}
    started.session.greet(greeting())
    assert started.found is None
    assert started.preset == "tales-llama"
