"""The engine as a process: whatever becomes of it, the window goes on, and nothing of it is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QProcess
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.panel.base import still_drawing
from explorer_app.processes import child
from explorer_app.processes.engine_client import EngineClient, Wanted
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from model_core.api.protocol import BadFrame, Frame
from model_core.api.scene import Scene
from model_core.families.gpt2 import GPT2Config
from tests.support.hostile.hostile import CHARSMAP, HANGING, SLOW_SPLIT, bpe, growth, tokenizer_json
from tests.support.processes import alive
from tests.support.window.local_engine import tiny_checkpoint, with_tokenizer
from tests.support.window.window_on_screen import at_rest

pytestmark = pytest.mark.process

# Loading and running it takes long enough to be interrupted.
SLOW = GPT2Config(vocab_size=2048, width=512, layers=8, heads=8, hidden=2048, context=1024)
PROMPT = "The cat saw the dog"
LONG = "the cat " * 400
MINUTE = 60_000


class Watched(EngineClient):
    """A client that shows each frame to `seen` before it is used."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        super().__init__(session, wanted)
        self.frames: list[Frame] = []
        self.seen: Callable[[Frame], object] = lambda frame: None

    def _receive(self, frame: Frame | BadFrame) -> None:
        assert isinstance(frame, Frame)
        self.frames.append(frame)
        self.seen(frame)
        super()._receive(frame)

    @property
    def pid(self) -> int:
        return int(self.session.greeting["pid"])

    def at(self, doing: str, then: Callable[[], object], times: int = 1) -> None:
        """Do something when the engine is in the middle of "loading" or "running"."""
        left = times
        pids = set()

        def seen(frame: Frame) -> None:
            nonlocal left
            # One death is seen once, even where more frames of the dead engine are still in the pipe.
            if frame.kind == "progress" and frame.fields["what"] == doing and left and self.pid not in pids:
                left -= 1
                pids.add(self.pid)
                then()

        self.seen = seen

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("slow"), SLOW)


@pytest.fixture
def client(qtbot: QtBot, small: str) -> Iterator[Watched]:
    """A client whose engine has answered a first scene."""
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN, SITES])
    client.start()
    settle(qtbot, client)
    assert client.session.run is not None
    yield client
    client.close()


def settle(qtbot: QtBot, client: EngineClient) -> None:
    qtbot.waitUntil(lambda: not client.busy and client.session.engine != "starting", timeout=MINUTE)


def show(qtbot: QtBot, client: EngineClient, model: str) -> None:
    """Open a model, to the end."""
    client.session.change(model=model)
    qtbot.waitUntil(lambda: client.session.shown == client.session.scene, timeout=MINUTE)


def test_an_idle_engine_that_is_killed_is_replaced(client: Watched, qtbot: QtBot) -> None:
    first, shown, tokens = client.pid, client.session.shown, client.session.run
    client.session.select(layer=1, head=2, query=3)
    selection = client.session.selection
    client.kill()
    qtbot.waitUntil(lambda: client.session.engine == "ready" and client.pid != first, timeout=MINUTE)
    assert (client.session.shown, client.session.run, client.session.selection) == (shown, tokens, selection)
    client.session.change(prompt="another prompt")
    settle(qtbot, client)
    assert client.session.shown.prompt == "another prompt"
    assert client.session.message == ""


@pytest.mark.parametrize("doing", ["loading", "running"])
def test_an_engine_killed_at_work_answers_after_all(
    doing: str, client: Watched, slow: str, qtbot: QtBot
) -> None:
    first, before = client.pid, client.session.shown
    answered_by_first: list[Frame] = []
    shown_at_death: list[Scene] = []

    def kill() -> None:
        answered_by_first.extend(f for f in client.frames if f.kind == "answer")
        shown_at_death.append(client.session.shown)
        client.kill()

    client.frames.clear()
    client.at(doing, kill)
    client.session.change(model=slow, prompt=LONG)
    qtbot.waitUntil(lambda: client.session.shown == client.session.scene, timeout=MINUTE)
    settle(qtbot, client)
    assert client.pid != first
    assert answered_by_first == []
    assert shown_at_death == [before]
    assert client.session.run is not None
    assert client.session.message == ""


def test_a_request_that_kills_the_engine_twice_is_given_up(client: Watched, slow: str, qtbot: QtBot) -> None:
    show(qtbot, client, slow)
    before = client.session.shown
    client.at("running", client.kill, times=99)
    client.session.change(prompt=LONG)
    qtbot.waitUntil(lambda: "stopped twice on this request" in client.session.message, timeout=MINUTE)
    qtbot.waitUntil(lambda: client.session.engine == "ready", timeout=MINUTE)
    assert client.session.shown == before
    assert client.session.scene.prompt == LONG
    client.seen = lambda frame: None
    client.run_again()
    qtbot.waitUntil(lambda: client.session.shown == client.session.scene, timeout=MINUTE)


