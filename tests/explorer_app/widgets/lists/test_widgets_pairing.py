"""The drawing of pairs: what is joined, what is read out, and what the pointer finds."""

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot

from explorer_app.widgets.lists.pairing import Pairing

pytestmark = pytest.mark.unit

ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


@pytest.fixture
def pairing(qtbot: QtBot) -> Pairing:
    pairing = Pairing()
    qtbot.addWidget(pairing)
    pairing.resize(600, 260)
    pairing.show_orders(np.arange(8) / 4, ORDER, ("above", "below"))
    pairing.show()
    return pairing


def test_a_pair_is_neighbours_above_and_half_of_the_numbers_apart_below(pairing: Pairing) -> None:
    assert pairing.words(1) == "pair 1: 2 and 3 above, 1 and 5 below; (0.5, 0.75)"
    assert pairing.accessibleDescription().count("\n") == 3


def test_the_pointer_finds_the_same_pair_in_both_rows(pairing: Pairing, qtbot: QtBot) -> None:
    for row, place in ((0, 2), (0, 3), (1, 1), (1, 5)):
        assert pairing.pair_at(pairing.cell_rect(row, place).center()) == 1
    assert pairing.pair_at(QPointF(1, 1)) is None
    with qtbot.waitSignal(pairing.hovered) as told:
        qtbot.mouseMove(pairing, pairing.cell_rect(1, 5).center().toPoint())
    assert told.args == [1]


def test_an_order_that_is_none_is_refused(pairing: Pairing) -> None:
    with pytest.raises(ValueError, match="an order of 8 values"):
        pairing.show_orders(np.arange(8), [0] * 8, ("", ""))


@pytest.mark.parametrize("width", [2, 128])
def test_any_width_is_drawn_inside(pairing: Pairing, width: int) -> None:
    order = [*range(0, width, 2), *range(1, width, 2)]
    pairing.show_orders(np.ones(width), order, ("", ""))
    assert not pairing.grab().isNull()
    for row in (0, 1):
        assert pairing.rect().contains(pairing.cell_rect(row, width - 1).toRect())
