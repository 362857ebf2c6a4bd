"""A click in a heatmap means the cell under it, and the zoom stays within the matrix."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.widgets.labels import LabelAxis
from explorer_app.widgets.maps.heatmap import Heatmap
from tests.support.window.heatmaps import causal, move, show
from tests.support.window.pointer import canvas, on_canvas, turn_wheel

pytestmark = pytest.mark.unit


def place(widget: Heatmap, row: int, col: int) -> QPoint:
    return on_canvas(widget, widget.cell_centre(row, col))


def test_a_click_gives_the_cell_under_it(heatmap: Heatmap, qtbot: QtBot) -> None:
    show(heatmap, np.arange(35, dtype=np.float32).reshape(5, 7))
    view = canvas(heatmap).viewport()
    for row, col in [(0, 0), (4, 6), (2, 3), (0, 6)]:
        with qtbot.waitSignal(heatmap.clicked) as caught:
            QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=place(heatmap, row, col))
        assert caught.args == [row, col]


def test_a_double_click_gives_the_cell_under_it(heatmap: Heatmap, qtbot: QtBot) -> None:
    show(heatmap, causal(4))
    view = canvas(heatmap).viewport()
    with qtbot.waitSignal(heatmap.double_clicked) as caught:
        QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=place(heatmap, 2, 1))
    assert caught.args == [2, 1]


def test_a_drag_moves_the_zoomed_cells_and_clicks_nothing(heatmap: Heatmap, qtbot: QtBot) -> None:
    show(heatmap, causal(32))
    heatmap.zoom_to((8, 16), (8, 16))
    view = canvas(heatmap).viewport()
    with qtbot.assertNotEmitted(heatmap.clicked):
        QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=place(heatmap, 10, 10))
        for step in range(1, 5):
            to = QPointF(place(heatmap, 10, 10)) + QPointF(20, 20) * step
            held = QMouseEvent(
                QEvent.Type.MouseMove, to, view.mapToGlobal(to), Qt.MouseButton.NoButton,
                Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier,
            )  # fmt: skip
            QApplication.sendEvent(view, held)
            qtbot.wait(15)  # pyqtgraph listens to a hundred moves a second and no more
        QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=to.toPoint())
    (top, bottom), _ = heatmap.visible_range()
    assert top < 8
    assert bottom - top == pytest.approx(8)


def test_pointing_lights_both_labels_and_reads_the_cell(heatmap: Heatmap, qtbot: QtBot) -> None:
    show(
        heatmap,
        causal(6),
        row_title="query",
        col_title="key",
        describe=lambda row, col: f"{row} looks at {col}",
    )
    with qtbot.waitSignal(heatmap.hovered) as caught:
        move(heatmap, 4, 2)
    assert caught.args == [4, 2]
    assert heatmap.readout() == "4 looks at 2"
    rows, cols = heatmap.findChildren(LabelAxis)
    assert (rows.lit(), cols.lit()) == (4, 2)
    with qtbot.waitSignal(heatmap.left):
        QApplication.sendEvent(canvas(heatmap), QEvent(QEvent.Type.Leave))
    assert (rows.lit(), cols.lit()) == (None, None)
    assert "lock" in heatmap.readout()


def test_the_locked_cell_is_read_while_nothing_is_pointed_at(heatmap: Heatmap) -> None:
    scores = causal(6)
    show(heatmap, scores)
    heatmap.set_cursor(3, 1)
    assert float(heatmap.readout().replace("−", "-")) == pytest.approx(scores[3, 1], rel=1e-5)
    before = heatmap.grab().toImage()
    heatmap.set_cursor(None, None)
    assert heatmap.grab().toImage() != before


def test_a_locked_cell_beyond_a_smaller_matrix_is_not_drawn(heatmap: Heatmap) -> None:
    show(heatmap, causal(6))
    heatmap.set_cursor(5, 5)
    show(heatmap, causal(2))
    heatmap.grab()
    assert "lock" in heatmap.readout()


def test_arrow_keys_walk_from_the_locked_cell_and_stop_at_the_edges(heatmap: Heatmap, qtbot: QtBot) -> None:
    show(heatmap, causal(3))
    heatmap.clicked.connect(heatmap.set_cursor)
    visited: list[tuple[int, int]] = []
    heatmap.clicked.connect(lambda row, col: visited.append((row, col)))
    for key in (
        Qt.Key.Key_Down,
        Qt.Key.Key_Down,
        Qt.Key.Key_Right,
        Qt.Key.Key_Up,
        Qt.Key.Key_Left,
        Qt.Key.Key_Left,
    ):
        QTest.keyClick(heatmap, key)
    assert visited == [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (0, 0)]


def test_the_zoom_stays_within_the_matrix_and_a_double_click_on_labels_resets_it(heatmap: Heatmap) -> None:
    show(heatmap, causal(32))
    heatmap.zoom_to((-10, 4), (20, 90))
    (top, _), (_, last) = heatmap.visible_range()
    assert top >= 0
    assert last <= 32
    rows, _ = heatmap.findChildren(LabelAxis)
    QTest.mouseDClick(rows, Qt.MouseButton.LeftButton)
    assert heatmap.visible_range() == ((0, 32), (0, 32))


def test_the_zoom_survives_new_values_of_the_same_shape_only(heatmap: Heatmap) -> None:
    show(heatmap, causal(32))
    heatmap.zoom_to((4, 8), (6, 12))
    show(heatmap, causal(32) + 1)
    assert heatmap.visible_range() == ((4, 8), (6, 12))
    show(heatmap, causal(16))
    assert heatmap.visible_range() == ((0, 16), (0, 16))


def test_the_wheel_zooms_in(heatmap: Heatmap) -> None:
    show(heatmap, causal(32))
    turn_wheel(canvas(heatmap).viewport(), QPointF(place(heatmap, 16, 16)), 1)
    (top, bottom), (first, last) = heatmap.visible_range()
    assert bottom - top < 32
    assert last - first < 32


def test_cells_with_more_cells_than_pixels_say_so(heatmap: Heatmap) -> None:
    heatmap.resize(300, 300)
    show(heatmap, causal(512))
    assert "512 × 512" in heatmap.readout()


def test_a_cell_pointed_at_elsewhere_is_lit_and_read_and_gives_way_to_the_own_pointer(
    heatmap: Heatmap,
) -> None:
    show(heatmap, causal(6), describe=lambda row, col: f"{row} looks at {col}")
    rows, cols = heatmap.findChildren(LabelAxis)
    heatmap.preview(5, 3)
    assert (rows.lit(), cols.lit(), heatmap.readout()) == (5, 3, "5 looks at 3")
    move(heatmap, 2, 1)
    heatmap.preview(4, 4)
    assert (rows.lit(), cols.lit(), heatmap.readout()) == (2, 1, "2 looks at 1")


def test_a_preview_beyond_the_matrix_lights_nothing(heatmap: Heatmap) -> None:
    show(heatmap, causal(3))
    rows, cols = heatmap.findChildren(LabelAxis)
    heatmap.preview(7, 1)
    heatmap.grab()
    assert (rows.lit(), cols.lit()) == (None, 1)
