"""Bars are as long as their values, and say what they were before."""

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.widgets.lists.bars import Bar, BarList

pytestmark = pytest.mark.unit


@pytest.fixture
def bars(qtbot: QtBot) -> BarList:
    widget = BarList()
    qtbot.addWidget(widget)
    widget.resize(500, 200)
    widget.show()
    return widget


def painted_length(widget: BarList, row: int) -> int:
    """Pixels along the row that have the bar's colour."""
    image = widget.viewport().grab().toImage()
    wanted = QColor(theme.current().query).name()
    box = widget.item_rect(row)
    lines = range(int(box.top()) + 1, int(box.bottom()))
    return max(sum(image.pixelColor(x, y).name() == wanted for x in range(image.width())) for y in lines)


def test_a_bar_is_as_long_as_its_value(bars: BarList) -> None:
    bars.show_bars([Bar("a", value, f"{value:.0%}") for value in (1.0, 0.5, 0.25, 0.0)])
    full, half, quarter, none = (painted_length(bars, row) for row in range(4))
    assert full > 100
    assert half == pytest.approx(full / 2, abs=2)
    assert quarter == pytest.approx(full / 4, abs=2)
    assert none == 0


def test_values_beyond_0_and_1_stay_in_their_row(bars: BarList) -> None:
    bars.show_bars([Bar("a", 1.0, ""), Bar("b", 7.0, ""), Bar("c", -1.0, "")])
    assert painted_length(bars, 1) == painted_length(bars, 0)
    assert painted_length(bars, 2) == 0


def test_what_it_was_before_is_drawn_and_told(bars: BarList) -> None:
    bars.show_bars([Bar("·mat", 0.6, "60 %")])
    without = bars.viewport().grab().toImage()
    bars.show_bars([Bar("·mat", 0.6, "60 %", before=0.25, climbed=3)])
    assert bars.viewport().grab().toImage() != without
    assert bars.tip(0) == "·mat  60 %\nbefore: 25.0 %"


def test_a_click_gives_the_row_under_it_after_scrolling_too(bars: BarList, qtbot: QtBot) -> None:
    bars.show_bars([Bar(f"t{i}", i / 100, str(i)) for i in range(100)])
    with qtbot.waitSignal(bars.clicked) as caught:
        QTest.mouseClick(bars.viewport(), Qt.MouseButton.LeftButton, pos=bars.item_rect(2).center().toPoint())
    assert caught.args == [2]
    bars.verticalScrollBar().setValue(bars.verticalScrollBar().maximum())
    with qtbot.waitSignal(bars.clicked) as caught:
        QTest.mouseClick(
            bars.viewport(), Qt.MouseButton.LeftButton, pos=bars.item_rect(99).center().toPoint()
        )
    assert caught.args == [99]


def test_pointing_gives_the_row_and_leaving_tells(bars: BarList, qtbot: QtBot) -> None:
    bars.show_bars([Bar("a", 0.1, ""), Bar("b", 0.2, "", tip="the whole story")])
    with qtbot.waitSignal(bars.hovered) as caught:
        QTest.mouseMove(bars.viewport(), bars.item_rect(1).center().toPoint())
    assert caught.args == [1]
    assert bars.tip(1) == "the whole story"
    with qtbot.waitSignal(bars.left):
        QApplication.sendEvent(bars, QEvent(QEvent.Type.Leave))


def test_arrow_keys_walk_the_rows_and_keep_them_in_sight(bars: BarList) -> None:
    bars.show_bars([Bar(f"t{i}", 0.1, "") for i in range(40)])
    visited: list[int] = []
    bars.clicked.connect(visited.append)
    for _ in range(30):
        QTest.keyClick(bars, Qt.Key.Key_Down)
    QTest.keyClick(bars, Qt.Key.Key_Up)
    assert visited == [*range(30), 28]
    assert bars.item_rect(28).bottom() <= bars.viewport().height() + 1


def test_a_double_click_and_return_activate_a_row(bars: BarList, qtbot: QtBot) -> None:
    bars.show_bars([Bar("a", 0.1, ""), Bar("b", 0.2, "")])
    with qtbot.waitSignal(bars.activated) as caught:
        place = bars.item_rect(1).center().toPoint()
        QTest.mouseDClick(bars.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert caught.args == [1]
    bars.set_chosen(0)
    with qtbot.waitSignal(bars.activated) as caught:
        QTest.keyClick(bars, Qt.Key.Key_Return)
    assert caught.args == [0]


def test_a_place_below_the_last_row_is_no_row(bars: BarList) -> None:
    bars.show_bars([Bar("a", 0.1, "")])
    assert bars.item_at(QPointF(10, 190)) is None


def test_without_rows_the_list_says_so(bars: BarList) -> None:
    bars.show_bars([])
    bars.grab()
    assert bars.bars() == []
    assert bars.empty() == bars.accessibleDescription() == "Nothing to show yet"
    bars.show_bars([], "No token is likelier than another.")
    bars.grab()
    assert bars.accessibleDescription() == "No token is likelier than another."


def test_the_rows_are_told_to_assistive_technology(bars: BarList) -> None:
    bars.show_bars([Bar("·mat", 0.6, "60 %"), Bar("·bed", 0.1, "10 %")])
    assert bars.accessibleDescription() == "·mat 60 %\n·bed 10 %"


def test_switching_the_theme_repaints(bars: BarList, qapp: QApplication) -> None:
    bars.show_bars([Bar("a", 0.5, "")])
    theme.apply(qapp, "dark")
    assert bars.viewport().grab().toImage().pixelColor(1, 195).name() == theme.DARK.panel
    assert painted_length(bars, 0) > 50
