"""The overview paints every head's map sharply, and is itself the control."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.widgets.maps.sheet import fit
from explorer_app.widgets.maps.thumbnails import ThumbnailGrid

pytestmark = pytest.mark.unit

LAYERS, HEADS, SIZE = 4, 6, 8


@pytest.fixture
def grid(qtbot: QtBot) -> ThumbnailGrid:
    widget = ThumbnailGrid()
    qtbot.addWidget(widget)
    widget.resize(600, 420)
    widget.show()
    show(widget, maps())
    return widget


def maps() -> np.ndarray:
    return np.random.default_rng(3).uniform(size=(LAYERS, HEADS, SIZE, SIZE)).astype(np.float32)


def show(widget: ThumbnailGrid, values: np.ndarray, **options: object) -> None:
    rows, cols = ([f"{sign}{i}" for i in range(n)] for sign, n in zip("LH", values.shape, strict=False))
    widget.show_maps(values, rows, cols, (1, 2), **options)  # type: ignore[arg-type]
    QApplication.processEvents()


def colour_of(widget: ThumbnailGrid, layer: int, head: int, row: int, col: int) -> str:
    """The colour in the middle of a cell, as painted on the widget."""
    box = widget.map_rect(layer, head)
    image = widget.grab().toImage()
    place = box.topLeft() + QPointF((col + 0.5) * box.width() / SIZE, (row + 0.5) * box.height() / SIZE)
    return image.pixelColor((place * image.devicePixelRatio()).toPoint()).name()


def name_of(value: float) -> str:
    return QColor(*theme.current().sequential[round(float(value) * 255)].tolist()).name()


def test_every_cell_of_every_map_has_exactly_the_colour_of_its_value(grid: ThumbnailGrid) -> None:
    values = maps()
    image = grid.image()
    assert image is not None
    origin = grid.map_rect(0, 0).topLeft()
    for layer in range(LAYERS):
        for head in range(HEADS):
            box = grid.map_rect(layer, head)
            for row, col in [(0, 0), (SIZE - 1, SIZE - 1), (2, 5)]:
                at = box.topLeft() - origin
                at += QPointF((col + 0.5) * box.width() / SIZE, (row + 0.5) * box.height() / SIZE)
                assert image.pixelColor(at.toPoint()).name() == name_of(values[layer, head, row, col])


@pytest.mark.process
def test_no_colour_is_painted_that_no_value_has(grid: ThumbnailGrid) -> None:
    show(grid, np.eye(SIZE, dtype=np.float32)[None, None].repeat(LAYERS, 0).repeat(HEADS, 1))
    image = grid.image()
    assert image is not None
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    assert seen == {name_of(0), name_of(1), theme.current().border}  # blurring would mix them


def test_masked_cells_are_grey_and_nan_is_not(grid: ThumbnailGrid) -> None:
    values = maps()
    values[0, 0, 2, 5] = -np.inf
    values[0, 0, 5, 2] = np.nan
    show(grid, values)
    assert colour_of(grid, 0, 0, 2, 5) == theme.current().masked
    assert colour_of(grid, 0, 0, 5, 2) == theme.current().error


def test_signed_maps_keep_zero_empty(grid: ThumbnailGrid) -> None:
    show(grid, np.zeros((LAYERS, HEADS, SIZE, SIZE), np.float32), limits=(-1.0, 1.0), signed=True)
    assert colour_of(grid, 2, 2, 3, 3) == theme.current().panel


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.integers(1, 60))
def test_fitting_keeps_the_largest_value_and_invents_none(t: int, s: int, height: int, width: int) -> None:
    values = np.random.default_rng(t * 41 + s).normal(size=(2, 1, t, s)).astype(np.float32)
    values[0, 0, 0, s // 2] = -np.inf
    small = fit(values, height, width)
    assert small.shape == (2, 1, height, width)
    np.testing.assert_array_equal(small.max((2, 3)), values.max((2, 3)))
    assert set(small.ravel().tolist()) <= set(values.ravel().tolist())


@pytest.mark.process
def test_a_single_bright_cell_survives_in_a_map_larger_than_its_place(grid: ThumbnailGrid) -> None:
    values = np.zeros((LAYERS, HEADS, 256, 256), np.float32)
    values[1, 3, 200, 77] = 1.0
    show(grid, values, caption="pooled by the engine")
    image = grid.image()
    assert image is not None
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    assert name_of(1) in seen
    assert grid.caption().startswith("pooled by the engine · drawn at ")
    assert "256 × 256" in grid.caption()


def test_the_caption_says_nothing_of_its_own_when_every_cell_is_drawn(grid: ThumbnailGrid) -> None:
    assert grid.caption() == ""
    show(grid, maps(), caption="pattern")
    assert grid.caption() == "pattern"


def test_the_caption_counts_the_cells_of_the_model_where_maps_came_already_shrunk(
    grid: ThumbnailGrid,
) -> None:
    show(grid, maps(), size=(256, 300))
    assert "8 × 8 of 256 × 300" in grid.caption()


def test_a_click_and_a_double_click_give_the_map_under_them(grid: ThumbnailGrid, qtbot: QtBot) -> None:
    for cell in [(0, 0), (3, 5), (2, 1)]:
        place = grid.map_rect(*cell).center().toPoint()
        with qtbot.waitSignal(grid.clicked) as caught:
            QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=place)
        assert caught.args == list(cell)
        with qtbot.waitSignal(grid.double_clicked) as caught:
            QTest.mouseDClick(grid, Qt.MouseButton.LeftButton, pos=place)
        assert caught.args == list(cell)


def test_a_gap_belongs_to_no_map(grid: ThumbnailGrid) -> None:
    first, second = grid.map_rect(0, 0), grid.map_rect(0, 1)
    assert second.left() > first.right()
    assert grid.map_at(QPointF((first.right() + second.left()) / 2, first.center().y())) is None
    assert grid.map_at(QPointF(-5, -5)) is None


def test_pointing_names_the_head_and_leaving_tells(grid: ThumbnailGrid, qtbot: QtBot) -> None:
    with qtbot.waitSignal(grid.hovered) as caught:
        QTest.mouseMove(grid, grid.map_rect(3, 5).center().toPoint())
    assert caught.args == [3, 5]
    assert grid.describe(3, 5) == "L3, H5"
    with qtbot.waitSignal(grid.left):
        QApplication.sendEvent(grid, QEvent(QEvent.Type.Leave))


def test_arrow_keys_walk_the_maps_and_stop_at_the_edges(grid: ThumbnailGrid) -> None:
    visited: list[tuple[int, int]] = []
    grid.clicked.connect(lambda layer, head: visited.append((layer, head)))
    for key in (
        Qt.Key.Key_Right,
        Qt.Key.Key_Down,
        Qt.Key.Key_Left,
        Qt.Key.Key_Up,
        Qt.Key.Key_Up,
        Qt.Key.Key_Up,
    ):
        QTest.keyClick(grid, key)
    assert visited == [(1, 3), (2, 3), (2, 2), (1, 2), (0, 2)]


def test_the_focus_and_the_marks_are_drawn(grid: ThumbnailGrid) -> None:
    before = grid.grab().toImage()
    grid.set_focus(3, 3)
    focused = grid.grab().toImage()
    assert focused != before
    grid.set_marks({(0, 0): "✕", (99, 99): "✕"})
    assert grid.grab().toImage() != focused
    assert grid.describe(0, 0) == "L0, H0: ✕"
    grid.set_marks({(0, 0): "✕"}, {(0, 0): "cut"})
    assert grid.describe(0, 0) == "L0, H0: cut"


def test_switching_the_theme_repaints_the_maps(grid: ThumbnailGrid, qapp: QApplication) -> None:
    show(grid, np.zeros((LAYERS, HEADS, SIZE, SIZE), np.float32))
    theme.apply(qapp, "dark")
    assert colour_of(grid, 2, 2, 3, 3) == theme.DARK.panel


def test_all_maps_stay_inside_the_widget_at_its_smallest(grid: ThumbnailGrid) -> None:
    grid.resize(grid.minimumSizeHint())
    show(grid, maps())
    assert QPointF(grid.width(), grid.height()).x() >= grid.map_rect(LAYERS - 1, HEADS - 1).right()
    assert grid.height() >= grid.map_rect(LAYERS - 1, HEADS - 1).bottom()


def test_without_maps_the_grid_says_so_and_takes_no_keys(qtbot: QtBot) -> None:
    widget = ThumbnailGrid()
    qtbot.addWidget(widget)
    widget.grab()
    with qtbot.assertNotEmitted(widget.clicked):
        QTest.keyClick(widget, Qt.Key.Key_Right)
    assert widget.map_at(QPointF(10, 10)) is None


def test_maps_that_do_not_match_their_labels_are_refused(grid: ThumbnailGrid) -> None:
    with pytest.raises(ValueError, match="labels"):
        grid.show_maps(maps(), ["L0"], ["H0"])


def test_a_score_frames_its_map_and_is_named(grid: ThumbnailGrid) -> None:
    scores = np.zeros((LAYERS, HEADS), np.float32)
    scores[1, 3] = 1
    plain = grid.grab().toImage()
    grid.set_scores(scores, title="previous token", words=lambda score: f"{score:g}")
    framed = grid.grab().toImage()
    box, inside = grid.map_rect(1, 3), QPointF(1, 1)
    assert framed.pixelColor((box.topLeft() + inside).toPoint()).name() == theme.current().output
    other = (grid.map_rect(2, 3).topLeft() + inside).toPoint()
    assert framed.pixelColor(other) == plain.pixelColor(other)
    assert grid.describe(1, 3) == "L1, H3: previous token 1"
    grid.set_scores(None)
    assert grid.describe(1, 3) == "L1, H3"
    assert grid.grab().toImage() == plain


def test_maps_in_another_order_are_known_by_their_names(grid: ThumbnailGrid) -> None:
    names = [f"head {n}" for n in range(LAYERS * HEADS)]
    grid.set_scores(np.full((LAYERS, HEADS), np.nan, np.float32), names, "local", lambda score: "–")
    assert grid.describe(2, 1) == "head 13: local –"


def test_each_head_may_have_a_scale_of_its_own_which_its_tooltip_says(grid: ThumbnailGrid) -> None:
    """A head whose scores reach a hundredth as far as another's is painted as strongly on its own scale."""
    values = np.broadcast_to(
        np.linspace(-1, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE), (2, 1, SIZE, SIZE)
    ).copy()
    values[1] *= 106
    values[:, :, 0, 3] = -np.inf
    limits = np.array([[[-1, 1]], [[-106, 106]]])
    show(grid, values, limits=limits, signed=True)
    small, large = (
        [colour_of(grid, layer, 0, *cell) for cell in ((7, 7), (7, 0), (3, 4), (0, 0))] for layer in (0, 1)
    )
    assert small == large
    assert len(set(small)) == 4
    assert grid.describe(0, 0) == "L0, H0, colours from −1 to 1"
    assert grid.describe(1, 0) == "L1, H0, colours from −106 to 106"
    show(grid, values, limits=(-106.0, 106.0), signed=True)
    assert grid.describe(0, 0) == "L0, H0"


def test_infinity_is_painted_as_what_is_no_number_and_not_as_the_largest(grid: ThumbnailGrid) -> None:
    values = maps()
    values[0, 0, 2, 2], values[0, 0, 4, 4] = np.inf, np.nan
    show(grid, values)
    assert colour_of(grid, 0, 0, 2, 2) == colour_of(grid, 0, 0, 4, 4) == QColor(theme.current().error).name()
