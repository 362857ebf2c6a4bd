"""Every file that the window reads may be a FIFO, a device, a folder or endless: it goes on at once, without it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer_app.forms.training_paths import unreadable
from explorer_app.state import training
from explorer_app.state.training import Spec, Training, is_free, logged, spec_of, unfinished
from explorer_app.window import first_screen
from explorer_app.words.model_words import why_missing
from tests.support.strange_files import STRANGE, at_once, put
from tests.support.window.fake_training import keep

pytestmark = pytest.mark.unit

few = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
POINT = {"step": 1, "loss": 3.5, "lr": 1e-3, "grad_norm": 1.0, "tokens_per_second": 500.0}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_files_are_no_training(kind: str, tmp_path: Path) -> None:
    for file in ("training.json", "training.safetensors"):
        keep(tmp_path, 12, 40, None)
        assert unfinished(tmp_path) is not None
        put(kind, tmp_path / file)
        with at_once():
            assert unfinished(tmp_path) is None
        if kind == "a folder":
            (tmp_path / file).rmdir()


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_log_has_no_points(kind: str, tmp_path: Path) -> None:
    put(kind, tmp_path / "log.jsonl")
    with at_once():
        assert logged(tmp_path, 10) == []


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_place_is_not_free_and_not_missing(kind: str, tmp_path: Path) -> None:
    put(kind, tmp_path / "place")
    assert is_free(tmp_path / "place") == (kind == "a folder")
    assert why_missing(str(tmp_path / "place")) == ""


@pytest.mark.parametrize("kind", [kind for kind in STRANGE if kind != "six gigabytes of nothing"])
def test_a_strange_text_is_refused_with_what_it_is(kind: str, tmp_path: Path) -> None:
    put(kind, tmp_path / "text.txt")
    with at_once():
        assert f"{tmp_path / 'text.txt'} cannot be read: " in unreadable(str(tmp_path / "text.txt"))
    assert unreadable(str(tmp_path / "lost.txt")) == f"There is no file {tmp_path / 'lost.txt'}."


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_first_screen_shows_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_screen, "asset", lambda *names: tmp_path.joinpath(*names))
    put(kind, tmp_path / first_screen.FILE)
    with at_once():
        assert first_screen.load().run is None


# What is read back


def test_losses_that_are_no_numbers_are_points_and_wrong_ones_are_none(tmp_path: Path) -> None:
    lines = [
        json.dumps(POINT | changes)
        for changes in (
            {"loss": float("nan"), "grad_norm": float("inf")},
            {"step": 2.0},
            {"step": 2.5},
            {"step": float("inf")},
            {"step": -1},
            {"lr": float("nan")},
            {"lr": "fast"},
            {"tokens_per_second": 10**400},
            {"held_out_loss": [1]},
        )
    ]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, "[" * 5000, "7"]), encoding="utf-8")
    points = logged(tmp_path, 10)
    assert [point.step for point in points] == [1, 2]
    assert isinstance(points[1].step, int)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": "100"},
        {"steps": 1e999},
        {"steps": 4.5},
        {"lr": True},
        {"data": "text.txt"},
        {"data": [1]},
        {"out": None},
        {"more": 1},
    ],
)
def test_a_spec_of_wrong_types_is_none(changes: dict[str, Any]) -> None:
    said = json.loads(json.dumps(Spec(out="o", data=("a",)).to_json()))
    assert spec_of(said) == Spec(out="o", data=("a",))
    assert spec_of(said | changes) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"steps": "40"}},
        {"recipe": {"steps": 40, "lr": float("nan")}},
        {"recipe": {"steps": 40, "autocast": 16}},
        {"recipe": {"steps": 0}},
        {"recipe": [40]},
        {"name": None},
        {"checkpoint": 1},
    ],
)
def test_a_description_of_wrong_types_is_no_training(changes: dict[str, Any], tmp_path: Path) -> None:
    keep(tmp_path, 12, 40, None)
    said = json.loads((tmp_path / "training.json").read_text())
    (tmp_path / "training.json").write_text(json.dumps({"run": said["run"] | changes}))
    assert unfinished(tmp_path) is None


@pytest.mark.parametrize(
    "told",
    [
        {"event": "begun", "folder": 3, "step": 1, "steps": 2},
        {"event": "begun", "folder": "f", "step": 1e999, "steps": 2},
        {"event": "progress", **POINT, "steps": 10, "seconds_left": 1e300},
        {"event": "progress", **POINT, "steps": 10, "seconds_left": float("nan")},
        {"event": "progress", **POINT, "steps": None, "seconds_left": 1},
        {"event": "saved", "step": 1.5},
        {"event": "finished", "step": "all"},
    ],
)
def test_a_line_of_wrong_types_changes_nothing(told: dict[str, Any]) -> None:
    running = Training()
    running.start(Spec(out="o", preset="p"))
    before = vars(running).copy()
    assert not running.take(json.dumps(told))
    assert vars(running) == before
    assert not running.take("[" * 5000)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([*POINT, "event", "steps", "folder", "seconds_left", "held_out_loss"])


@few
@given(
    changes=st.dictionaries(names, anything, max_size=3),
    event=st.sampled_from(["begun", "progress", "saved"]),
)
@pytest.mark.process
def test_any_line_is_taken_or_not(changes: dict[str, Any], event: str) -> None:
    running = Training()
    running.start(Spec(out="o", preset="p"))
    told = {"event": event, **POINT, "steps": 10, "seconds_left": 1.0, "folder": "nowhere"}
    running.take(json.dumps(told | changes))
    assert isinstance(running.step, int)


@few
@given(changes=st.dictionaries(st.sampled_from(list(vars(Spec(out="")))), anything, max_size=3))
@pytest.mark.process
def test_any_value_is_a_spec_or_none(changes: dict[str, Any]) -> None:
    found = spec_of(json.loads(json.dumps(Spec(out="o").to_json() | changes)))
    assert found is None or training.Spec(**vars(found)).words()
