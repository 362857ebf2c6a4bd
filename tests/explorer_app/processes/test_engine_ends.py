"""An engine that ends takes nothing along and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QProcess
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from explorer_app.panel.base import still_drawing
from explorer_app.processes import child
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from tests.support.engine.watched import LONG, MINUTE, PROMPT, Watched, settle
from tests.support.processes import alive
from tests.support.window.window_on_screen import at_rest

pytestmark = pytest.mark.process


def test_restart_does_not_wait_for_the_old_engine(client: Watched, qtbot: QtBot) -> None:
    first = client.pid
    os.kill(first, signal.SIGSTOP)  # it hears of nothing
    client.restart()
    assert alive(first)
    qtbot.waitUntil(lambda: not alive(first), timeout=MINUTE)
    settle(qtbot, client)
    assert client.pid != first
    assert client.session.message == ""
    qtbot.waitUntil(lambda: len(client.findChildren(QProcess)) == 1, timeout=MINUTE)


def test_closing_waits_for_every_engine_that_is_still_ending(small: str, qtbot: QtBot) -> None:
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN])
    pids = []
    for _ in range(3):
        client.restart()
        assert client._process is not None
        assert client._process.waitForStarted()
        pids.append(client._process.processId())
        os.kill(pids[-1], signal.SIGSTOP)
    client.close()
    assert not any(map(alive, pids))


@pytest.mark.parametrize("when", ["starting", "loading", "running", "idle"])
def test_closing_leaves_no_process_behind(when: str, small: str, slow: str, qtbot: QtBot) -> None:
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN])
    reached: list[object] = []
    client.start()
    process = client._process
    assert isinstance(process, QProcess)
    assert process.waitForStarted()
    pid = process.processId()
    if when != "starting":
        settle(qtbot, client)
    if when in ("loading", "running"):
        client.at(when, lambda: reached.append(when))
        client.session.change(model=slow, prompt=LONG)
        qtbot.waitUntil(lambda: bool(reached), timeout=MINUTE)
    client.close()
    assert not alive(pid)


def picture(window: MainWindow) -> dict[str, QImage]:
    return {name: dock.panel.grab().toImage() for name, dock in window.docks.items() if dock.panel.seen}


def test_a_killed_engine_leaves_the_window_as_it_was(small: str, qtbot: QtBot) -> None:
    window = MainWindow(Session(Scene(small, PROMPT)), connect=Watched)
    client: Any = window.client
    with closing(window):
        window.show()
        client.start()
        settle(qtbot, client)
        window.session.select(layer=1, head=1, query=4, key=2)
        qtbot.waitUntil(lambda: at_rest(window), timeout=MINUTE)
        before, selection, pid = picture(window), window.session.selection, client.pid
        client.kill()
        qtbot.waitUntil(
            lambda: window.session.engine == "starting" and not still_drawing(window), timeout=MINUTE
        )
        assert window.prompt_bar.prompt.text() == PROMPT
        assert window.session.selection == selection
        assert picture(window) == before
        qtbot.waitUntil(lambda: window.session.engine == "ready", timeout=MINUTE)
        window.session.select(layer=2)
        settle(qtbot, client)
        assert window.session.message == ""
        second = client.pid
        assert second != pid
    assert not alive(second)


def test_the_window_process_never_loads_torch_to_answer(small: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from explorer_app.__main__ import main\n"
        f"assert main(['snapshot', '--model', {small!r}, '--prompt', 'The cat', '--out', 'out.png']) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(child.PACKAGES)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out.png").is_file()
