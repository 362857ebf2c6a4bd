"""A plot over tokens draws the values that it was given, on the scale that it says."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.widgets.labels import LabelAxis
from explorer_app.widgets.plots.lines import Series, SeriesPlot
from tests.support.window.pointer import canvas, on_canvas, point_at

pytestmark = pytest.mark.unit

LABELS = ["The", "·cat", "·sat", "·on", "·the", "·mat"]


@pytest.fixture
def plot(qtbot: QtBot) -> SeriesPlot:
    widget = SeriesPlot()
    qtbot.addWidget(widget)
    widget.resize(600, 360)
    widget.show()
    show(widget, Series("entropy", [1.0, 2.0, 3.0, 2.5, 0.5, 4.0]))
    return widget


def show(widget: SeriesPlot, *series: Series, **options: object) -> None:
    widget.show_series(series, LABELS, **options)  # type: ignore[arg-type]
    QApplication.processEvents()


def move(widget: SeriesPlot, index: int) -> None:
    point_at(widget, widget.position(index))


def test_the_drawn_values_are_the_given_ones_and_the_axis_holds_them_all(plot: SeriesPlot) -> None:
    np.testing.assert_array_equal(plot.drawn_values("entropy"), [1.0, 2.0, 3.0, 2.5, 0.5, 4.0])
    low, high = plot.painted_limits()
    assert low == pytest.approx(0.5 - 0.06 * 3.5, abs=0.01)
    assert high == pytest.approx(4.0 + 0.06 * 3.5, abs=0.01)


def test_values_with_limits_of_their_own_are_drawn_between_these(plot: SeriesPlot) -> None:
    show(plot, Series("score", [0.2, 0.4, 0.3, 0.2, 0.5, 0.4]), limits=(0.0, 1.0))
    low, high = plot.painted_limits()
    assert low == pytest.approx(-0.06, abs=0.01)
    assert high == pytest.approx(1.06, abs=0.01)
    assert not any(switch.isVisible() for switch in plot.findChildren(QCheckBox))


def test_a_value_that_is_no_number_leaves_a_gap(plot: SeriesPlot) -> None:
    show(plot, Series("a", [1.0, np.nan, np.inf, -np.inf, -2.0, 0.0]))
    np.testing.assert_array_equal(plot.drawn_values("a"), [1.0, np.nan, np.nan, np.nan, -2.0, 0.0])
    move(plot, 1)
    assert plot.readout() == "1 ·cat:  a NaN"


def test_the_logarithmic_scale_holds_every_value(plot: SeriesPlot) -> None:
    show(plot, Series("a", [1.0, 10.0, 1000.0, np.nan, np.inf, 100.0]), log=True)
    np.testing.assert_array_equal(plot.drawn_values("a"), [1.0, 10.0, 1000.0, np.nan, np.nan, 100.0])
    low, high = plot.painted_limits()
    assert 0.5 < low < 1.0
    assert 1000 < high < 2000


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_values_without_a_logarithm_are_drawn_all_and_on_no_logarithmic_scale(
    plot: SeriesPlot, value: float
) -> None:
    switch = plot.findChild(QCheckBox)
    assert isinstance(switch, QCheckBox)
    assert switch.isVisible()
    switch.click()
    show(plot, Series("a", [1.0, 10.0, 1000.0, value, 7.0, 100.0]), Series("b", range(1, 7)))
    assert not switch.isVisible()
    assert plot.drawn_values("a")[3] == value
    assert plot.painted_limits()[0] < value
    show(plot, Series("a", range(1, 7)))
    assert switch.isVisible()
    assert plot.painted_limits()[0] > 0.5  # logarithmic, as it was chosen


@pytest.mark.parametrize("series", [[], [Series("a", [np.nan] * 6)]])
def test_without_values_there_is_no_scale_to_choose(plot: SeriesPlot, series: list[Series]) -> None:
    show(plot, *series)
    switch = plot.findChild(QCheckBox)
    assert isinstance(switch, QCheckBox)
    assert not switch.isVisible()


def test_a_value_between_two_gaps_is_seen_however_many_there_are(plot: SeriesPlot) -> None:
    values = np.full(1000, np.nan)
    plot.show_series([Series("a", values)], [str(i) for i in range(1000)])
    QApplication.processEvents()
    empty = plot.grab().toImage()
    values[500] = 3.0
    plot.show_series([Series("a", values)], [str(i) for i in range(1000)])
    QApplication.processEvents()
    image = plot.grab().toImage()
    place = (plot.position(500) * image.devicePixelRatio()).toPoint()
    ink, ground = image.pixelColor(place), empty.pixelColor(place)
    assert ground.red() > 240
    assert ink.red() < 100  # blue, with the soft edge of a small sign


def test_the_switch_changes_the_scale_and_new_values_keep_the_choice(plot: SeriesPlot) -> None:
    switch = plot.findChild(QCheckBox)
    assert isinstance(switch, QCheckBox)
    switch.click()
    assert plot.painted_limits()[0] > 0.3
    show(plot, Series("entropy", [1.0, 2.0, 3.0, 2.5, 0.1, 4.0]))
    assert 0.05 < plot.painted_limits()[0] < 0.1
    switch.click()
    assert plot.painted_limits()[0] < 0


def test_pointing_reads_every_series_at_that_token(plot: SeriesPlot, qtbot: QtBot) -> None:
    show(plot, Series("entropy", range(6)), Series("surprisal", np.arange(6) * 0.1, "key"))
    with qtbot.waitSignal(plot.hovered) as caught:
        move(plot, 3)
    assert caught.args == [3]
    assert plot.readout() == "3 ·on:  entropy 3,  surprisal 0.3"
    with qtbot.waitSignal(plot.left):
        QApplication.sendEvent(canvas(plot), QEvent(QEvent.Type.Leave))
    assert plot.readout() == ""
    plot.set_cursor(2)
    assert plot.readout() == "2 ·sat:  entropy 2,  surprisal 0.2"


def test_a_place_can_be_named_in_other_words(plot: SeriesPlot) -> None:
    show(plot, Series("norm", range(6)), describe=lambda index: f"after block {index}")
    plot.set_cursor(4)
    assert plot.readout() == "after block 4:  norm 4"


def test_a_click_gives_the_token_under_it(plot: SeriesPlot, qtbot: QtBot) -> None:
    for index in (0, 2, 5):
        with qtbot.waitSignal(plot.clicked) as caught:
            place = on_canvas(plot, plot.position(index))
            QTest.mouseClick(canvas(plot).viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert caught.args == [index]


def test_arrow_keys_walk_from_the_locked_token(plot: SeriesPlot) -> None:
    plot.set_cursor(4)
    plot.clicked.connect(plot.set_cursor)
    visited: list[int] = []
    plot.clicked.connect(visited.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left):
        QTest.keyClick(plot, key)
    assert visited == [5, 5, 4]


def test_labels_stand_below_their_values(plot: SeriesPlot) -> None:
    axis = plot.findChild(LabelAxis)
    assert isinstance(axis, LabelAxis)
    drawn = axis.drawn()
    assert [index for index, _ in sorted(drawn)] == list(range(6))
    for index, rect in drawn:
        assert axis.x() + rect.center().x() == pytest.approx(plot.position(index).x(), abs=1.5)


def test_the_legend_names_each_series_as_plain_text(plot: SeriesPlot) -> None:
    show(plot, Series("a <b>", range(6)), Series("c", range(6), "key"))
    legend = plot.findChild(QLabel)
    assert isinstance(legend, QLabel)
    assert "a\u00a0&lt;b&gt;" in legend.text()
    assert theme.current().key in legend.text()


@pytest.mark.parametrize("values", [[2.0] * 6, [0.0] * 6, [np.nan] * 6])
@pytest.mark.parametrize("log", [False, True])
def test_constant_and_empty_series_have_an_axis(plot: SeriesPlot, values: list[float], log: bool) -> None:
    show(plot, Series("a", values), log=log)
    low, high = plot.painted_limits()
    assert low < high
    plot.grab()


def test_a_thousand_tokens_and_then_none_are_drawn(plot: SeriesPlot) -> None:
    plot.show_series([Series("a", np.arange(1000))], [str(i) for i in range(1000)])
    plot.grab()
    plot.set_cursor(999)
    plot.show_series([], [])
    plot.grab()
    assert plot.readout() == ""


def test_a_series_that_does_not_match_the_labels_is_refused(plot: SeriesPlot) -> None:
    with pytest.raises(ValueError, match="labels"):
        plot.show_series([Series("a", [1.0])], LABELS)
    with pytest.raises(KeyError):
        plot.drawn_values("unknown")


@pytest.mark.process
def test_switching_the_theme_repaints(plot: SeriesPlot, qapp: QApplication) -> None:
    theme.apply(qapp, "dark")
    image = plot.grab().toImage()
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    assert theme.DARK.panel in seen
    assert theme.DARK.query in seen
    assert QColor(theme.LIGHT.query).name() not in seen


def test_a_cursor_that_moves_is_read_in_the_place_of_what_the_pointer_rests_on(plot: SeriesPlot) -> None:
    move(plot, 1)
    assert plot.readout().startswith(f"1 {LABELS[1]}")
    plot.set_cursor(2)
    assert plot.readout().startswith(f"2 {LABELS[2]}")
