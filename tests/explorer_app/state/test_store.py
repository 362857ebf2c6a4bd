"""The answers that a session keeps, within so many bytes."""

from dataclasses import replace

import numpy as np
import pytest

from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES, Store
from model_core.api.queries.answer import Answer
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text, sites
from tests.support.window.sessions import SCENE

pytestmark = pytest.mark.unit


def sized(kilobytes: int) -> Answer:
    return Answer({}, {"values": np.zeros(kilobytes << 10, np.uint8)})


def test_the_least_recently_used_answers_make_room() -> None:
    store = Store(limit=28 << 10)
    first, second, third = (SiteValue(site=site) for site in "abc")
    store.put(SCENE, first, sized(10))
    store.put(SCENE, second, sized(10))
    store.get(SCENE, first)
    store.put(SCENE, third, sized(10))
    assert store.get(SCENE, second) is None
    assert store.get(SCENE, first) is not None
    assert store.size <= store.limit


def test_an_answer_larger_than_the_whole_budget_is_kept_until_the_next() -> None:
    store = Store(limit=1 << 10)
    store.put(SCENE, SiteValue(site="a"), sized(10))
    assert store.get(SCENE, SiteValue(site="a")) is not None
    store.put(SCENE, SiteValue(site="b"), sized(10))
    assert len(store.answers) == 1


def test_an_answer_given_again_is_counted_once() -> None:
    store = Store()
    for _ in range(3):
        store.put(SCENE, RUN, sized(10))
    assert store.size == sized(10).nbytes


def test_what_is_of_the_model_is_kept_once_for_all_its_prompts_and_edits() -> None:
    store = Store()
    one, other = Scene("m", "a prompt"), Scene("m", "another one", edits=("mask off",))
    for scene in (one, other):
        store.put(scene, SITES, sites("embed.out"))
        store.put(scene, RUN, sized(1))
    assert len(store.answers) == 3
    assert store.get(one, SITES) is store.get(other, SITES)
    for another in (
        Scene("n", "a prompt"),
        Scene("m", "a prompt", version="2"),
        Scene("m", "", dtype="float64"),
    ):
        assert store.get(another, SITES) is None


def test_a_mark_that_an_answer_is_from_a_file_goes_with_the_answer() -> None:
    store = Store(limit=28 << 10)
    for n in range(5):
        store.put(SCENE, SiteValue(site=str(n)), sized(10), stored=True)
    marked = [n for n in range(5) if store.is_stored(SCENE, SiteValue(site=str(n)))]
    assert marked == [3, 4]
    assert len(store._stored) == len(store.answers)


def test_steps_have_the_lengths_of_the_texts_that_are_shown() -> None:
    session = Session(SCENE)
    session.take(SCENE, SITES, sites("embed.out"))
    assert session.sites == []  # no run has said yet how long its texts are
    session.take(SCENE, RUN, one_text(7))
    assert session.sites[0]["shape"] == [1, 7, 7]
    assert session.sites is session.sites
    longer = replace(SCENE, prompt="longer")
    session.change(prompt="longer")
    session.take(longer, RUN, one_text(9))
    assert session.sites[0]["shape"] == [1, 9, 9]


def test_answers_of_the_baseline_make_no_room_and_are_known_beside_those_on_screen() -> None:
    session = Session(SCENE)
    session.take(SCENE, RUN, one_text())
    session.store.limit = 1
    session.pin_baseline()
    session.change(prompt="another")
    for text in ("one", "two"):
        session.take(replace(SCENE, prompt=text), RUN, one_text())
    assert session.answer_of_baseline(RUN) is not None
    assert session.requests([RUN]) == [(session.scene, [RUN])]
    session.unpin_baseline()
    session.take(replace(SCENE, prompt="three"), RUN, one_text())
    assert session.store.get(SCENE, RUN) is None
    assert session.answer_of_baseline(RUN) is None
