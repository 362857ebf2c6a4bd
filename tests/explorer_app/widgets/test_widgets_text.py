"""Blanks are visible, numbers are short and honest, labels never overlap."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from explorer_app.widgets.labels import LabelAxis, label_step, visible_labels
from explorer_app.widgets.readout import Readout
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.numbers import short_number

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "·the"),
        ("a b", "a·b"),
        ("\n\n", "⏎⏎"),
        ("\t", "⇥"),
        ("\r\n", "⇤⏎"),
        ("\x00", "\\u0000"),
        ("\u200b", "\\u200b"),
        ("é–漢", "é–漢"),
        ("", "(empty)"),
    ],
)
def test_blanks_and_control_signs_are_drawn(text: str, shown: str) -> None:
    assert visible_blanks(text) == shown


@given(st.text())
def test_no_text_is_shown_as_nothing_or_with_a_blank(text: str) -> None:
    shown = visible_blanks(text)
    assert shown
    assert not any(sign in shown for sign in "\n\t\r\u00a0")
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.5, "0.5"),
        (-1.25, "−1.25"),
        (0.03125, "0.0312"),
        (1234.5, "1230"),
        (3e-7, "3e-7"),
        (-1.5e12, "−1.5e12"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert short_number(value) == shown


@given(st.floats(-1e300, 1e300), st.integers(1, 8))
def test_a_short_number_is_the_number_to_its_digits_and_never_a_false_zero(value: float, digits: int) -> None:
    read = float(short_number(value, digits).replace("−", "-"))
    assert read == pytest.approx(value, rel=10.0 ** (1 - digits), abs=0.0)
    assert (read == 0) == (value == 0)


@given(
    count=st.integers(0, 3000),
    first=st.floats(0, 1500),
    width=st.floats(0.5, 3000),
    length=st.floats(1, 4000),
    extent=st.floats(1, 200),
    keep=st.lists(st.integers(0, 3000), max_size=3),
)
def test_labels_never_overlap_and_the_first_kept_one_is_always_there(
    count: int, first: float, width: float, length: float, extent: float, keep: list[int]
) -> None:
    span = (first, first + width)
    chosen = visible_labels(count, span, length, extent, keep)
    assert len(set(chosen)) == len(chosen)
    assert all(0 <= i < count and span[0] <= i + 0.5 <= span[1] for i in chosen)
    pitch = length / width
    assert all((b - a) * pitch >= extent * (1 - 1e-9) for a, b in pairwise(sorted(chosen)))
    in_sight = [i for i in keep if i < count and span[0] <= i + 0.5 <= span[1]]
    if in_sight:
        assert in_sight[0] in chosen


@given(st.floats(0.01, 100), st.floats(0.1, 1000))
def test_the_label_step_is_the_smallest_round_one_that_fits(pitch: float, extent: float) -> None:
    step = label_step(pitch, extent)
    assert step * pitch >= extent
    rounds = sorted(lead * 10**power for lead in (1, 2, 5) for power in range(8))
    assert step in rounds
    assert all(smaller * pitch < extent for smaller in rounds if smaller < step)


def test_labels_with_no_distance_are_refused() -> None:
    with pytest.raises(ValueError, match="pitch"):
        label_step(0.0, 1.0)


def test_an_axis_without_labels_or_room_draws_nothing(qtbot: QtBot) -> None:
    axis = LabelAxis("left", "query")
    qtbot.addWidget(axis)
    assert axis.drawn() == []
    axis.grab()
    assert visible_labels(5, (0, 5), 0, 10) == []
    assert visible_labels(5, (3, 3), 100, 10) == []


def test_a_line_that_does_not_fit_offers_its_whole_text_as_tooltip(qtbot: QtBot) -> None:
    readout = Readout("Value")
    qtbot.addWidget(readout)
    readout.resize(readout.sizeHint())
    readout.say("short")
    assert readout.toolTip() == ""
    readout.say("a line that is far too long for so narrow a place")
    assert readout.toolTip() == readout.text() == "a line that is far too long for so narrow a place"
    readout.resize(2000, readout.height())
    readout.grab()
    assert readout.toolTip() == ""
