"""Opening a model in the window: dialogs, drag and drop, recent models, what the files do not say, and turning back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from explorer_app.forms.open_model import dropped
from explorer_app.state.session import Session
from explorer_app.state.settings import Recent, open_settings
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from explorer_app.words.model_words import distinct_titles
from model_core.api.errors import Unsaid
from model_core.api.scene import Scene
from model_core.checkpoint import said
from model_core.engine.answering import Engine
from model_core.families.registry import FAMILIES
from model_core.sources.presets import open_model
from tests.support.window.local_engine import LocalEngine, tiny_checkpoint, with_tokenizer
from tests.support.window.window_on_screen import at_rest
from tests.support.window.windows import action

pytestmark = pytest.mark.process

PROMPT = "The cat saw the dog"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "other")


@pytest.fixture
def window(qtbot: QtBot, model: str) -> Iterator[MainWindow]:
    window = MainWindow(Session(Scene(model, PROMPT)), open_settings(), LocalEngine)
    with closing(window):
        window.show()
        window.client.start()
        settle(qtbot, window)
        yield window


def settle(qtbot: QtBot, window: MainWindow) -> None:
    QApplication.processEvents()
    qtbot.waitUntil(lambda: at_rest(window) and window.session.run is not None, timeout=60_000)
    QApplication.processEvents()


# Dialogs


@pytest.mark.parametrize(
    ("entry", "dialog"),
    [
        ("Open checkpoint file", ("getOpenFileName", lambda path: (path, ""))),
        ("Open checkpoint folder", ("getExistingDirectory", lambda path: path)),
    ],
)
def test_what_was_chosen_is_opened_and_the_next_dialog_begins_there(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch, entry: str, dialog: tuple[str, Any]
) -> None:
    name, answer = dialog
    begun: list[str] = []

    def choose(parent: QWidget, title: str, start: str, *_: Any) -> Any:
        begun.append(start)
        return answer("/models/mine")

    monkeypatch.setattr(QFileDialog, name, choose)
    action(window, entry).trigger()
    assert window.session.scene.model == "/models/mine"
    action(window, entry).trigger()
    assert begun == ["", "/models"]


@pytest.mark.parametrize(
    ("entry", "name", "nothing"),
    [
        ("Open checkpoint file", "getOpenFileName", ("", "")),
        ("Open checkpoint folder", "getExistingDirectory", ""),
    ],
)
def test_a_dialog_can_be_dismissed(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch, entry: str, name: str, nothing: object
) -> None:
    before = window.session.scene
    monkeypatch.setattr(QFileDialog, name, lambda *_: nothing)
    action(window, entry).trigger()
    assert window.session.scene == before


# Drag and drop


def data_of(*paths: str) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl(path) if "://" in path else QUrl.fromLocalFile(path) for path in paths])
    return data


def drag_over(widget: QWidget, data: QMimeData) -> QDragEnterEvent:
    event = QDragEnterEvent(
        QPoint(20, 20),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)
    return event


def drop(widget: QWidget, data: QMimeData) -> None:
    event = QDropEvent(
        QPointF(20, 20),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)


def test_a_dropped_folder_is_opened(window: MainWindow, other: str, qtbot: QtBot) -> None:
    data = data_of(other)
    assert drag_over(window, data).isAccepted()
    assert window.veil.isVisible()
    assert window.veil.geometry() == window.rect()
    assert window.veil.words == "Drop to open other"
    drop(window.veil, data)
    assert not window.veil.isVisible()
    settle(qtbot, window)
    assert window.session.shown.model == other


def test_a_file_dropped_on_the_prompt_is_no_text(window: MainWindow, other: str) -> None:
    drag_over(window.prompt_bar.prompt, data_of(other))
    assert window.veil.isVisible()
    drop(window.veil, data_of(other))
    assert window.prompt_bar.prompt.text() == PROMPT
    assert window.session.scene.model == other


def test_text_dragged_over_the_window_is_left_alone(window: MainWindow) -> None:
    data = QMimeData()
    data.setText("the cat")
    assert not drag_over(window, data).isAccepted()
    assert not window.veil.isVisible()


def test_a_drag_that_leaves_takes_the_veil_with_it(window: MainWindow, other: str, qtbot: QtBot) -> None:
    drag_over(window, data_of(other))
    QApplication.sendEvent(window, QDragLeaveEvent())
    qtbot.waitUntil(lambda: not window.veil.isVisible())
    data = data_of(other)
    drag_over(window, data)
    QApplication.sendEvent(window, QDragLeaveEvent())
    drag_over(window.veil, data)
    QApplication.processEvents()
    assert window.veil.isVisible()
    QApplication.sendEvent(window.veil, QDragLeaveEvent())
    assert not window.veil.isVisible()


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("/a", "/b", "/c"), "Drop one file or folder, not 3"),
        (("https://example.org/model.safetensors",), "is not on this machine"),
    ],
)
def test_what_cannot_be_opened_is_said_before_and_after_the_drop(
    window: MainWindow, paths: tuple[str, ...], words: str
) -> None:
    before = window.session.scene
    drag_over(window, data_of(*paths))
    assert window.veil.wrong
    assert words in window.veil.words
    drop(window.veil, data_of(*paths))
    assert words in window.session.message
    assert window.session.scene == before


def test_nothing_dropped_means_no_path() -> None:
    assert dropped(QMimeData()) == ("", "")


# Recent models


def test_recent_models_are_in_the_menu_with_their_words(window: MainWindow, other: str, qtbot: QtBot) -> None:
    window.open(other)
    settle(qtbot, window)
    gone = Recent("/models/gone", ("heads=8",))
    window.prompt_bar.model.remember(gone)
    window.menus.show_recent()
    first, second, *rest = window.menus.recent.actions()
    assert (first.text(), first.isEnabled()) == ("gone (not found)", False)
    assert first.toolTip() == "/models/gone\nheads=8"
    assert second.text() == "other"
    window.open("untrained:mini/tiny", ("layers=1",))
    second.trigger()
    assert (window.session.scene.model, window.session.scene.config) == (other, ())
    rest[-1].trigger()
    window.menus.show_recent()
    assert next(entry.text() for entry in window.menus.recent.actions()) == "Nothing was opened yet"
    assert open_settings().kept.recent == ()


def test_a_model_without_training_is_remembered_with_its_words(window: MainWindow, qtbot: QtBot) -> None:
    window.session.change(prompt="5 17 3")
    window.open("untrained:mini/tiny", ["layers=1", "seed=3"])
    settle(qtbot, window)
    assert open_settings().kept.recent[0] == Recent("untrained:mini/tiny", ("layers=1", "seed=3"))
    assert window.windowTitle() == "mini tiny untrained – Layerscope"


# What the files do not say

ASKS = [
    said.Ask("heads", 4, "attention heads in each layer", needed=True),
    said.Ask("eps", 1e-5, "added in the norms"),
]


def test_a_damaged_preset_that_opens_is_not_offered_twice(
    window: MainWindow, other: str, qtbot: QtBot
) -> None:
    before = window.prompt_bar.model.recent
    window.session.greet(window.session.greeting | {"damaged": {other: "its recipe is cut off"}})
    window.open(other)
    settle(qtbot, window)
    assert window.session.shown.model == other
    assert window.prompt_bar.model.recent == before


@pytest.fixture
def unsaid(monkeypatch: pytest.MonkeyPatch, other: str) -> list[tuple[str, ...]]:
    """Opening `other` needs words from now on; returns what was said each time."""
    told: list[tuple[str, ...]] = []

    def opened(model: str, *rest: Any, config: tuple[str, ...] = (), **more: Any) -> Any:
        if model != other:
            return open_model(model, *rest, config=config, **more)
        told.append(config)
        if not any(word.startswith("heads=") for word in config):
            family = open_model(model).family
            raise Unsaid("other", [said.form_field(family, ask) for ask in ASKS], ["heads"])
        return open_model(model, *rest, **more)

    monkeypatch.setattr("model_core.engine.kept.open_model", opened)
    # One that has not opened it before.
    monkeypatch.setattr(LocalEngine, "engine", Engine(lambda frame: None))
    return told


def test_what_the_files_do_not_say_is_asked_and_said(
    window: MainWindow, other: str, unsaid: list[tuple[str, ...]], qtbot: QtBot, model: str
) -> None:
    window.open(other)
    settle(qtbot, window)
    form = window.asks
    assert form is not None
    assert form.isVisible()
    assert form.windowTitle() == "Open other"
    assert window.session.shown.model == model
    assert form.form.values() == {"heads": "4", "eps": "1e-05"}
    form.form.fields["heads"].setValue(8)
    form.buttons.button(QDialogButtonBox.StandardButton.Open).click()
    settle(qtbot, window)
    assert unsaid == [(), ("heads=8", "eps=1e-05")]
    assert window.asks is None
    assert window.session.shown == window.session.scene
    assert window.session.shown.config == ("heads=8", "eps=1e-05")
    assert open_settings().kept.recent[0] == Recent(other, ("heads=8", "eps=1e-05"))


def test_a_form_that_is_cancelled_leaves_the_model_before(
    window: MainWindow, other: str, unsaid: list[tuple[str, ...]], qtbot: QtBot, model: str
) -> None:
    window.open(other)
    settle(qtbot, window)
    assert window.asks is not None
    window.asks.reject()
    settle(qtbot, window)
    assert window.session.scene == window.session.shown == Scene(model, PROMPT)
    assert window.session.message == "other was not opened."
    assert open_settings().kept.recent == () or open_settings().kept.recent[0].model != other


def test_answers_that_make_no_model_are_asked_for_again_with_the_reason(
    window: MainWindow, other: str, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = FAMILIES["gpt2"]
    known = {"vocab_size": 2048, "width": 48, "layers": 1, "hidden": 64, "context": 300}

    def opened(model: str, *rest: Any, config: tuple[str, ...] = (), **more: Any) -> Any:
        if model == other:
            said.settle("other", family, known, said.parse(config), ASKS)
        return open_model(model, *rest, **more)

    monkeypatch.setattr("model_core.engine.kept.open_model", opened)
    monkeypatch.setattr(LocalEngine, "engine", Engine(lambda frame: None))
    window.open(other)
    settle(qtbot, window)
    for heads, complaint in ((7, "a width of 48 cannot be split into 7 heads"), (6, "")):
        assert window.asks is not None
        window.asks.form.fields["heads"].setValue(heads)
        window.asks.accept()
        settle(qtbot, window)
        assert (window.asks is not None) == bool(complaint)
        if window.asks is not None:
            assert window.asks.form.complaint.text() == complaint
            assert window.asks.form.values()["heads"] == "7"
    assert window.session.shown.config == ("heads=6", "eps=1e-05")


def test_a_tokenizer_that_cannot_be_used_is_said_and_another_offered(
    window: MainWindow, model: str, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = with_tokenizer(tmp_path / "damaged", model, "{")
    window.open(folder)
    settle(qtbot, window)
    form = window.asks
    assert form is not None
    words = " ".join(label.text() for label in form.findChildren(QLabel))
    assert f"{Path(folder) / 'tokenizer.json'} is no tokenizer.json: " in words
    assert "--config" not in words
    assert form.form.values() == {"tokenizer": "ids"}
    form.buttons.button(QDialogButtonBox.StandardButton.Open).click()
    window.session.change(prompt="5 17 3")
    settle(qtbot, window)
    assert window.session.shown.config == ("tokenizer=ids",)
    assert window.session.run is not None
    assert window.session.run["tokens"] == [5, 17, 3]


# Turning back


def test_a_model_that_cannot_be_opened_gives_way_and_the_prompt_goes_on(
    window: MainWindow, qtbot: QtBot, model: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    window.open(str(tmp_path / "empty"))
    settle(qtbot, window)
    assert window.session.scene.model == model
    assert str(tmp_path / "empty") in window.session.message
    assert window.prompt_bar.model.currentText() == "small"
    window.session.change(prompt=PROMPT + " and")
    settle(qtbot, window)
    assert window.session.shown == Scene(model, PROMPT + " and")
    assert window.session.message == ""


def test_a_device_that_is_not_there_gives_way(window: MainWindow, qtbot: QtBot) -> None:
    window.session.change(device="abacus")
    settle(qtbot, window)
    assert window.session.scene.device == "cpu"
    assert "abacus" in window.session.message


def test_a_prompt_that_a_new_model_cannot_read_keeps_the_new_model(window: MainWindow, qtbot: QtBot) -> None:
    window.open("untrained:mini/tiny", ["vocab_size=300"])
    settle(qtbot, window)
    assert window.session.scene.model == "untrained:mini/tiny"
    assert "is no token id" in window.session.message
    window.prompt_bar.fix.click()
    settle(qtbot, window)
    assert window.session.shown.model == "untrained:mini/tiny"
    assert window.session.shown.prompt == "0 1 2 3 4 5 6 7"


# Names that are told apart


def test_models_of_one_name_are_told_apart_by_their_folders_and_what_was_said() -> None:
    models = [
        ("dates", ()),
        ("/home/a/trainings/dates", ()),
        ("/home/b/dates", ("heads=4",)),
        ("/home/b/other", ("heads=4",)),
        ("untrained:gpt2/124M", ("layers=2",)),
        ("untrained:gpt2/124M", ()),
    ]
    assert distinct_titles(models) == [
        "dates",
        "dates (/home/a/trainings)",
        "dates (/home/b, heads=4)",
        "other",
        "gpt2 124M untrained (layers=2)",
        "gpt2 124M untrained",
    ]
