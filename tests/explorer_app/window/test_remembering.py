"""What the window remembers from one time to the next."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.state.settings import Layout, Recent, Settings, open_settings
from explorer_app.window.window import MainWindow
from tests.support.window.local_engine import tiny_checkpoint
from tests.support.window.windows import Windows, action, offered

pytestmark = pytest.mark.process


def test_the_layout_is_as_it_was_left(windows: Windows) -> None:
    settings = open_settings()
    first = windows.open(settings)
    first.resize(1280, 700)
    first.arrangement.of_area("right")[0].close()
    first.arrangement.of_area("centre")[2].raise_()
    QApplication.processEvents()
    first.close()
    second = windows.open(open_settings())
    assert second.height() == 700
    assert second.arrangement.of_area("right")[0].isHidden()
    assert second.arrangement.of_area("centre")[2].panel.seen
    assert not second.arrangement.of_area("centre")[0].panel.seen


def test_a_panel_that_was_floating_floats_again_and_is_drawn(windows: Windows) -> None:
    first = windows.open(open_settings())
    first.docks["mask"].float()
    QApplication.processEvents()
    first.close()
    second = windows.open(open_settings())
    floating = second.docks["mask"]
    assert floating.isFloating()
    windows.qtbot.waitUntil(lambda: floating.panel.seen)
    assert not second.docks["attention"].isFloating()


@pytest.mark.parametrize("broken", [b"", b"no layout at all", bytes(500)])
def test_a_layout_that_cannot_be_read_gives_the_default(broken: bytes, windows: Windows) -> None:
    open_settings().change(layout=Layout(broken, broken))
    window = windows.open(open_settings())
    assert not any(dock.isHidden() for dock in offered(window))
    assert window.arrangement.of_area("centre")[0].panel.seen


def test_the_theme_is_remembered(windows: Windows) -> None:
    first = windows.open(open_settings())
    action(first, "Dark").trigger()
    assert theme.current().dark
    first.close()
    second = windows.open(open_settings())
    assert action(second, "Dark").isChecked()
    action(second, "Like the system").trigger()
    second.close()
    assert action(windows.open(open_settings()), "Like the system").isChecked()


def test_a_model_that_could_be_opened_is_offered_again(windows: Windows, tmp_path: Path) -> None:
    window = windows.open(open_settings())
    other = tiny_checkpoint(tmp_path / "other")
    window.session.change(model=other)
    windows.settle(window)
    window.session.change(model=str(tmp_path / "nothing here"))
    windows.settle(window)
    assert window.prompt_bar.model.findData(str(tmp_path / "nothing here")) == -1
    window.close()
    offered = open_settings().kept.recent
    assert offered[0] == Recent(other)
    assert Recent(str(tmp_path / "nothing here")) not in offered
    assert windows.open(open_settings()).prompt_bar.model.findData(other) >= 0


def test_a_full_disk_is_said_in_the_window_and_nothing_is_lost(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    kept = open_settings()
    kept.change(folder="/models")
    window = windows.open(open_settings())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        action(window, "Dark").trigger()
    assert window.session.message == f"{kept.path} cannot be written: No space left on device"
    assert window.prompt_bar.line.isVisible()
    assert open_settings().kept == kept.kept
    action(window, "Dark").trigger()
    assert (open_settings().kept.theme, open_settings().kept.folder) == ("dark", "/models")


def test_settings_that_cannot_be_read_are_said_in_the_window(windows: Windows) -> None:
    kept = open_settings()
    kept.change(theme="dark")
    assert kept.path is not None
    kept.path.write_text("[]")
    window = windows.open(open_settings())
    assert window.session.message.startswith(f"{kept.path} holds no JSON object")


def test_what_cannot_be_kept_when_the_window_goes_is_said_where_it_was_started(
    windows: Windows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    window = windows.open(open_settings())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        window.close()
    assert "settings.json cannot be written: No space left on device" in capsys.readouterr().err


def test_a_start_is_marked_until_it_was_painted(windows: Windows, qtbot: QtBot) -> None:
    windows.open(open_settings()).close()
    layout = open_settings().kept.layout
    assert layout is not None
    restored: list[Settings] = []
    restore = MainWindow.restoreState

    def look(window: MainWindow, *words: Any) -> bool:
        restored.append(open_settings())  # as a start that comes now would find it
        return restore(window, *words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MainWindow, "restoreState", look)
        window = windows.open(open_settings())
    assert [found.kept.layout for found in restored] == [None]
    qtbot.waitUntil(lambda: not window.memory.kept.restoring)
    assert (open_settings().kept.layout, open_settings().problem) == (layout, "")


def test_nothing_is_restored_that_could_not_be_marked(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    windows.open(open_settings()).close()
    monkeypatch.setattr(MainWindow, "restoreState", lambda *_: pytest.fail("restored"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        window = windows.open(open_settings())
    assert "cannot be written" in window.session.message
