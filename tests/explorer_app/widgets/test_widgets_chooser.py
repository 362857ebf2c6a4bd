"""A list that drops down says whole what is chosen, or that there is more of it."""

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.widgets.chooser import Chooser

pytestmark = pytest.mark.unit


def test_a_name_that_is_too_long_ends_in_an_ellipsis(qtbot: QtBot) -> None:
    box, short = Chooser("Model"), Chooser("Model")
    name = "a model with quite a long name"
    box.addItem(name)
    metrics = box.fontMetrics()
    for widget in (box, short):
        qtbot.addWidget(widget)
        widget.resize(metrics.horizontalAdvance(name), widget.sizeHint().height())
        widget.show()
    for count in range(len(name) // 2, len(name)):
        short.clear()
        short.addItem(name[:count] + "…")
        if short.grab().toImage() == box.grab().toImage():
            return
    raise AssertionError("it shows no beginning of its name with an ellipsis")
