"""The window's end of the engine, its rules alone: what is asked when, and what of the answers counts. No process."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.processes.engine_client import EngineClient
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from model_core.api.protocol import PROTOCOL, BadFrame, Frame
from model_core.api.queries.answer import Answer
from model_core.api.queries.model import MeasuredGraph
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text

pytestmark = pytest.mark.process

SCENE = Scene("tales-llama", "a b c")
OTHER = MeasuredGraph()


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
        self.hear("answer", id, scene=0, query=asked.to_json(), facts=facts)

    def run(self, id: int, tokens: int = 3) -> None:
        self.answer(id, RUN, **one_text(tokens).facts)

    def done(self, id: int, cancelled: bool = False) -> None:
        self.hear("done", id, cancelled=cancelled, milliseconds=1.0)

    def refuse(self, id: int, message: str, asked: Query | None = None, **more: Any) -> None:
        said = {"message": message, "query": asked.to_json() if asked else None, "fault": False, "fix": None}
        self.hear("error", id, scene=0, **said, **more)
        if asked is None:
            self.done(id)


@pytest.fixture
def wanted() -> list[Query]:
    return [RUN]


@pytest.fixture
def client(qtbot: QtBot, wanted: list[Query]) -> Iterator[Spoken]:
    client = Spoken(Session(SCENE), lambda: list(wanted))
    client.start()
    client.hear("hello", 0, protocol=PROTOCOL, pid=1)
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
    assert [frame.fields["asks"][0]["scene"]["prompt"] for frame in client.asks] == ["a b c", "xyz"]


def test_only_what_is_missing_is_asked(client: Spoken, wanted: list[Query], qtbot: QtBot) -> None:
    client.run(1)
    client.done(1)
    turn(qtbot, client)
    assert len(client.asks) == 1
    wanted += [RUN, OTHER]
    client.ask()
    turn(qtbot, client)
    assert client.asks[-1].fields["asks"][0]["queries"] == [OTHER.to_json()]


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
    assert [frame.fields["asks"][0]["scene"]["prompt"] for frame in client.asks] == ["a b c", "new", "a b c"]


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
    client.session.store.put(SCENE, SITES, Answer(), stored=True)
    wanted.append(SITES)
    client.ask()
    turn(qtbot, client)
    assert SITES.to_json() in client.asks[-1].fields["asks"][0]["queries"]
    client.answer(2, SITES, dims=["B T"])
    assert client.session.answer(SITES)["dims"] == ["B T"]
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


# A model that was never on screen


@pytest.fixture
def opening(client: Spoken, qtbot: QtBot) -> Spoken:
    """A client that shows one model and waits for another, from request 2 on."""
    client.run(1)
    client.done(1)
    client.session.change(model="/models/new", config=("heads=8",), dtype="bfloat16")
    turn(qtbot, client)
    return client


def test_a_model_that_cannot_be_opened_gives_way_and_the_reason_stays(opening: Spoken, qtbot: QtBot) -> None:
    opening.refuse(2, "new is damaged", opening=True)
    turn(qtbot, opening)
    assert opening.session.scene == SCENE
    assert opening.session.message == "new is damaged"
    assert not opening.busy


def test_a_prompt_that_a_new_model_cannot_read_keeps_that_model(opening: Spoken) -> None:
    opening.refuse(2, "write ids", opening=False)
    assert opening.session.scene.model == "/models/new"


def test_what_the_files_do_not_say_is_asked_and_the_model_waits(opening: Spoken) -> None:
    asks = [{"name": "heads", "default": 8, "about": "", "kind": "int", "choices": []}]
    opening.refuse(2, "say it", opening=True, asks=asks)
    assert opening.session.asks == asks
    assert opening.session.scene.model == "/models/new"
    opening.session.change(config=("heads=4",))
    assert opening.session.asks == []


def test_a_refusal_of_a_model_that_nobody_wants_any_more_changes_nothing(
    opening: Spoken, qtbot: QtBot
) -> None:
    opening.session.change(model="/models/newer")
    opening.refuse(2, "new is damaged", opening=True)
    assert opening.session.scene.model == "/models/newer"


def test_cancel_while_a_model_opens_returns_to_the_one_on_screen(opening: Spoken, qtbot: QtBot) -> None:
    opening.cancel()
    opening.done(2, cancelled=True)
    turn(qtbot, opening)
    assert opening.session.scene == SCENE
    assert opening.session.message == "new was not opened. Cancelled."
    opening.session.change(prompt="d")
    turn(qtbot, opening)
    assert opening.asks[-1].fields["asks"][0]["scene"]["model"] == "tales-llama"


def test_what_a_model_needs_is_said_until_it_is_there(opening: Spoken, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not opening._slow.isActive())
    opening.hear("progress", 2, what="loading", share=0.0, needs="needs 2 GB")
    opening.hear("progress", 2, what="loading", share=0.5, needs="")
    assert (opening.session.progress, opening.session.needs) == (("loading", 0.5), "needs 2 GB")
    opening.hear("progress", 2, what="running", share=0.5, needs="")
    assert opening.session.needs == ""


def test_only_the_size_that_was_asked_last_is_told(client: Spoken) -> None:
    told: list[int] = []
    client.sized.connect(lambda fields: told.append(fields["parameters"]))
    for config in (["layers=1"], ["layers=2"]):
        client.size("untrained:gpt2/124M", config, "cpu")
    first, second = (frame for frame in client.sent if frame.kind == "size")
    client.hear("size", first.id, parameters=1)
    client.hear("size", second.id, parameters=2)
    assert told == [2]
    assert client.busy  # what is run is awaited as before


def test_the_baseline_is_asked_about_alike_and_stays_pinned(
    client: Spoken, wanted: list[Query], qtbot: QtBot
) -> None:
    session = client.session
    client.run(1)
    client.done(1)
    session.pin_baseline()
    session.change(prompt="other")
    wanted.append(SITES)
    client.ask()
    turn(qtbot, client)
    fields = client.asks[-1].fields
    asked = [(ask["scene"]["prompt"], [query["kind"] for query in ask["queries"]]) for ask in fields["asks"]]
    assert asked == [("other", ["run", "sites"]), ("a b c", ["sites"])]
    assert [scene["prompt"] for scene in fields["pinned"]] == ["a b c"]


def test_what_the_baseline_is_refused_is_no_message_and_is_not_asked_again(
    client: Spoken, qtbot: QtBot
) -> None:
    session = client.session
    client.run(1)
    client.done(1)
    session.pin_baseline()
    session.change(model="another")
    session.baseline = replace(SCENE, prompt="never run")
    client.ask()
    turn(qtbot, client)
    last = client.asks[-1]
    said = {"message": "no such thing", "query": None, "fault": False, "fix": None, "edits": None}
    client.hear("error", last.id, scene=1, **said)
    client.done(last.id)
    turn(qtbot, client)
    assert session.message == ""
    assert session.refused == {None: "no such thing"}
    assert all(len(frame.fields["asks"]) == 1 for frame in client.asks if frame.id > last.id)


def test_an_engine_of_another_protocol_is_not_asked(qtbot: QtBot) -> None:
    client = Spoken(Session(SCENE), lambda: [RUN])
    client.start()
    client.hear("hello", 0, protocol=PROTOCOL + 1, pid=1)
    turn(qtbot, client)
    assert client.session.engine == "stopped"
    assert "another protocol" in client.session.message
    client.close()
