"""A table gives the digits, and gives them away whole."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from explorer_app.widgets.lists.table import ArrayTable

pytestmark = pytest.mark.unit


@pytest.fixture
def table(qtbot: QtBot) -> ArrayTable:
    widget = ArrayTable()
    qtbot.addWidget(widget)
    widget.resize(500, 300)
    widget.show()
    values = np.array([[1 / 3, -np.inf, np.nan], [1e-9, -2.5, np.inf]], np.float32)
    widget.show_array(values, ["The", "·cat"], ["a", "b", "c"])
    return widget


def test_cells_have_six_digits_and_words_for_what_is_no_number(table: ArrayTable) -> None:
    shown = [[table.text(row, col) for col in range(3)] for row in range(2)]
    assert shown == [["0.333333", "−∞", "NaN"], ["1e-09", "-2.5", "∞"]]


def test_headers_are_the_labels_or_the_numbers(table: ArrayTable) -> None:
    model = table.model()
    assert [model.headerData(i, Qt.Orientation.Horizontal) for i in range(3)] == ["a", "b", "c"]
    assert model.headerData(1, Qt.Orientation.Vertical) == "·cat"
    table.show_array(np.zeros((2, 2)))
    assert model.headerData(1, Qt.Orientation.Horizontal) == "1"


def test_short_names_of_columns_are_never_cut(table: ArrayTable) -> None:
    names = ["q_rot[127] x₀", "q_rot[127] x₁", "a name that is longer than any number of it could be"]
    table.show_array(np.zeros((2, 3)), cols=names)
    header = table.horizontalHeader()
    assert [header.sectionSizeFromContents(n).width() <= header.sectionSize(n) for n in range(3)] == [
        True,
        True,
        False,
    ]
    assert table.model().headerData(2, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) == names[2]


def test_names_of_rows_are_whole_where_their_number_stays(table: ArrayTable, qtbot: QtBot) -> None:
    header = table.verticalHeader()
    for name in ("0 O", "0 On", "0 Once upon a time", "0 O"):
        table.show_array(np.zeros((1, 1)), rows=[name])
        qtbot.waitUntil(lambda: header.width() == header.sectionSizeFromContents(0).width())


def test_copying_gives_every_digit_of_the_array_with_its_labels(table: ArrayTable) -> None:
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == "\ta\tb\tc"
    assert lines[1].split("\t")[0] == "The"
    copied = np.array([line.split("\t")[1:] for line in lines[1:]], np.float32)
    np.testing.assert_array_equal(
        copied, np.array([[1 / 3, -np.inf, np.nan], [1e-9, -2.5, np.inf]], np.float32)
    )


def test_only_what_is_selected_is_copied(table: ArrayTable) -> None:
    table.selectColumn(1)
    table.copy()
    assert QGuiApplication.clipboard().text() == "\tb\nThe\t-inf\n·cat\t-2.5\n"


def test_a_click_gives_the_cell(table: ArrayTable, qtbot: QtBot) -> None:
    place = table.visualRect(table.model().index(1, 2)).center()
    with qtbot.waitSignal(table.cell_clicked) as caught:
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert caught.args == [1, 2]


def test_a_large_array_is_neither_copied_nor_turned_into_text(table: ArrayTable) -> None:
    values = np.zeros((2048, 50257), np.float16)
    table.show_array(values)
    values[2047, 50256] = 7
    assert table.text(2047, 50256) == "7"
    table.grab()


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)])
def test_arrays_that_are_no_table_are_refused(table: ArrayTable, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two axes"):
        table.show_array(np.zeros(shape))


def test_labels_that_do_not_match_are_refused(table: ArrayTable) -> None:
    with pytest.raises(ValueError, match="labels"):
        table.show_array(np.zeros((2, 2)), ["a"], ["b", "c"])
