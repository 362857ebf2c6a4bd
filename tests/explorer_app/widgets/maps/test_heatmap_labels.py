"""The labels of a heatmap stand beside their cells and never over each other."""

from itertools import pairwise

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from explorer_app import theme
from explorer_app.widgets.labels import LabelAxis
from explorer_app.widgets.maps.heatmap import Heatmap
from tests.support.window.heatmaps import causal, move, show

pytestmark = pytest.mark.unit


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
