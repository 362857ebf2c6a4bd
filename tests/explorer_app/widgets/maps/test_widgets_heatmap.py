"""The heatmap draws exactly the numbers it was given."""

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication

from explorer_app import theme
from explorer_app.state.settings import Scheme
from explorer_app.widgets.labels import LabelAxis
from explorer_app.widgets.maps.colourbar import ColourBar
from explorer_app.widgets.maps.colours import colour_limits, colour_map
from explorer_app.widgets.maps.heatmap import Heatmap
from tests.support.window.heatmaps import causal, show
from tests.support.window.pointer import canvas

pytestmark = pytest.mark.unit


def bar_texts(widget: Heatmap) -> list[str]:
    (bar,) = widget.findChildren(ColourBar)
    return [text for _, text in bar.texts()]


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
