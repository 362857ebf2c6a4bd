"""A histogram ends where its values end, and reads out its counts."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.widgets.plots.histogram import Histogram
from tests.support.window.pointer import canvas, point_at

pytestmark = pytest.mark.unit


@pytest.fixture
def histogram(qtbot: QtBot) -> Histogram:
    widget = Histogram()
    qtbot.addWidget(widget)
    widget.resize(500, 300)
    widget.show()
    widget.show_counts([1, 4, 2], [-1.0, 0.0, 1.0, 3.0], x_title="gate")
    QApplication.processEvents()
    return widget


def move(widget: Histogram, bar: int) -> None:
    point_at(widget, widget.position(bar))


def test_the_axis_ends_where_the_edges_end(histogram: Histogram) -> None:
    assert histogram.painted_limits() == (-1.0, 3.0)
    assert histogram.readout() == "7 values from −1 to 3"


def test_pointing_reads_the_count_of_a_bar_of_any_width(histogram: Histogram, qtbot: QtBot) -> None:
    with qtbot.waitSignal(histogram.hovered) as caught:
        move(histogram, 2)
    assert caught.args == [2]
    assert histogram.readout() == "1 to 3: 2 of 7 values (28.57%)"
    move(histogram, 0)
    assert histogram.readout() == "−1 to 0: 1 of 7 values (14.29%)"
    with qtbot.waitSignal(histogram.left):
        QApplication.sendEvent(canvas(histogram), QEvent(QEvent.Type.Leave))
    assert histogram.readout() == "7 values from −1 to 3"


def test_bars_are_as_high_as_their_counts(histogram: Histogram) -> None:
    histogram.show_counts([1, 4], [0.0, 1.0, 2.0])
    QApplication.processEvents()
    image = histogram.grab().toImage()
    heights = [
        sum(
            image.pixelColor(round(histogram.position(bar).x()), y).name() == theme.current().query
            for y in range(image.height())
        )
        for bar in (0, 1)
    ]
    assert heights[1] > 60
    assert heights[0] == pytest.approx(heights[1] / 4, abs=2)


def test_empty_bars_and_no_bars_are_drawn(histogram: Histogram) -> None:
    histogram.show_counts([0, 0], [0.0, 1.0, 2.0])
    histogram.grab()
    assert histogram.readout() == "No finite value to count"
    histogram.show_counts([], [0.0])
    histogram.grab()
    assert "Nothing" in histogram.readout()


def test_counts_without_their_edges_are_refused(histogram: Histogram) -> None:
    with pytest.raises(ValueError, match="edge"):
        histogram.show_counts([1, 2], [0.0, 1.0])


def test_the_counts_of_numpy_are_taken_as_they_are(histogram: Histogram) -> None:
    values = np.random.default_rng(0).normal(size=5000)
    histogram.show_counts(*np.histogram(values, 50))
    assert histogram.readout().startswith("5,000 values")
    assert histogram.painted_limits() == (values.min(), values.max())


def test_switching_the_theme_repaints(histogram: Histogram, qapp: QApplication) -> None:
    theme.apply(qapp, "dark")
    image = histogram.grab().toImage()
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(0, image.height(), 4)}
    assert theme.DARK.query in seen
    assert theme.DARK.panel in seen
