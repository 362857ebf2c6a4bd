"""What the form of a training proposes: the model on screen, until a person chooses."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.session import Session
from explorer_app.train_form import TrainForm
from model_core.engine import greeting
from model_core.queries import Scene

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
    assert dict(form._missing())["what"] == ""
    form.detach()
