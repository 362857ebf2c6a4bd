"""The stored first screen: shown at once, honest about being stored, and equal to what the engine says now."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.window import first_screen
from explorer_app.window.first_screen import beginning, read, record, session_of, write
from explorer_app.window.snapshot import closing, settle
from explorer_app.window.window import MainWindow
from model_core.api.files.assets import asset
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene
from model_core.sources.presets import preset_named
from tests.support.window.local_engine import LocalEngine, tiny_checkpoint

pytestmark = pytest.mark.process

PROMPT = "The cat saw the dog. The cat saw the"
TIMINGS = {"milliseconds"}
CLOSE = 1e-6
# A value at the edge of a bin may fall to either side of it on another processor.
ROUNDED = {"inspect": {"counts"}}


def bundled() -> bytes:
    return asset(first_screen.FILE).read_bytes()


def focus_of(session: Session) -> dict[str, int]:
    return {"layer": session.selection.layer, "head": session.selection.head}


def asked_again(scene: Scene, queries: list[Query]) -> dict[Query, Answer]:
    """What an engine answers now."""
    session = Session(scene)
    engine = LocalEngine(session, lambda: queries)
    engine.start()
    settle(engine)
    engine.close()
    return {asked: answer for asked in queries if (answer := session.answer(asked)) is not None}


def alike(one: object, other: object) -> bool:
    """Equal, floats within 1e-6."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=CLOSE, abs=CLOSE)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    return one == other


def assert_equal(stored: dict[Query, Answer], now: dict[Query, Answer]) -> None:
    """Facts equal except timings, numbers within 1e-6 of the largest beside them."""
    assert stored.keys() == now.keys()
    for asked, answer in stored.items():
        other = now[asked]
        for name in (answer.facts.keys() | other.facts.keys()) - TIMINGS:
            assert alike(answer.facts[name], other.facts[name]), (asked, name)
        assert answer.arrays.keys() == other.arrays.keys()
        for name in answer.arrays.keys() - ROUNDED.get(asked.kind, set()):
            ours, theirs = answer.arrays[name], other.arrays[name]
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            finite = np.isfinite(ours)
            assert np.array_equal(finite, np.isfinite(theirs))
            scale = max(1.0, float(np.abs(ours[finite]).max(initial=0)))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE * scale, err_msg=f"{asked} {name}")


def test_the_bundled_answers_are_the_engines_own(qtbot: QtBot) -> None:
    scene, _, answers = read(bundled())
    assert answers
    assert_equal(answers, asked_again(scene, list(answers)))


def test_the_bundled_screen_is_how_the_preset_opens() -> None:
    opening = preset_named("tales-llama").opening
    scene, selection, answers = read(bundled())
    assert scene == Scene("tales-llama", opening.prompt)
    assert selection == {"layer": opening.layer, "head": opening.head}
    assert (scene, selection) == beginning()
    assert SiteValue(site=f"blocks.{opening.layer}.attn.pattern") in answers
    shown = first_screen.load()
    assert (shown.scene, focus_of(shown)) == (scene, selection)


def test_the_bundled_file_names_no_place_on_a_machine() -> None:
    assert str(asset()).encode() not in bundled()


def test_the_bundled_file_is_small() -> None:
    assert len(bundled()) <= 2_000_000


def test_the_first_window_has_everything_it_shows_before_the_engine_is_there(qtbot: QtBot) -> None:
    window = MainWindow(first_screen.load(), connect=LocalEngine)
    with closing(window):
        window.show()
        qtbot.wait(50)
        session = window.session
        assert [asked for asked in window.wanted() if session.answer(asked) is None] == []
        assert "stored run" in window.status.text()
        assert session.engine == "starting"
        assert window.prompt_bar.strip.accessibleDescription()


