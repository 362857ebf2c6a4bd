"""The real engine process: killed, cancelled, restarted."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.processes.engine_client import EngineClient
from model_core.api.protocol import Frame
from model_core.api.scene import Scene
from tests.support.engine.watched import LONG, MINUTE, PROMPT, Watched, settle
from tests.support.hostile.hostile import CHARSMAP, HANGING, SLOW_SPLIT, bpe, growth, tokenizer_json
from tests.support.processes import alive
from tests.support.window.local_engine import with_tokenizer

pytestmark = pytest.mark.process


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
