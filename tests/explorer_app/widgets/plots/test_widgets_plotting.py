"""What all plots have in common: nothing of one stays when it has gone, wherever a person clicked."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt
from pytestqt.qtbot import QtBot

from explorer_app.widgets.plots.curves import Curve, CurvePlot
from explorer_app.widgets.plots.lines import Series, SeriesPlot
from explorer_app.widgets.plots.plotting import Canvas, Drawing, pg

pytestmark = pytest.mark.unit


def show_curves(plot: CurvePlot) -> None:
    plot.show_curves([Curve("training", [10, 20, 30], [4, 3, 2])], x_title="steps", y_title="loss")


def show_series(plot: SeriesPlot) -> None:
    plot.show_series([Series("norm", [4, 3, 2])], ["a", "b", "c"], x_title="token")


def signs(plot: Drawing) -> pg.ScatterPlotItem:
    canvas = plot.findChild(Canvas)
    assert canvas is not None
    return next(item for item in canvas.scene().items() if isinstance(item, pg.ScatterPlotItem))


def known(plot: Drawing) -> list[weakref.ref[Any]]:
    """The points of a plot as an item, and as numbers."""
    found = signs(plot)
    return [weakref.ref(found), weakref.ref(found.data)]


def click(qtbot: QtBot, plot: Drawing, number: int) -> None:
    """Click on a point of the plot."""
    canvas = plot.findChild(Canvas)
    assert canvas is not None
    x, y = (float(numbers[number]) for numbers in signs(plot).getData())
    place = canvas.mapFromScene(signs(plot).mapToScene(QPointF(x, y)))
    qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=place)


@pytest.mark.parametrize(("kind", "show"), [(CurvePlot, show_curves), (SeriesPlot, show_series)])
def test_a_plot_that_was_clicked_is_gone_when_it_was_drawn_anew_and_its_widget_deleted(
    kind: type[Drawing], show: Callable[[Drawing], None], qtbot: QtBot
) -> None:
    plot = kind()
    plot.resize(500, 300)
    show(plot)
    plot.show()
    qtbot.waitExposed(plot)
    drawn = known(plot)
    click(qtbot, plot, 1)
    show(plot)
    gc.collect()
    assert all(one() is None for one in drawn)
    drawn = [*known(plot), weakref.ref(plot)]
    click(qtbot, plot, 1)
    plot.close()
    plot.deleteLater()
    del plot
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert all(one() is None for one in drawn)
