"""When a panel draws: what changed, one panel a turn, and nothing twice."""

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from model_core.api.queries.query import Query
from tests.support.window.panel_on_screen import PROMPT, on_screen

pytestmark = pytest.mark.unit


class Counter(Panel):
    """Counts how often it is drawn."""

    count = 0
    follows = ("layer",)

    def needs(self) -> list[Query]:
        return []

    def draw(self, answers: Answers) -> None:
        self.count += 1


def test_what_did_not_change_while_a_panel_was_out_of_sight_is_not_drawn_again(
    qtbot: QtBot, qapp: QApplication, model: str
) -> None:
    with on_screen(qtbot, Counter, model, PROMPT) as shown:
        panel = shown.panel
        drawn = panel.count
        panel.set_seen(False)
        panel.set_seen(True)
        shown.settle()
        assert panel.count == drawn
        panel.set_seen(False)
        shown.select(layer=1)
        assert panel.count == drawn
        panel.set_seen(True)
        shown.settle()
        assert panel.count == drawn + 1
        panel.set_seen(False)
        theme.apply(qapp, "dark")
        panel.set_seen(True)
        shown.settle()
        assert panel.count == drawn + 2
