"""The window's end of the engine, its rules alone: what is asked when, and what of the answers counts. No process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.engine_client import EngineClient
from explorer_app.session import RUN, SITES, Session
from model_core.protocol import BadFrame, Frame
from model_core.queries import Answer, Query, Scene, query

SCENE = Scene("tales-llama", "a b c")
OTHER = query("graph")


class Spoken(EngineClient):
    """A client that writes to a list and is told what the engine says."""

    def __init__(self, session: Session, wanted: Callable[[], list[Query]]) -> None:
        super().__init__(session, wanted)
        self.sent: list[Frame] = []
        self.ended = 0

    def _launch(self) -> None:
        pass

    def _end(self) -> None:
        self.ended += 1

    def _send(self, frame: Frame) -> None:
        self.sent.append(frame)

    @property
    def asks(self) -> list[Frame]:
        return [frame for frame in self.sent if frame.kind == "ask"]

    def hear(self, kind: str, id: int, **fields: Any) -> None:
        self._receive(Frame(kind, id, fields))

    def answer(self, id: int, asked: Query, **facts: Any) -> None:
        self.hear("answer", id, query=asked.to_json(), facts=facts)

    def run(self, id: int, tokens: int = 3) -> None:
        self.answer(id, RUN, tokens=list(range(tokens)), layers=2, heads=2)

    def done(self, id: int, cancelled: bool = False) -> None:
        self.hear("done", id, cancelled=cancelled, milliseconds=1.0)

    def refuse(self, id: int, message: str, asked: Query | None = None) -> None:
        self.hear(
            "error", id, message=message, query=asked.to_json() if asked else None, fault=False, fix=None
        )


@pytest.fixture
def wanted() -> list[Query]:
    return [RUN]


@pytest.fixture
def client(qtbot: QtBot, wanted: list[Query]) -> Iterator[Spoken]:
    client = Spoken(Session(SCENE), lambda: list(wanted))
    client.start()
    client.hear("hello", 0, pid=1)
    turn(qtbot, client)
    yield client
    client.close()


def turn(qtbot: QtBot, client: EngineClient) -> None:
    """Let the event loop ask what is to be asked."""
    qtbot.waitUntil(lambda: not client._soon.isActive())


def test_one_turn_asks_once_whatever_changed(client: Spoken, qtbot: QtBot) -> None:
    for prompt in ("x", "xy", "xyz"):
        client.session.change(prompt=prompt)
    turn(qtbot, client)
    assert [frame.fields["scene"]["prompt"] for frame in client.asks] == ["a b c", "xyz"]


def test_only_what_is_missing_is_asked(client: Spoken, wanted: list[Query], qtbot: QtBot) -> None:
    client.run(1)
    client.done(1)
    turn(qtbot, client)
    assert len(client.asks) == 1
    wanted += [RUN, OTHER]
    client.ask()
    turn(qtbot, client)
    assert client.asks[-1].fields["queries"] == [OTHER.to_json()]


def test_what_is_under_way_is_not_asked_again(client: Spoken, qtbot: QtBot) -> None:
    client.ask()
    turn(qtbot, client)
    assert len(client.asks) == 1


def test_an_answer_to_an_older_request_is_dropped(client: Spoken, qtbot: QtBot) -> None:
    client.session.change(prompt="new")
    turn(qtbot, client)
    client.run(1)
    assert client.session.run is None
    client.done(1, cancelled=True)
    assert client.busy
    client.run(2)
    assert client.session.shown.prompt == "new"


def test_a_refused_view_is_told_and_not_asked_again(
    client: Spoken, wanted: list[Query], qtbot: QtBot
) -> None:
    wanted.append(OTHER)
    client.ask()
    turn(qtbot, client)
    client.run(2)
    client.refuse(2, "this model has no graph", OTHER)
    client.done(2)
    turn(qtbot, client)
    assert client.session.message == "this model has no graph"
    assert len(client.asks) == 2
    assert not client.busy


def test_a_refused_scene_waits_for_a_change(client: Spoken, qtbot: QtBot) -> None:
    client.refuse(1, "there is no model")
    turn(qtbot, client)
    assert client.session.message == "there is no model"
    assert not client.busy
    client.session.change(prompt="new")
    turn(qtbot, client)
    client.session.change(prompt="a b c")
    turn(qtbot, client)
    assert [frame.fields["scene"]["prompt"] for frame in client.asks] == ["a b c", "new", "a b c"]


def test_run_again_asks_for_what_was_refused(client: Spoken, qtbot: QtBot) -> None:
    client.refuse(1, "there is no model")
    client.run_again()
    turn(qtbot, client)
    assert client.session.message == ""
    assert len(client.asks) == 2


def test_cancel_stops_the_request_and_says_so(client: Spoken, qtbot: QtBot) -> None:
    client.cancel()
    assert client.sent[-1].kind == "cancel"
    client.done(1, cancelled=True)
    turn(qtbot, client)
    assert "Cancelled" in client.session.message
    assert len(client.asks) == 1
    assert not client._obey.isActive()


def test_an_engine_that_obeyed_is_not_killed_while_it_works_on_the_next_request(
    client: Spoken, qtbot: QtBot
) -> None:
    client.cancel()
    client.session.change(prompt="new")
    turn(qtbot, client)
    client.done(1, cancelled=True)
    assert client.busy
    assert not client._obey.isActive()


def test_cancel_without_a_request_does_nothing(client: Spoken, qtbot: QtBot) -> None:
    client.run(1)
    client.done(1)
    turn(qtbot, client)
    sent = len(client.sent)
    client.cancel()
    assert len(client.sent) == sent


def test_progress_is_shown_only_when_something_takes_long(client: Spoken, qtbot: QtBot) -> None:
    client.hear("progress", 1, what="loading", share=0.5)
    assert client.session.progress == ("", 1.0)
    qtbot.waitUntil(lambda: client.session.progress == ("loading", 0.5))
    assert client.session.engine == "running"
    client.hear("progress", 1, what="running", share=0.1)
    assert client.session.progress == ("running", 0.1)
    client.done(1)
    assert client.session.progress == ("", 1.0)
    assert client.session.engine == "ready"


def test_a_quick_answer_shows_no_progress(client: Spoken, qtbot: QtBot) -> None:
    told: list[object] = []
    client.session.progress_changed.connect(lambda *now: told.append(now))
    client.hear("progress", 1, what="running", share=0.5)
    client.run(1)
    client.done(1)
    qtbot.wait(250)
    assert told == []
    assert client.session.engine == "ready"


def test_a_stored_answer_is_replaced_by_the_engines(
    client: Spoken, wanted: list[Query], qtbot: QtBot
) -> None:
    client.session.store.put(SCENE, SITES, Answer({"sites": []}), stored=True)
    wanted.append(SITES)
    client.ask()
    turn(qtbot, client)
    assert SITES.to_json() in client.asks[-1].fields["queries"]
    client.answer(2, SITES, sites=[{"key": "embed.out"}])
    assert client.session.sites == [{"key": "embed.out"}]
    assert client.session.missing([SITES]) == []


def test_an_unreadable_frame_goes_to_the_log(client: Spoken, qtbot: QtBot) -> None:
    with qtbot.waitSignal(client.log_grew):
        client._receive(BadFrame("bytes that are no frame", None))
    assert "bytes that are no frame" in client.log
    assert client.busy


def test_idle_is_told_when_nothing_is_left_to_ask(client: Spoken, qtbot: QtBot) -> None:
    client.run(1)
    with qtbot.waitSignal(client.idle):
        client.done(1)


def test_idle_is_told_for_a_scene_that_was_refused(client: Spoken, qtbot: QtBot) -> None:
    with qtbot.waitSignal(client.idle):
        client.refuse(1, "there is no model")


def test_restart_asks_again_for_what_was_under_way(client: Spoken, qtbot: QtBot) -> None:
    client.restart()
    turn(qtbot, client)
    assert client.ended == 1
    assert client.session.engine == "starting"
    assert len(client.asks) == 2
    client.run(2)
    assert client.session.run is not None


def test_a_closed_client_asks_nothing_more(qtbot: QtBot) -> None:
    client = Spoken(Session(SCENE), lambda: [RUN])
    client.start()
    client.close()
    client.session.change(prompt="new")
    client.ask()
    qtbot.wait(10)
    assert client.asks == []
    assert client.ended == 1
