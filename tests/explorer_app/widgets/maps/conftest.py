"""A heatmap on screen."""

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.widgets.maps.heatmap import Heatmap


@pytest.fixture
def heatmap(qtbot: QtBot) -> Heatmap:
    widget = Heatmap()
    qtbot.addWidget(widget)
    widget.resize(700, 600)
    widget.show()
    return widget
