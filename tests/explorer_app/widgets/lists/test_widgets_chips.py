"""The token strip shows every token as the model reads it, thousands of them if need be."""

from itertools import pairwise

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.widgets.lists.chips import TokenStrip
from tests.support.window.pointer import turn_wheel

pytestmark = pytest.mark.unit


@pytest.fixture
def strip(qtbot: QtBot) -> TokenStrip:
    widget = TokenStrip()
    qtbot.addWidget(widget)
    widget.resize(500, widget.sizeHint().height())
    widget.show()
    widget.show_tokens(["The", " cat", " sat", "\n", "\t"], [464, 3797, 3332, 198, 197])
    return widget


def many(strip: TokenStrip, count: int = 2000) -> None:
    strip.show_tokens([f" t{i}" for i in range(count)], list(range(count)))


def colours_in(strip: TokenStrip, index: int) -> set[str]:
    image = strip.viewport().grab().toImage()
    box = strip.item_rect(index).toAlignedRect().adjusted(-1, -1, 1, 1)
    return {
        image.pixelColor(x, y).name()
        for x in range(max(0, box.left()), min(image.width(), box.right()))
        for y in range(max(0, box.top()), min(image.height(), box.bottom()))
    }


def test_chips_stand_in_order_in_one_line_and_do_not_overlap(strip: TokenStrip) -> None:
    boxes = [strip.item_rect(i) for i in range(5)]
    assert all(a.right() < b.left() for a, b in pairwise(boxes))
    assert len({box.top() for box in boxes}) == 1
    assert all(box.top() >= 0 and box.bottom() <= strip.viewport().height() for box in boxes)


def test_the_tooltip_tells_text_id_and_position(strip: TokenStrip) -> None:
    assert strip.tip(1) == "“·cat”, id 3797, position 1 of 5"
    assert strip.tip(3) == "“⏎”, id 198, position 3 of 5"


def test_special_tokens_are_told_apart(strip: TokenStrip) -> None:
    strip.show_tokens(["<s>", " cat"], [1, 3797])
    plain = strip.grab().toImage()
    strip.show_tokens(["<s>", " cat"], [1, 3797], special=[0])
    assert strip.grab().toImage() != plain
    assert strip.tip(0) == "“<s>”, id 1, position 0 of 2; a special token, which stands for no text"
    assert strip.tip(1) == "“·cat”, id 3797, position 1 of 2"


def test_the_query_is_blue_and_the_key_red(strip: TokenStrip) -> None:
    strip.set_cursor(1, 2)
    assert QColor(theme.current().query).name() in colours_in(strip, 1)
    assert QColor(theme.current().key).name() in colours_in(strip, 2)
    assert QColor(theme.current().query).name() not in colours_in(strip, 0)


def test_a_click_gives_the_chip_under_it_and_pointing_too(strip: TokenStrip, qtbot: QtBot) -> None:
    for index in range(5):
        place = strip.item_rect(index).center().toPoint()
        with qtbot.waitSignal(strip.clicked) as caught:
            QTest.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert caught.args == [index]
    with qtbot.waitSignal(strip.hovered) as caught:
        QTest.mouseMove(strip.viewport(), strip.item_rect(1).center().toPoint())
    assert caught.args == [1]
    with qtbot.waitSignal(strip.left):
        QApplication.sendEvent(strip, QEvent(QEvent.Type.Leave))


def test_2000_tokens_are_one_widget_and_the_last_can_be_clicked(strip: TokenStrip, qtbot: QtBot) -> None:
    children = len(strip.findChildren(object))  # type: ignore[type-var]
    many(strip)
    assert len(strip.findChildren(object)) == children  # type: ignore[type-var]
    strip.set_cursor(1999)
    with qtbot.waitSignal(strip.clicked) as caught:
        QTest.mouseClick(
            strip.viewport(), Qt.MouseButton.LeftButton, pos=strip.item_rect(1999).center().toPoint()
        )
    assert caught.args == [1999]


@pytest.mark.parametrize("index", [0, 1, 700, 1234, 1999])
def test_the_query_token_is_kept_in_sight(strip: TokenStrip, index: int) -> None:
    many(strip)
    strip.set_cursor(900)
    strip.set_cursor(index)
    assert strip.item_rect(index).left() >= 0
    assert strip.item_rect(index).right() <= strip.viewport().width()
    strip.resize(260, strip.height())
    assert strip.item_rect(index).right() <= strip.viewport().width()


def test_the_wheel_scrolls_sideways(strip: TokenStrip) -> None:
    many(strip)
    before = strip.horizontalScrollBar().value()
    turn_wheel(strip.viewport(), QPointF(20, 20), -1)
    assert strip.horizontalScrollBar().value() > before


def test_keys_walk_the_query_token_and_stop_at_both_ends(strip: TokenStrip) -> None:
    strip.walked.connect(strip.set_cursor)
    visited: list[int] = []
    strip.walked.connect(visited.append)
    strip.set_cursor(1)
    for key in (
        Qt.Key.Key_Right,
        Qt.Key.Key_Left,
        Qt.Key.Key_End,
        Qt.Key.Key_Right,
        Qt.Key.Key_Home,
        Qt.Key.Key_Left,
    ):
        QTest.keyClick(strip, key, Qt.KeyboardModifier.ShiftModifier)
    assert visited == [2, 1, 4, 0]


def test_the_gap_between_chips_is_no_chip(strip: TokenStrip) -> None:
    first, second = strip.item_rect(0), strip.item_rect(1)
    assert strip.item_at(QPointF((first.right() + second.left()) / 2, first.center().y())) is None
    assert strip.item_at(QPointF(490, first.center().y())) is None


def test_without_tokens_the_strip_invites_a_prompt(strip: TokenStrip, qtbot: QtBot) -> None:
    strip.show_tokens([], [])
    strip.grab()
    assert strip.item_at(QPointF(5, 5)) is None
    with qtbot.assertNotEmitted(strip.walked):
        QTest.keyClick(strip, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)


def test_a_cursor_beyond_the_tokens_is_not_drawn(strip: TokenStrip) -> None:
    strip.set_cursor(77, 99)
    strip.grab()
    strip.show_tokens(["a"], [1])
    strip.grab()


def test_tokens_without_ids_are_refused(strip: TokenStrip) -> None:
    with pytest.raises(ValueError, match="id"):
        strip.show_tokens(["a", "b"], [1])


def test_switching_the_theme_repaints(strip: TokenStrip, qapp: QApplication) -> None:
    strip.set_cursor(1)
    theme.apply(qapp, "dark")
    assert QColor(theme.DARK.query).name() in colours_in(strip, 1)
