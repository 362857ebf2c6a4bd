"""The ladder puts pieces over the columns that they hold, and scrolls to what does not fit."""

from itertools import pairwise

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.widgets.lists.ladder import Ladder, Rung

pytestmark = pytest.mark.unit

RUNGS = [
    Rung(("a", "b", "c"), (1, 1, 1), "start", tip="first"),
    Rung(("a", "bc"), (1, 2), "1", "7", made=1, notes=("12", "a long note"), noted="id", tip="second"),
]


@pytest.fixture
def ladder(qtbot: QtBot) -> Ladder:
    widget = Ladder()
    qtbot.addWidget(widget)
    widget.resize(300, 200)
    widget.show()
    widget.show_rungs(RUNGS, ("step", "rank"))
    return widget


def test_rows_stand_below_each_other_and_below_the_titles(ladder: Ladder) -> None:
    boxes = [ladder.item_rect(row) for row in range(2)]
    assert boxes[0].top() > 0
    assert all(above.bottom() <= below.top() for above, below in pairwise(boxes))


def test_pointing_at_a_row_tells_its_tip(ladder: Ladder, qtbot: QtBot) -> None:
    with qtbot.waitSignal(ladder.hovered) as caught:
        QTest.mouseMove(ladder.viewport(), ladder.item_rect(1).center().toPoint())
    assert caught.args == [1]
    assert ladder.tip(1) == "second"
    assert ladder.item_at(QPointF(5, 2)) is None
    assert ladder.item_at(QPointF(5, 190)) is None
    ladder.grab()
    with qtbot.waitSignal(ladder.left):
        QApplication.sendEvent(ladder, QEvent(QEvent.Type.Leave))


def test_every_brick_has_room_for_its_text_and_note(ladder: Ladder) -> None:
    whole, half = ladder._columns[-1], ladder._columns[1]
    ladder.show_rungs(RUNGS[:1], ("step", "rank"))
    assert whole - half > ladder._columns[-1] - ladder._columns[1]


def test_a_long_word_scrolls_both_ways(ladder: Ladder, qtbot: QtBot) -> None:
    letters = tuple("supercalifragilistic" * 4)
    ladder.show_rungs([Rung(letters, (1,) * len(letters), str(row)) for row in range(40)], ("step", ""))
    assert ladder.horizontalScrollBar().maximum() > 0
    assert ladder.verticalScrollBar().maximum() > 0
    ladder.horizontalScrollBar().setValue(ladder.horizontalScrollBar().maximum())
    ladder.verticalScrollBar().setValue(ladder.verticalScrollBar().maximum())
    assert 0 < ladder.item_rect(39).bottom() <= ladder.viewport().height()
    ladder.grab()
    ladder.show_rungs([], ("", ""))
    assert ladder.verticalScrollBar().maximum() == 0


def test_reading_software_hears_the_rows(ladder: Ladder) -> None:
    assert ladder.accessibleDescription() == "start  a b c\n1 7 a bc"
    assert ladder.focusPolicy() == Qt.FocusPolicy.StrongFocus
