"""The heatmap draws exactly the numbers it was given, and a click means the cell under it."""

from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.state.settings import Scheme
from explorer_app.widgets.labels import LabelAxis
from explorer_app.widgets.maps.colourbar import ColourBar
from explorer_app.widgets.maps.colours import colour_limits, colour_map
from explorer_app.widgets.maps.heatmap import Heatmap
from tests.support.window.pointer import canvas, on_canvas, point_at, turn_wheel

pytestmark = pytest.mark.unit


@pytest.fixture
def heatmap(qtbot: QtBot) -> Heatmap:
    widget = Heatmap()
    qtbot.addWidget(widget)
    widget.resize(700, 600)
    widget.show()
    return widget


def labels(count: int) -> list[str]:
    return [f"·t{i}" for i in range(count)]


def show(widget: Heatmap, values: np.ndarray, **options: object) -> None:
    widget.show_matrix(values, labels(values.shape[0]), labels(values.shape[1]), **options)  # type: ignore[arg-type]
    QApplication.processEvents()


def move(widget: Heatmap, row: int, col: int) -> None:
    point_at(widget, widget.cell_centre(row, col))


def place(widget: Heatmap, row: int, col: int) -> QPoint:
    return on_canvas(widget, widget.cell_centre(row, col))


def bar_texts(widget: Heatmap) -> list[str]:
    (bar,) = widget.findChildren(ColourBar)
    return [text for _, text in bar.texts()]


def causal(size: int) -> np.ndarray:
    scores = np.random.default_rng(size).normal(size=(size, size)).astype(np.float32)
    scores[np.triu_indices(size, 1)] = -np.inf
    return scores


def colour_at(widget: Heatmap, row: int, col: int, shift: QPointF | None = None) -> QColor:
    return pixel(widget.grab().toImage(), widget.cell_centre(row, col) + (shift or QPointF()))


def pixel(image: QImage, point: QPointF) -> QColor:
    return image.pixelColor((point * image.devicePixelRatio()).toPoint())


def byte_of(values: np.ndarray, limits: tuple[float, float]) -> int:
    return int(np.clip((values - limits[0]) / (limits[1] - limits[0]) * 256, 0, 255))


def test_the_image_item_draws_exactly_the_values_with_nan_for_masked_cells(heatmap: Heatmap) -> None:
    scores = causal(9)
    show(heatmap, scores, colours="symmetric")
    drawn = heatmap.image_values()
    assert drawn.dtype == np.float32
    masked = np.isneginf(scores)
    np.testing.assert_array_equal(np.isnan(drawn), masked)
    np.testing.assert_array_equal(drawn[~masked], scores[~masked])


