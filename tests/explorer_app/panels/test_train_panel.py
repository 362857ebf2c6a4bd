"""The Train panel in its window: what is filled in, what is seen while training runs, and what becomes of it."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from explorer_app.panels.train import Train
from explorer_app.processes import trainer as trainer_
from explorer_app.state.session import Session
from explorer_app.state.settings import open_settings
from explorer_app.state.training import Spec
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from model_core.api.stamp import stamp
from model_core.engine.answering import greeting
from tests.explorer_app.forms.test_open_model import data_of, drag_over, drop
from tests.explorer_app.processes.test_trainer import alive
from tests.support.window import fake_training
from tests.support.window.local_engine import LocalEngine
from tests.support.window.window_on_screen import at_rest

pytestmark = pytest.mark.process

MINUTE = 60_000


class Studio:
    """A window with the Train panel in front; its trainings are fake ones."""

    def __init__(self, qtbot: QtBot, model: str, text: Path, stack: ExitStack) -> None:
        self.qtbot, self.model, self.text, self.stack = qtbot, model, text, stack
        self.open()

    def open(self) -> None:
        self.window = MainWindow(Session(Scene(self.model, "The cat")), open_settings(), LocalEngine)
        self.stack.enter_context(closing(self.window))
        self.session, self.training = self.window.session, self.window.session.training
        self.panel = cast(Train, self.window.docks["train"].panel)
        self.form = self.panel.form
        self.window.show()
        self.window.client.start()
        self.window.docks["train"].raise_()
        self.qtbot.waitUntil(lambda: at_rest(self.window) and self.session.run is not None, timeout=MINUTE)
        QApplication.processEvents()

    def choose(self, preset: str) -> None:
        """Train a preset, or the model on screen."""
        self.form.what.setCurrentIndex(self.form.what.findData(preset))
        self.form.what.activated.emit(self.form.what.currentIndex())

    def begin(self, preset: str = "") -> None:
        """Train until there is a checkpoint."""
        self.choose(preset)
        self.form.offer((str(self.text),))
        self.form.steps.setValue(100_000)  # it ends when the test stops it
        self.panel.start.click()
        self.until(lambda: self.training.saved is not None or not self.training.active)
        assert self.training.active, self.window.client.log

    def until(self, reached: object) -> None:
        self.qtbot.waitUntil(reached, timeout=MINUTE)

    def end(self) -> None:
        self.panel.stop.click()
        self.until(lambda: not self.training.active)


@pytest.fixture
def studio(qtbot: QtBot, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr(trainer_, "core_command", fake_training.command)
    monkeypatch.setattr(MainWindow, "_may_close", lambda window: True)
    text = tmp_path / "tale.txt"
    text.write_text("Once upon a time. " * 50, encoding="utf-8")
    with ExitStack() as stack:
        yield Studio(qtbot, model, text, stack)


def test_the_form_begins_with_the_recipe_of_what_is_chosen(studio: Studio) -> None:
    form = studio.form
    studio.choose("tales-llama")
    assert (form.steps.value(), form.lr.text()) == (6000, "0.002")
    assert form.folder().name == "tales-llama"
    studio.choose("")
    assert (form.steps.value(), form.lr.text()) == (300, "0.0003")
    assert form.folder().name.endswith("-further")
    studio.choose("dates")
    assert not form.texts.isEnabled()
    spec = form.spec()
    assert spec is not None
    assert spec.data == ()


def test_a_cpu_is_offered_the_number_type_that_it_is_quick_with(studio: Studio) -> None:
    form, greeting = studio.form, studio.session.greeting
    studio.choose("tales-llama")
    assert (form.device.currentText(), form.dtype.currentText()) == ("cpu", "float32")
    studio.session.greeting = {**greeting, "devices": [*greeting["devices"], {"name": "cuda:0"}]}
    form.show_choices()
    form.device.setCurrentText("cuda:0")
    studio.choose("tales-gpt2")
    assert form.dtype.currentText() == "bfloat16"


def test_what_is_missing_is_said_at_its_field(studio: Studio) -> None:
    form = studio.form
    studio.choose("tales-llama")
    studio.panel.start.click()
    assert form.said["data"].isVisible()
    assert form.said["data"].text() == "Choose a text to learn from."
    form.offer((str(studio.text.parent / "gone.txt"),))
    studio.panel.start.click()
    assert form.said["data"].text() == f"There is no file {studio.text.parent / 'gone.txt'}."
    form.offer((str(studio.text),))
    assert not form.said["data"].isVisible()
    form.lr.setText("fast")
    studio.panel.start.click()
    assert "0.001" in form.said["numbers"].text()
    assert studio.training.state == "idle"


def test_curves_and_numbers_move_while_it_trains(studio: Studio) -> None:
    studio.begin()
    panel = studio.panel
    assert panel.form.isHidden()
    assert panel.pause.isVisible()
    steps, losses = panel.plot.drawn("training")
    assert steps.tolist() == [point.step for point in studio.training.points]
    assert losses[0] == 4.0
    assert panel.plot.drawn("held out")[0][0] == 5
    assert panel.numbers.text().startswith(f"step {studio.training.step:,} of 100,000 · loss ")
    assert panel.numbers.text().endswith(" left")
    drawn = panel.plot.grab().toImage()
    studio.until(lambda: len(panel.plot.drawn("training")[0]) > len(steps) + 5)
    assert panel.plot.grab().toImage() != drawn
    assert "training: " in studio.window.status.text()
    studio.end()


def test_pause_and_resume_share_a_button(studio: Studio) -> None:
    studio.begin()
    studio.panel.pause.click()
    studio.until(lambda: studio.training.state == "paused")
    assert studio.panel.pause.text() == "Resume"
    assert studio.panel.words.text() == f"Paused after step {studio.training.step}."
    studio.panel.pause.click()
    studio.until(lambda: studio.training.state == "running")
    assert studio.panel.pause.text() == "Pause"
    studio.end()


def test_what_was_stopped_is_offered_to_be_gone_on_with(studio: Studio) -> None:
    studio.begin()
    studio.end()
    form, step = studio.form, studio.training.step
    assert studio.panel.start.text() == "Resume"
    assert form.said["out"].text().startswith(f"Training stopped there at step {step} of 100,000")
    assert not form.steps.isEnabled()
    studio.panel.start.click()
    studio.until(lambda: studio.training.step > step)
    assert studio.training.points[0].step == 1
    studio.end()
    folder = form.folder()
    form.new_folder.click()
    assert studio.panel.start.text() == "Start"
    assert form.folder() != folder
    assert form.steps.isEnabled()


def test_what_was_trained_is_on_show_only_where_the_form_is_about_it(studio: Studio) -> None:
    studio.begin()
    studio.end()
    panel, form = studio.panel, studio.form
    folder = form.out.text()
    told = (panel.plot, panel.numbers, panel.open, panel.follow, panel.on_screen)
    assert all(widget.isVisible() for widget in told)
    assert panel.words.text().startswith("Stopped after step ")
    form.new_folder.click()
    assert not any(widget.isVisible() for widget in told)
    assert panel.words.text() == ""
    assert panel.hint.isVisible()
    form.out.setText(folder)
    form.out.textEdited.emit(folder)
    assert all(widget.isVisible() for widget in told)
    assert panel.words.text().startswith("Stopped after step ")


def test_what_is_done_stays_on_show_until_another_is_chosen(studio: Studio) -> None:
    studio.choose("")
    studio.form.offer((str(studio.text),))
    studio.form.steps.setValue(10)
    studio.panel.start.click()
    studio.until(lambda: studio.training.state == "finished")
    assert studio.panel.plot.isVisible()
    assert studio.panel.words.text().startswith("Done: 10 steps.")
    studio.choose("dates")
    assert not studio.panel.plot.isVisible()
    assert studio.panel.words.text() == ""


def test_the_panel_says_what_the_command_noted(studio: Studio) -> None:
    studio.begin()
    assert studio.panel.words.text() == "The text is short"
    studio.end()


def test_nothing_is_started_before_the_engine_has_greeted(qtbot: QtBot) -> None:
    panel = Train(Session(Scene("dates", "The cat")))
    qtbot.addWidget(panel)
    assert not panel.start.isEnabled()
    panel.session.greet(greeting())
    assert panel.start.isEnabled()
    panel.detach()


def test_a_training_that_begins_has_a_bar_that_is_empty_and_not_full_or_busy(qtbot: QtBot) -> None:
    panel = Train(Session(Scene("dates", "The cat")))
    qtbot.addWidget(panel)
    panel.show()
    panel.session.greet(greeting())
    panel.training.start(Spec(out="/runs/dates", preset="dates", steps=40))
    assert panel.training.state == "starting"
    assert panel.bar.isVisible()
    assert (panel.bar.minimum(), panel.bar.value(), panel.bar.maximum()) == (0, 0, 40)
    panel.detach()


def test_it_is_offered_in_the_next_window_as_well(studio: Studio) -> None:
    studio.begin()
    studio.end()
    folder, step = studio.form.folder(), studio.training.step
    studio.window.close()
    studio.model = "dates"
    studio.open()
    assert studio.form.folder() == folder
    assert studio.form.data == (str(studio.text),)
    assert studio.panel.start.text() == "Resume"
    studio.panel.start.click()
    studio.until(lambda: studio.training.step > step)
    studio.end()


def test_a_killed_process_is_a_line_and_an_offer(studio: Studio) -> None:
    studio.begin()
    pid = studio.window.trainer.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    studio.until(lambda: not studio.training.active)
    words = studio.panel.words.text()
    assert "ended unexpectedly" in words
    assert "\n" not in words
    assert studio.panel.start.text() == "Resume"
    assert studio.panel.start.isVisible()


def test_a_text_that_is_refused_is_said_at_its_field(studio: Studio) -> None:
    studio.text.write_bytes(b"wrong\xff")
    studio.choose("tales-llama")
    studio.form.offer((str(studio.text),))
    studio.panel.start.click()
    studio.until(lambda: not studio.training.active)
    assert studio.form.said["data"].isVisible()
    assert "is not UTF-8 text" in studio.form.said["data"].text()
    assert studio.panel.words.text() == ""
    studio.form.offer((str(studio.text.with_name("other.txt")),))
    studio.panel.show_training()
    assert not studio.form.said["data"].isVisible()


def test_a_folder_in_the_home_of_nobody_is_said_at_its_field(studio: Studio) -> None:
    form = studio.form
    studio.choose("dates")
    form.out.setText("~nobody-is-called-so/run")
    form.out.textEdited.emit(form.out.text())
    studio.panel.start.click()
    assert "there is no home folder of that name" in form.said["out"].text()
    assert not studio.training.active


def test_who_has_no_home_says_where_to_write(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("explorer_app.state.own_folders.user_data_path", nobody)
    studio.choose("dates")
    assert studio.form.out.text() == ""
    studio.panel.start.click()
    assert studio.form.said["out"].text() == "Say which folder to write to."


def test_a_folder_is_written_from_the_root(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    studio.choose("dates")
    studio.form.out.setText("run")
    spec = studio.form.spec()
    assert spec is not None
    assert spec.out == str(tmp_path / "run")


def test_the_newest_checkpoint_is_opened_while_training_goes_on(studio: Studio) -> None:
    studio.begin()
    panel, session = studio.panel, studio.session
    panel.open.click()
    studio.until(lambda: Path(session.shown.model).name.endswith("-further"))
    assert studio.training.active
    version = session.shown.version
    studio.until(lambda: "is on screen" in panel.on_screen.text())
    saved = studio.training.saved
    studio.until(lambda: (studio.training.saved or 0) > (saved or 0))
    panel.open.click()
    studio.until(lambda: session.shown.version != version)
    assert session.message == ""
    studio.end()


def test_a_checkpoint_that_is_replaced_before_it_is_read_gives_way_to_the_next(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.begin()
    studio.end()
    assert studio.training.spec is not None
    folder, session = Path(studio.training.spec.out), studio.session
    studio.panel.open.click()
    os.utime(folder / "model.safetensors", (1, 1))
    studio.until(lambda: session.shown.model == str(folder))
    assert session.shown.version == stamp(str(folder))
    assert session.message == ""


def test_another_model_that_is_chosen_takes_the_place_of_a_checkpoint_to_be_read_again(
    studio: Studio,
) -> None:
    studio.begin()
    studio.end()
    session = studio.session
    studio.panel.open.click()
    session.tell("it was replaced", {"version": ""})
    studio.window.open("dates")
    QApplication.processEvents()
    studio.until(lambda: at_rest(studio.window))
    assert session.scene.model == "dates"


def test_following_opens_each_checkpoint_until_another_model_is_chosen(studio: Studio) -> None:
    studio.begin()
    session, versions = studio.session, set()
    session.shown_changed.connect(lambda scene: versions.add(scene.version))
    studio.window.docks["attention"].raise_()
    studio.panel.follow.setChecked(True)
    studio.until(lambda: len(versions) >= 3)
    studio.window.open(studio.model)
    assert not studio.panel.follow.isChecked()
    saved = studio.training.saved
    studio.until(lambda: (studio.training.saved or 0) > (saved or 0) and at_rest(studio.window))
    assert session.shown.model == studio.model
    studio.window.docks["train"].raise_()
    QApplication.processEvents()
    studio.end()


def test_texts_dropped_on_the_window_are_to_be_trained_on(studio: Studio) -> None:
    studio.choose("tales-llama")
    studio.window.docks["attention"].raise_()
    data = data_of(str(studio.text))
    drag_over(studio.window, data)
    assert studio.window.veil.words == "Drop to train on tale.txt"
    drop(studio.window.veil, data)
    QApplication.processEvents()
    assert studio.form.data == (str(studio.text),)
    assert studio.panel.seen
    assert studio.session.scene.model == studio.model


@pytest.mark.parametrize("sure", [True, False])
def test_closing_the_window_asks_about_a_training(
    sure: bool, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(trainer_, "core_command", fake_training.command)
    asked: list[str] = []

    def answer(box: QMessageBox) -> int:
        asked.append(box.text())
        role = QMessageBox.ButtonRole.AcceptRole if sure else QMessageBox.ButtonRole.RejectRole
        next(button for button in box.buttons() if box.buttonRole(button) == role).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    studio.begin()
    pid = studio.window.trainer.pid
    assert pid is not None
    assert studio.window.close() == sure
    assert asked == ["A training is running. Stop it and close the window?"]
    assert alive(pid) == (not sure)
    if not sure:
        assert studio.training.active
        studio.end()
        assert studio.window.close()
        assert len(asked) == 1


def test_nothing_is_clipped_in_a_narrow_window(studio: Studio) -> None:
    studio.begin()
    studio.end()
    assert studio.panel.minimumSizeHint().width() < 700
