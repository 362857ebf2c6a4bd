"""Curves over growing numbers: what is drawn, at which places, and what the pointer reads."""

import math

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app.widgets.plots.curves import Curve, CurvePlot
from tests.support.window.pointer import point_at

pytestmark = pytest.mark.unit

STEPS = [10.0, 20.0, 30.0, 40.0]
LOSSES = [4.0, 3.0, 2.5, 2.25]


@pytest.fixture
def plot(qtbot: QtBot) -> CurvePlot:
    plot = CurvePlot()
    qtbot.addWidget(plot)
    plot.resize(500, 300)
    plot.show_curves(
        [Curve("training", STEPS, LOSSES), Curve("held out", [20, 40], [3.5, 2.75], "key")],
        x_title="steps",
        y_title="loss, nats a token",
    )
    plot.show()
    return plot


def test_each_curve_has_places_of_its_own(plot: CurvePlot) -> None:
    assert plot.drawn("training")[0].tolist() == STEPS
    assert plot.drawn("held out")[1].tolist() == [3.5, 2.75]


def test_the_axes_reach_over_everything(plot: CurvePlot) -> None:
    (left, right), (low, high) = plot.painted_limits()
    assert left <= 10 < 40 <= right
    assert low <= 2.25 < 4 <= high


@pytest.mark.parametrize("axis", ["x", "y"])
def test_either_axis_can_be_logarithmic(axis: str, plot: CurvePlot) -> None:
    before = plot.painted_limits()
    getattr(plot, f"log_{axis}").setChecked(True)
    after = plot.painted_limits()
    number = "xy".index(axis)
    assert after[number][0] <= min(STEPS if axis == "x" else LOSSES)
    assert after[1 - number] == before[1 - number]
    assert math.log(after[number][1] / after[number][0]) < 2 * math.log(4)


def test_numbers_that_are_not_positive_have_no_logarithm_to_choose(plot: CurvePlot) -> None:
    plot.log_y.setChecked(True)
    plot.show_curves([Curve("a", [0, 1], [-1, 2])], x_title="steps", y_title="score")
    assert plot.log_x.isHidden()
    assert plot.log_y.isHidden()
    assert plot.painted_limits()[1][0] < -1 + 0.1


def test_pointing_reads_the_nearest_place_of_every_curve(plot: CurvePlot, qtbot: QtBot) -> None:
    point_at(plot, plot.position(21))
    assert plot.readout() == "20  training 3  held out 3.5"
    point_at(plot, plot.position(30))
    assert plot.readout() == "30  training 2.5"


def test_keys_walk_from_place_to_place(plot: CurvePlot, qtbot: QtBot) -> None:
    for _ in range(2):
        qtbot.keyClick(plot, Qt.Key.Key_Left)
    assert plot.readout().startswith("30 ")


def test_what_is_not_finite_is_left_away(plot: CurvePlot) -> None:
    plot.show_curves([Curve("a", [1, 2, 3], [1, np.nan, np.inf])], x_title="steps", y_title="loss")
    assert plot.drawn("a")[0].tolist() == [1]


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_any_number_of_points_is_drawn(count: int, plot: CurvePlot) -> None:
    plot.show_curves([Curve("a", np.arange(count) + 1.0, np.ones(count))], x_title="steps", y_title="loss")
    assert len(plot.drawn("a")[0]) == count
    assert not plot.grab().isNull()


def test_places_and_values_are_as_many(plot: CurvePlot) -> None:
    with pytest.raises(ValueError, match="are to be as many"):
        plot.show_curves([Curve("a", [1, 2], [1])], x_title="x", y_title="y")