def test_the_callers_array_is_neither_changed_nor_kept(heatmap: Heatmap) -> None:
    scores = causal(4)
    before = scores.copy()
    show(heatmap, scores)
    np.testing.assert_array_equal(scores, before)
    scores[0, 0] = 99
    assert heatmap.image_values()[0, 0] == before[0, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_cell_has_the_colour_of_its_value(heatmap: Heatmap, qapp: QApplication, scheme: Scheme) -> None:
    theme.apply(qapp, scheme)
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    show(heatmap, values, limits=(0.0, 1.0))
    beside_the_number = QPointF(0, (heatmap.cell_centre(1, 0).y() - heatmap.cell_centre(0, 0).y()) * 0.4)
    for row in range(3):
        for col in range(4):
            seen = colour_at(heatmap, row, col, beside_the_number)
            wanted = theme.current().sequential[byte_of(values[row, col], (0.0, 1.0))].astype(int)
            got = np.array([seen.red(), seen.green(), seen.blue()])
            assert np.abs(got - wanted).max() <= 4, (row, col)


def test_masked_cells_are_hatched_and_zero_is_empty(heatmap: Heatmap) -> None:
    show(heatmap, np.array([[0.0, -np.inf], [1.0, 0.0]], np.float32))
    image = heatmap.grab().toImage()
    centre = heatmap.cell_centre(0, 1)
    seen = {pixel(image, centre + QPointF(dx, dy)).name() for dx in range(-12, 13) for dy in range(-12, 13)}
    colours = theme.current()
    assert colours.masked in seen
    assert len(seen) > 2  # the lines, and their soft edges
    reds = [QColor(name).red() for name in seen]
    assert QColor(colours.masked_line).red() - 3 <= min(reds)
    assert max(reds) == QColor(colours.masked).red()
    assert colour_at(heatmap, 1, 1, QPointF(0, 40)).name() == colours.panel


def test_nan_and_infinity_are_signs_and_no_colours_of_the_map(heatmap: Heatmap) -> None:
    show(heatmap, np.array([[np.nan, np.inf], [0.5, -np.inf]], np.float32))
    assert heatmap.cell_text(0, 0) == "X"
    assert heatmap.cell_text(0, 1) == "∞"
    assert heatmap.cell_text(1, 0) == "0.5"
    assert heatmap.cell_text(1, 1) == ""
    for col in (0, 1):
        assert colour_at(heatmap, 0, col, QPointF(40, 40)).name() == theme.current().error


def test_values_beyond_the_limits_are_marked_in_the_cell_and_on_the_bar(heatmap: Heatmap) -> None:
    show(heatmap, np.array([[-9.0, 0.0], [0.5, 9.0]], np.float32), colours="diverging", limits=(-1.0, 1.0))
    assert bar_texts(heatmap) == ["≤ −1", "0", "≥ 1"]
    step = heatmap.cell_centre(1, 1) - heatmap.cell_centre(0, 0)
    inside = colour_at(heatmap, 1, 1, QPointF(step.x() * 0.4, step.y() * 0.3))
    corner = colour_at(heatmap, 1, 1, QPointF(step.x() * 0.5 - 3, -step.y() * 0.5 + 3))
    assert corner != inside


def test_the_bar_shows_the_limits_that_the_image_is_painted_with(heatmap: Heatmap) -> None:
    show(heatmap, np.array([[0.125, 0.75]], np.float32))
    assert heatmap.painted_limits() == (0.0, 0.75)
    assert bar_texts(heatmap) == ["0", "0.75"]
    show(heatmap, np.array([[0.125, 0.75]], np.float32), limits=(0.0, 1.0))
    assert heatmap.painted_limits() == (0.0, 1.0)
    show(heatmap, np.array([[-3.0, 1.0]], np.float32), colours="symmetric")
    assert heatmap.painted_limits() == (-3.0, 3.0)
    show(heatmap, np.array([[-3.0, 1.0]], np.float32), colours="diverging")
    assert heatmap.painted_limits() == (-3.0, 1.0)


@pytest.mark.parametrize("colours", ["sequential", "diverging", "symmetric"])
@pytest.mark.parametrize("fill", [0.0, 3.0, -3.0, np.nan, -np.inf, np.inf])
def test_a_constant_or_empty_matrix_has_limits_that_span_something(
    heatmap: Heatmap, colours: str, fill: float
) -> None:
    values = np.full((2, 3), fill, np.float32)
    low, high = colour_limits(values, colours, None)  # type: ignore[arg-type]
    assert np.isfinite([low, high]).all()
    assert low < high
    show(heatmap, values, colours=colours)
    heatmap.grab()
    assert heatmap.painted_limits() == (low, high)


def test_zero_keeps_its_neutral_colour_when_the_limits_are_not_symmetric() -> None:
    lut = colour_map("diverging", (-1.0, 3.0))
    np.testing.assert_array_equal(lut[64], theme.current().diverging[128])
    np.testing.assert_array_equal(lut[255], theme.current().diverging[255])
    assert not np.array_equal(lut[0], theme.current().diverging[0])


def test_the_first_row_is_at_the_top_and_the_first_column_at_the_left(heatmap: Heatmap) -> None:
    show(heatmap, np.eye(3, 5, dtype=np.float32))
    assert heatmap.cell_centre(0, 0).y() < heatmap.cell_centre(2, 0).y()
    assert heatmap.cell_centre(0, 0).x() < heatmap.cell_centre(0, 4).x()
    assert colour_at(heatmap, 0, 4, QPointF(0, 30)).name() == theme.current().panel
    assert colour_at(heatmap, 2, 2, QPointF(0, 30)).name() != theme.current().panel


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


def overlapping(axis: LabelAxis) -> list[tuple[int, int]]:
    places = sorted(axis.drawn())
    pairs = pairwise((index, rect.adjusted(0.01, 0.01, -0.01, -0.01)) for index, rect in places)
    return [(a, b) for (a, one), (b, other) in pairs if one.intersects(other)]


@pytest.mark.parametrize("size", [2, 9, 33, 64, 256])
def test_labels_do_not_overlap_at_any_size_or_zoom(heatmap: Heatmap, size: int) -> None:
    show(heatmap, causal(size), row_title="query", col_title="key")
    axes = heatmap.findChildren(LabelAxis)
    for rows, cols in [((0, size), (0, size)), ((0, size / 2), (size / 4, size)), ((0, 2), (0, 2))]:
        heatmap.zoom_to(rows, cols)
        for axis in axes:
            assert axis.drawn()
            assert overlapping(axis) == []


def test_all_of_few_labels_are_drawn_and_zooming_in_brings_more_of_many(heatmap: Heatmap) -> None:
    show(heatmap, causal(20))
    rows, cols = heatmap.findChildren(LabelAxis)
    assert len(rows.drawn()) == len(cols.drawn()) == 20
    show(heatmap, causal(256))
    assert 5 < len(rows.drawn()) < 60
    heatmap.zoom_to((100, 120), (100, 120))
    assert [index for index, _ in sorted(rows.drawn())] == list(range(100, 120))


def test_labels_stand_beside_their_cells(heatmap: Heatmap) -> None:
    show(heatmap, causal(12), row_title="query", col_title="key")
    rows, cols = heatmap.findChildren(LabelAxis)
    for index, rect in rows.drawn():
        assert rows.y() + rect.center().y() == pytest.approx(heatmap.cell_centre(index, 0).y(), abs=0.51)
    for index, rect in cols.drawn():
        assert cols.x() + rect.center().x() == pytest.approx(heatmap.cell_centre(0, index).x(), abs=0.51)


def test_the_pointed_row_is_labelled_even_among_256(heatmap: Heatmap) -> None:
    show(heatmap, causal(256))
    rows, cols = heatmap.findChildren(LabelAxis)
    for cell in [(201, 57), (3, 1)]:
        move(heatmap, *cell)
        pointed = (rows.lit(), cols.lit())
        assert pointed[0] is not None
        assert abs(pointed[0] - cell[0]) <= 1  # a cell is little more than a pixel
        assert pointed[0] in dict(rows.drawn())
        assert pointed[1] in dict(cols.drawn())
        assert overlapping(rows) == overlapping(cols) == []


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


def test_switching_the_theme_repaints_with_its_colours(heatmap: Heatmap, qapp: QApplication) -> None:
    show(heatmap, np.array([[0.0, 1.0]], np.float32))
    assert colour_at(heatmap, 0, 0, QPointF(0, 40)).name() == theme.LIGHT.panel
    theme.apply(qapp, "dark")
    QApplication.processEvents()
    assert colour_at(heatmap, 0, 0, QPointF(0, 40)).name() == theme.DARK.panel
    np.testing.assert_array_equal(heatmap.image_values(), [[0.0, 1.0]])


def test_one_row_of_a_cached_step_does_not_become_a_tower(heatmap: Heatmap) -> None:
    show(heatmap, np.ones((1, 8), np.float32))
    cell_width = heatmap.cell_centre(0, 1).x() - heatmap.cell_centre(0, 0).x()
    assert canvas(heatmap).height() <= 2.6 * cell_width


def test_an_empty_matrix_says_that_there_is_nothing(heatmap: Heatmap) -> None:
    show(heatmap, causal(3))
    show(heatmap, np.zeros((0, 0), np.float32))
    heatmap.grab()
    assert heatmap.image_values().shape == (0, 0)
    assert "Nothing" in heatmap.readout()
    assert heatmap.cell_at(QPointF(200, 200)) is None


def test_labels_that_do_not_match_the_matrix_are_refused(heatmap: Heatmap) -> None:
    with pytest.raises(ValueError, match="labels"):
        heatmap.show_matrix(np.zeros((2, 2), np.float32), ["a"], ["a", "b"])


def test_the_heatmap_and_its_parts_have_names_for_assistive_technology(heatmap: Heatmap) -> None:
    show(heatmap, causal(3), row_title="who looks", col_title="who is looked at")
    assert heatmap.accessibleName() == "Heatmap: who looks by who is looked at"
    for axis, name in zip(heatmap.findChildren(LabelAxis), ("who looks", "who is looked at"), strict=True):
        assert axis.accessibleName() == name


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


def test_stretched_cells_fill_the_room_and_a_bar_that_says_nothing_is_left_out(heatmap: Heatmap) -> None:
    show(heatmap, np.ones((1, 8), np.float32))
    cramped = canvas(heatmap).height()
    show(heatmap, np.ones((1, 8), np.float32), stretch=True, bar=False)
    assert canvas(heatmap).height() > 2 * cramped
    (bar,) = heatmap.findChildren(ColourBar)
    assert not bar.isVisible()


def test_angles_have_the_same_colour_after_a_full_turn() -> None:
    lut = colour_map("cyclic", (-np.pi, np.pi))
    steps = np.linalg.norm(np.diff(theme.oklab(np.append(lut, lut[:1], axis=0) / 255), axis=0), axis=1)
    assert steps.max() < 3 * np.median(steps)  # the last to the first like any other
    assert theme.oklab(lut / 255)[:, 0].std() < 0.01


def test_numbers_stand_on_all_cells_in_sight_or_on_none(heatmap: Heatmap) -> None:
    """In one precision: cells whose number is long leave no hole among the others."""
    values = np.array([[0.5, 0.00123], [-0.0456, 1e-9]], np.float32)
    show(heatmap, np.tile(values, (4, 6)))
    overlay = heatmap._overlay
    seen = {}
    for width in range(20, 120):
        _, texts = overlay.fitting_texts(float(width))
        assert len(texts) in (0, 8 * 12)
        seen[width] = sorted(set(texts.values()))
    assert seen[119] == ["0.0012", "0.5", "1e-9", "−0.046"]
    assert ["0.001", "0.5", "1e-9", "−0.05"] in seen.values()
    assert seen[20] == []


def test_labels_too_close_for_one_line_go_side_by_side_and_none_is_left_out(heatmap: Heatmap) -> None:
    letters = ["<|begin|>", *"the 3rd of March 1987"]
    heatmap.resize(420, 210)
    values = causal(len(letters))
    heatmap.show_matrix(
        values, letters, letters, row_title="source looks", col_title="at source", stretch=True
    )
    QApplication.processEvents()
    rows, _ = heatmap.findChildren(LabelAxis)
    places = dict(rows.drawn())
    assert sorted(places) == list(range(len(letters)))
    assert len({round(rect.left()) for rect in places.values()}) > 1
    for index, rect in places.items():
        assert rows.y() + rect.center().y() == pytest.approx(heatmap.cell_centre(index, 0).y(), abs=0.51)
        assert not any(
            rect.adjusted(0.01, 0.01, -0.01, -0.01).intersects(other)
            for n, other in places.items()
            if n != index
        )
    heatmap.grab()


def test_long_labels_too_close_are_thinned_and_those_left_are_marked(heatmap: Heatmap) -> None:
    words = [f"word{n}" for n in range(40)]
    heatmap.resize(420, 210)
    heatmap.show_matrix(causal(40), words, words, stretch=True)
    QApplication.processEvents()
    rows, _ = heatmap.findChildren(LabelAxis)
    drawn = [index for index, _ in rows.drawn()]
    assert 3 < len(drawn) < 40
    image = rows.grab().toImage()
    muted = QColor(theme.current().muted).name()

    def marked(index: int) -> bool:
        y = round(heatmap.cell_centre(index, 0).y() - rows.y())
        return any(image.pixelColor(image.width() - 2, y + near).name() == muted for near in (-1, 0, 1))

    assert all(map(marked, drawn))
    assert not any(marked(index) for index in range(40) if min(abs(index - at) for at in drawn) > 1)