def test_every_layer_can_be_looked_at_before_the_engine_is_there(qtbot: QtBot) -> None:
    window = MainWindow(first_screen.load(), connect=LocalEngine)
    with closing(window):
        window.show()
        session = window.session
        assert session.run is not None
        for layer in range(session.kinds[0].layers):
            session.select(layer=layer)
            qtbot.wait(10)
            assert [asked for asked in window.wanted() if session.answer(asked) is None] == []


def test_the_engine_replaces_what_was_stored(qtbot: QtBot) -> None:
    window = MainWindow(first_screen.load(), connect=LocalEngine)
    with closing(window):
        window.show()
        window.client.start()
        settle(window.client)
        scene, store = window.session.scene, window.session.store
        assert not [asked for asked in window.wanted() if store.is_stored(scene, asked)]
        assert "stored run" not in window.status.text()


def test_what_is_recorded_is_read_again(qtbot: QtBot, tmp_path: Path) -> None:
    scene = Scene(tiny_checkpoint(tmp_path), PROMPT)
    got, selection, answers = read(record(scene, {"layer": 1, "head": 2}))
    assert got == scene
    assert selection == {"layer": 1, "head": 2}
    assert {RUN, SITES} <= set(answers)
    assert_equal(answers, asked_again(scene, list(answers)))


OPENING = """
[opening]
prompt = "the 3rd of March 1987"
target = "1987-03-03"
stack = "cross"
layer = 1
head = 1
"""


def test_a_model_with_two_texts_begins_with_both_and_with_its_kind_of_attention(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot: QtBot
) -> None:
    recipe = tmp_path / "presets" / "dates" / "recipe.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(OPENING, encoding="utf-8")
    monkeypatch.setattr(first_screen, "asset", tmp_path.joinpath)
    monkeypatch.setattr(first_screen, "MODEL", "dates")
    scene, selection = beginning()
    assert scene == Scene("dates", "the 3rd of March 1987", "1987-03-03")
    assert selection == {"layer": 1, "head": 1, "stack": "cross"}
    shown = session_of(record(scene, selection))
    assert shown.scene == scene
    assert shown.run is not None
    assert {name: getattr(shown.selection, name) for name in selection} == selection
    assert shown.answer(SiteValue(site="decoder.blocks.1.cross.pattern")) is not None


def test_answers_that_do_not_fit_are_left_out() -> None:
    scene = Scene("tales-llama", PROMPT)
    large = Answer({}, {"values": np.zeros(100_000, np.float32)})
    small = Answer({"tokens": [1]})
    data = write(scene, {"layer": 1, "head": 2}, {SITES: large, RUN: small}, limit=10_000)
    assert len(data) <= 10_000
    assert list(read(data)[2]) == [RUN]


@pytest.mark.parametrize("damage", ["", "cut", "other", "first"])
def test_a_damaged_file_leaves_the_beginning_and_nothing_to_show(damage: str) -> None:
    whole = write(Scene("other", "x"), {"layer": 1, "head": 2}, {RUN: Answer({"tokens": [1]})})
    data = {"": b"", "cut": whole[: len(whole) // 3], "other": b"no frames at all", "first": whole[10:]}[
        damage
    ]
    session = session_of(data)
    assert (session.scene, focus_of(session)) == beginning()
    assert session.run is None


def test_any_damage_of_what_was_stored_leaves_the_beginning_and_nothing_to_show() -> None:
    whole = write(Scene("other", "x"), {"layer": 1}, {RUN: Answer({"tokens": [1]}, {"z": np.zeros(9)})})
    assert read(whole)[0].model == "other"
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        assert read(bytes(damaged)) == (*beginning(), {})
        assert read(whole[:at]) == (*beginning(), {})


def test_a_missing_file_leaves_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_screen, "FILE", "nowhere.frames")
    session = first_screen.load()
    assert (session.scene, focus_of(session)) == beginning()


def test_neither_a_file_nor_a_recipe_leaves_the_model_without_a_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(first_screen, "asset", tmp_path.joinpath)
    assert first_screen.load().scene == Scene("tales-llama", "")
