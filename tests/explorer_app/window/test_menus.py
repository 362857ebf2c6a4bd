"""The menus, the keys and the pictures of the window."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFileDialog, QMenu, QMessageBox
from pytestqt.qtbot import QtBot

from explorer_app.forms import log_dialog
from explorer_app.processes import engine_client
from explorer_app.window import picture
from explorer_app.window.keys_dialog import KeysDialog
from explorer_app.window.window import MainWindow
from tests.support.window.windows import PROMPT, Windows, action

pytestmark = pytest.mark.process


def test_the_mask_entry_follows_and_toggles_the_edit(window: MainWindow, windows: Windows) -> None:
    mask = action(window, "Causal mask")
    assert mask.isChecked()
    mask.trigger()
    assert window.session.scene.edits == ("mask off",)
    assert not mask.isChecked()
    windows.settle(window)
    window.session.change(edits=())
    assert mask.isChecked()


def test_the_mask_entry_names_the_window_that_it_takes_away_as_well(
    window: MainWindow, windows: Windows
) -> None:
    mask = action(window, "Causal mask")
    assert mask.text().replace("&", "") == "Causal mask"
    config = ("layers=2", "vocab_size=2048", "width=32", "hidden=32", "windows=none,3")
    window.open("untrained:qwen2/0.5B", [*config, "heads=2", "kv_heads=1", "head_dim=16"])
    windows.settle(window)
    assert mask.text().replace("&", "") == "Causal mask and sliding window"
    assert "window of 3" in mask.toolTip()


def test_clear_all_edits_clears_them(window: MainWindow) -> None:
    window.session.change(edits=("mask off", "ablate L0H0"))
    action(window, "Clear all edits").trigger()
    assert window.session.scene.edits == ()


def test_no_shortcut_has_two_meanings(window: MainWindow) -> None:
    keys = [
        key.toString()
        for menu in window.menuBar().findChildren(QMenu)
        for entry in menu.actions()
        for key in entry.shortcuts()
    ]
    assert len(keys) == len(set(keys))
    assert {"Ctrl+O", "Ctrl+Shift+O", "Ctrl+N", "Ctrl+S", "Ctrl+Q", "Ctrl+R", "F5", "Ctrl+M", "F1"} <= set(
        keys
    )


def press(window: MainWindow, qtbot: QtBot, key: Qt.Key) -> None:
    qtbot.keyClick(window.focusWidget() or window, key)


def test_plain_keys_walk_the_forward_pass(window: MainWindow, qtbot: QtBot) -> None:
    window.setFocus()
    session = window.session
    for key, site in (
        (Qt.Key.Key_Right, session.sites[1]["key"]),
        (Qt.Key.Key_Left, session.sites[0]["key"]),
        (Qt.Key.Key_End, "logits"),
        (Qt.Key.Key_Home, "tokens"),
        (Qt.Key.Key_PageDown, "blocks.0.resid_pre"),
        (Qt.Key.Key_PageDown, "blocks.1.resid_pre"),
        (Qt.Key.Key_PageUp, "blocks.0.resid_pre"),
    ):
        press(window, qtbot, key)
        assert session.selection.site == site
    press(window, qtbot, Qt.Key.Key_Space)
    assert window.docks["transport"].panel.timer.isActive()
    press(window, qtbot, Qt.Key.Key_Space)
    assert not window.docks["transport"].panel.timer.isActive()


def test_keys_typed_into_the_prompt_are_text(window: MainWindow, qtbot: QtBot) -> None:
    prompt = window.prompt_bar.prompt
    prompt.setFocus()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End):
        qtbot.keyClick(prompt, key)
    assert window.session.selection.step == 0
    assert not window.docks["transport"].panel.timer.isActive()
    assert prompt.text() == PROMPT + " "


def test_escape_leaves_the_prompt_and_then_lets_the_tokens_go(
    window: MainWindow, windows: Windows, qtbot: QtBot
) -> None:
    window.session.select(query=2, key=1)
    windows.settle(window)
    window.prompt_bar.prompt.setFocus()
    qtbot.keyClick(window.prompt_bar.prompt, Qt.Key.Key_Escape)
    assert window.focusWidget() is not window.prompt_bar.prompt
    assert window.session.selection.query == 2
    qtbot.keyClick(window.prompt_bar.strip, Qt.Key.Key_Escape)
    assert (window.session.selection.query, window.session.selection.key) == (None, None)


def test_escape_stops_the_engine_first(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(window.client, "cancel", lambda: stopped.append(True))
    window.session.set_progress("running", 0.5)
    qtbot.keyClick(window.prompt_bar.prompt, Qt.Key.Key_Escape)
    assert stopped == [True]


def test_the_table_of_keys_lists_every_shortcut(window: MainWindow) -> None:
    rows = dict(KeysDialog.rows(window))
    assert rows["Space"] == "Play or pause the forward pass"
    assert rows["Ctrl+R, F5"] == "Run again"
    assert all(text for text in rows.values())


def test_dialogs_open_and_close(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QDialog, "exec", lambda self: shown.append(self.windowTitle()))
    action(window, "Keys").trigger()
    action(window, "About").trigger()
    assert shown == ["Keys", "About Layerscope"]
    action(window, "Log").trigger()
    window.client.note("something odd\n")
    assert window.log.text.toPlainText() == "something odd\n"
    window.log.close()


def test_the_log_on_screen_keeps_no_more_than_the_client_does(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (engine_client, log_dialog):
        monkeypatch.setattr(module, "LOG_CHARACTERS", 100)
    for n in range(50):
        window.client.note(f"line {n}\n" if n % 2 else "x" * 70)
    text = window.log.text
    assert len(window.client.log) == 100
    assert window.client.log.endswith(text.toPlainText()[-90:])
    assert text.document().characterCount() <= 100
    assert not text.document().isUndoAvailable()


def test_save_picture_writes_the_window(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shot"), ""))
    action(window, "Save picture").trigger()
    assert (tmp_path / "shot.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_said_so(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("/nonexistent/shot.png", ""))
    action(window, "Save picture").trigger()
    assert window.session.message == "/nonexistent/shot.png cannot be written: No such file or directory"


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture of before, whose name is given without its suffix: the dialog sees no file of that name."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shot"), ""))
    (tmp_path / "shot.png").write_bytes(b"before")
    return tmp_path / "shot.png"


@pytest.mark.parametrize("answer", ["Replace", "Cancel"])
def test_a_picture_that_is_there_is_replaced_where_a_person_says_so(
    answer: str, window: MainWindow, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def exec(box: QMessageBox) -> int:
        asked.append(box.text())
        next(button for button in box.buttons() if button.text().replace("&", "") == answer).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", exec)
    action(window, "Save picture").trigger()
    assert asked == ["shot.png is there already. Replace it?"]
    assert (named.read_bytes() == b"before") == (answer == "Cancel")


def test_a_disk_that_is_full_leaves_the_picture_of_before(
    window: MainWindow, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture, "may_replace", lambda *_: True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        action(window, "Save picture").trigger()
    assert window.session.message == f"{named} cannot be written: No space left on device"
    assert named.read_bytes() == b"before"
    assert list(named.parent.glob("*.part")) == []


def test_another_suffix_is_part_of_the_name(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shot.v2"), ""))
    action(window, "Save picture").trigger()
    assert (tmp_path / "shot.v2.png").is_file()
