"""What the form of a training proposes: the model on screen, until a person chooses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app.forms.train_form import TrainForm
from explorer_app.state.session import Session
from explorer_app.state.training import Spec
from explorer_app.widgets.listening import detach
from model_core.api.scene import Scene
from model_core.engine.answering import greeting
from tests.support.window.fake_training import keep

pytestmark = pytest.mark.unit


@pytest.fixture
def form(qtbot: QtBot) -> Iterator[TrainForm]:
    session = Session(Scene("growth@16", "The cat"))
    form = TrainForm(session)
    qtbot.addWidget(form)
    session.greet(greeting())
    yield form
    detach(form)


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


def test_steps_of_later_phases_are_told_beside_those_that_can_be_chosen(form: TrainForm) -> None:
    assert form.said["numbers"].isHidden()
    shows(form, "tales-llama")
    form.steps.setValue(60)
    assert form.said["numbers"].text() == "Then 300 more steps of 32 rows, as the recipe of tales-llama says."
    shows(form, "dates")
    assert form.said["numbers"].isHidden()


def test_steps_of_later_phases_are_told_where_something_is_missing_as_well(form: TrainForm) -> None:
    shows(form, "tales-llama")
    told = form.said["numbers"].text()
    assert form.spec() is None  # there is no text
    assert told
    assert form.said["numbers"].text() == told


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
    detach(form)


@pytest.fixture
def started(qtbot: QtBot) -> Iterator[TrainForm]:
    """The form of a window whose engine has not greeted yet."""
    form = TrainForm(Session(Scene("tales-llama", "The cat")))
    qtbot.addWidget(form)
    yield form
    detach(form)


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


# Texts that are typed


def type_texts(qtbot: QtBot, form: TrainForm, words: str) -> None:
    """Into the field, in the place of what stands there."""
    form.texts.selectAll()
    qtbot.keyClicks(form.texts, words)


@pytest.fixture
def texts(form: TrainForm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few texts, in which the program was started; a preset that learns from texts is chosen."""
    monkeypatch.chdir(tmp_path)
    for name in ("one.txt", "two.txt", "a, b.txt"):
        (tmp_path / name).write_text("tale", encoding="utf-8")
    shows(form, "tales-llama")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("{folder}/one.txt", ["one.txt"]),
        (" two.txt ", ["two.txt"]),
        ("{folder}/one.txt,two.txt, ", ["one.txt", "two.txt"]),
        ("a, b.txt", ["a, b.txt"]),
    ],
)
def test_paths_that_are_typed_are_taken_on_return(
    form: TrainForm, texts: Path, qtbot: QtBot, words: str, names: list[str]
) -> None:
    type_texts(qtbot, form, words.format(folder=texts))
    assert form.data == ()
    qtbot.keyClick(form.texts, Qt.Key.Key_Return)
    assert form.data == tuple(str(texts / name) for name in names)
    assert form.texts.text() == ", ".join(form.data)
    assert form.said["data"].isHidden()
    spec = form.spec()
    assert spec is not None
    assert spec.data == form.data


def test_what_is_shown_is_what_can_be_typed(form: TrainForm, texts: Path, qtbot: QtBot) -> None:
    form.offer((str(texts / "one.txt"),))
    qtbot.keyClick(form.texts, Qt.Key.Key_End)
    qtbot.keyClicks(form.texts, ", two.txt")
    qtbot.keyClick(form.texts, Qt.Key.Key_Return)
    assert form.data == (str(texts / "one.txt"), str(texts / "two.txt"))


def test_a_path_that_is_no_file_is_said_at_the_field_until_it_is_typed_anew(
    form: TrainForm, texts: Path, qtbot: QtBot
) -> None:
    for words, wrong in (
        ("one.txt, lost.txt", f"There is no file {texts / 'lost.txt'}."),
        ("~nobody-is-called-so/x.txt", "There is no file ~nobody-is-called-so/x.txt."),
        (str(texts), f"{texts} cannot be read: Is a directory"),
    ):
        type_texts(qtbot, form, words)
        assert form.said["data"].isHidden()
        qtbot.keyClick(form.texts, Qt.Key.Key_Return)
        assert form.said["data"].text() == wrong
        assert form.spec() is None
        assert form.said["data"].text() == wrong
    type_texts(qtbot, form, " ")
    qtbot.keyClick(form.texts, Qt.Key.Key_Return)
    assert form.data == ()
    assert form.said["data"].isHidden()


def test_a_path_that_is_being_typed_is_not_lost(form: TrainForm, texts: Path, qtbot: QtBot) -> None:
    type_texts(qtbot, form, "one.txt")
    shows(form, "dates")
    assert form.texts.text() == ""
    shows(form, "tales-llama")
    assert form.data == (str(texts / "one.txt"),)
    type_texts(qtbot, form, "two.txt")
    spec = form.spec()
    assert spec is not None
    assert spec.data == (str(texts / "two.txt"),)


def test_files_that_are_dropped_take_the_place_of_what_is_typed(
    form: TrainForm, texts: Path, qtbot: QtBot
) -> None:
    type_texts(qtbot, form, "one.t")
    form.offer((str(texts / "two.txt"),))
    qtbot.keyClick(form.texts, Qt.Key.Key_Return)
    assert form.data == (str(texts / "two.txt"),)
    assert not form.texts.acceptDrops()
