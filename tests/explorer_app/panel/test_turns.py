"""Pieces of work are done one in a turn of the event loop, in the order in which they were asked for."""

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from explorer_app.panel.turns import Turns

pytestmark = pytest.mark.unit


def test_another_timer_has_its_turn_between_two_pieces(qtbot: QtBot) -> None:
    turns, done = Turns(), []
    other = QTimer(interval=0)
    other.timeout.connect(lambda: done.append("other"))
    other.start()
    for name in "abc":
        turns.ask(lambda name=name: done.append(name))
    qtbot.waitUntil(lambda: "c" in done)
    other.stop()
    assert [name for name in done if name != "other"] == ["a", "b", "c"]
    assert "other" in done[done.index("a") : done.index("b")]
    assert "other" in done[done.index("b") : done.index("c")]


def test_what_is_asked_for_twice_is_done_once_and_what_is_dropped_never(qtbot: QtBot) -> None:
    turns, done = Turns(), []

    def once() -> None:
        done.append("once")

    def never() -> None:
        done.append("never")

    for work in (once, never, once):
        turns.ask(work)
    turns.drop(never)
    assert turns.waits(once)
    assert not turns.waits(never)
    qtbot.waitUntil(lambda: not turns.waits(once))
    qtbot.wait(10)
    assert done == ["once"]


def test_work_that_asks_for_itself_lets_the_rest_go_first(qtbot: QtBot) -> None:
    turns, done = Turns(), []

    def again() -> None:
        done.append("again")
        if len(done) < 3:
            turns.ask(again)

    turns.ask(again)
    turns.ask(lambda: done.append("rest"))
    qtbot.waitUntil(lambda: len(done) == 3)
    assert done == ["again", "rest", "again"]