def test_a_model_that_kills_the_engine_twice_gives_way_to_the_one_on_screen(
    client: Watched, small: str, slow: str, qtbot: QtBot
) -> None:
    client.at("loading", client.kill, times=2)
    client.session.change(model=slow, prompt="another prompt")
    qtbot.waitUntil(lambda: "was not opened" in client.session.message, timeout=MINUTE)
    assert "stopped twice over it" in client.session.message
    qtbot.waitUntil(lambda: client.session.shown == client.session.scene, timeout=MINUTE)
    assert client.session.shown == Scene(small, "another prompt")


def test_cancel_stops_a_run_and_keeps_the_engine(client: Watched, slow: str, qtbot: QtBot) -> None:
    show(qtbot, client, slow)
    first, before = client.pid, client.session.shown
    client.at("running", client.cancel)
    client.session.change(prompt=LONG)
    qtbot.waitUntil(lambda: "Cancelled" in client.session.message, timeout=MINUTE)
    settle(qtbot, client)
    assert client.session.shown == before
    assert client.pid == first
    client.session.change(prompt=PROMPT)
    qtbot.waitUntil(lambda: client.session.shown == client.session.scene, timeout=MINUTE)
    assert client.pid == first


def test_an_engine_that_does_not_obey_is_restarted(client: Watched, slow: str, qtbot: QtBot) -> None:
    show(qtbot, client, slow)
    first = client.pid
    client._obey.setInterval(100)

    def hang() -> None:
        os.kill(client.pid, signal.SIGSTOP)
        client.cancel()

    client.at("running", hang)
    client.session.change(prompt=LONG)
    qtbot.waitUntil(lambda: client.session.engine == "ready" and client.pid != first, timeout=MINUTE)
    assert not alive(first)
    assert "was restarted" in client.session.message


def test_the_newest_prompt_wins(client: Watched, slow: str, qtbot: QtBot) -> None:
    show(qtbot, client, slow)
    client.frames.clear()
    shown: list[str] = []
    client.session.shown_changed.connect(lambda scene: shown.append(scene.prompt))
    for count in range(300, 306):
        client.session.change(prompt="the cat " * count)
        qtbot.wait(20)
    settle(qtbot, client)
    assert client.session.shown.prompt == "the cat " * 305
    stopped = [frame for frame in client.frames if frame.kind == "done" and frame.fields["cancelled"]]
    assert stopped
    assert len(shown) < 6


def test_restart_by_hand_gives_a_fresh_engine(client: Watched, qtbot: QtBot) -> None:
    first = client.pid
    client.restart()
    qtbot.waitUntil(lambda: client.session.engine == "ready" and client.pid != first, timeout=MINUTE)
    assert not alive(first)


def test_a_text_that_a_tokenizer_hangs_over_costs_nothing_but_itself(
    client: Watched, small: str, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = with_tokenizer(tmp_path / "slow", small, tokenizer_json(bpe(), pre_tokenizer=SLOW_SPLIT))
    client.session.change(model=folder, prompt="abc")
    settle(qtbot, client)
    first, before = client.pid, client.session.shown
    assert before.model == folder
    client.frames.clear()
    client.session.change(prompt=HANGING)
    settle(qtbot, client)
    assert f"the tokenizer {Path(folder) / 'tokenizer.json'} took too long" in client.session.message
    assert [frame.kind for frame in client.frames].count("error") == 1
    assert (client.pid, client.session.shown) == (first, before)
    client.session.change(prompt="abcd")
    settle(qtbot, client)
    assert (client.pid, client.session.shown.prompt, client.session.message) == (first, "abcd", "")


@pytest.mark.parametrize("normalizer", [growth("a"), CHARSMAP], ids=["grows", "crashes"])
def test_a_model_whose_tokenizer_grows_or_crashes_is_not_opened(
    normalizer: dict[str, Any], client: Watched, small: str, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = with_tokenizer(tmp_path / "bad", small, tokenizer_json(bpe(), normalizer=normalizer))
    first, before = client.pid, client.session.shown
    client.session.change(model=folder)
    settle(qtbot, client)
    assert (
        f"the tokenizer {Path(folder) / 'tokenizer.json'} is damaged or needs too much"
        in client.session.message
    )
    assert [ask["name"] for ask in client.session.asks] == ["tokenizer"]
    assert (client.pid, client.session.shown) == (first, before)


def test_an_engine_that_is_killed_while_a_tokenizer_hangs_leaves_no_process_behind(
    client: Watched, small: str, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = with_tokenizer(tmp_path / "slow", small, tokenizer_json(bpe(), pre_tokenizer=SLOW_SPLIT))
    client.session.change(model=folder, prompt="abc")
    settle(qtbot, client)
    first = client.pid
    children = [int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()]
    assert len(children) == 1
    client.session.change(prompt=HANGING)
    qtbot.wait(1000)
    client.close()
    qtbot.waitUntil(lambda: not any(map(alive, (first, *children))), timeout=MINUTE)


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
