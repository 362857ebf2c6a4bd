"""Where the engine is started, and what is said where it cannot be."""

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.processes import child
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from model_core.api.scene import Scene
from tests.support.engine.watched import MINUTE, PROMPT, Watched, settle

pytestmark = pytest.mark.process


@pytest.fixture
def broken_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter that complains and ends."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'no module named torch' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(script))
    return script


def test_an_engine_that_cannot_run_is_not_started_forever(
    broken_python: Path, small: str, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN])
    client.start()
    qtbot.waitUntil(lambda: client.session.engine == "stopped", timeout=MINUTE)
    assert "Help > Log" in client.session.message
    assert client.log.count("no module named torch") == 2
    client.session.change(prompt="typed meanwhile")
    qtbot.waitUntil(lambda: "Help > Log" in client.session.message)
    monkeypatch.undo()
    client.restart()
    qtbot.waitUntil(lambda: client.session.run is not None, timeout=MINUTE)
    assert client.session.shown.prompt == "typed meanwhile"
    client.close()


def test_an_engine_that_is_not_there_is_said_so(
    small: str, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child.sys, "executable", "/nonexistent/python")
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN])
    client.start()
    qtbot.waitUntil(lambda: client.session.engine == "stopped", timeout=MINUTE)
    assert "could not be started" in client.session.message
    client.close()


def test_the_engine_is_found_from_any_folder_and_takes_nothing_from_it(
    small: str, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong random')")
    monkeypatch.chdir(tmp_path)
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN])
    client.start()
    settle(qtbot, client)
    assert client.session.run is not None
    client.close()


def test_an_engine_whose_folder_was_deleted_is_replaced(
    client: Watched, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    first = client.pid
    client.kill()
    qtbot.waitUntil(lambda: client.session.engine == "ready" and client.pid != first, timeout=MINUTE)
    client.session.change(prompt="another prompt")
    settle(qtbot, client)
    assert client.session.shown.prompt == "another prompt"


def test_a_process_has_our_folder_or_where_that_is_gone_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qapp: QApplication
) -> None:
    monkeypatch.chdir(tmp_path)
    assert child.core_process(qapp).workingDirectory() == ""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Path(child.core_process(qapp).workingDirectory()).is_dir()


def test_a_relative_path_means_the_same_to_the_engine(
    small: str, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(small).parent)
    client = Watched(Session(Scene(Path(small).name, PROMPT)), lambda: [RUN])
    client.start()
    settle(qtbot, client)
    assert client.session.run is not None
    client.close()
