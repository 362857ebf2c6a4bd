"""The inspector shows the run's own numbers, of any site, and says what it leaves out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.panels.inspector import Inspector
from explorer_app.state.selection import Selection
from explorer_app.words.site_words import cut_words, roles, shape_words, statistics_words
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from model_core.taps.trace import to_array
from tests.support.window.local_engine import GPT2, LLAMA, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat because it was tired."
NARROW = (300, 420)


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Inspector]]:
    with on_screen(qtbot, Inspector, model, PROMPT, size=NARROW) as shown:
        yield shown


def run_of(model: str) -> Run:
    loaded = open_model(model)
    return Run(loaded.model, loaded.tokenizer.encode(PROMPT))


def table(panel: Inspector) -> np.ndarray:
    """The numbers behind the cells."""
    return panel.table.model()._values


def headers(panel: Inspector, orientation: Qt.Orientation) -> list[str]:
    model = panel.table.model()
    count = model.rowCount() if orientation == Qt.Orientation.Vertical else model.columnCount()
    return [str(model.headerData(n, orientation)) for n in range(count)]


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
@pytest.mark.process
def test_the_table_of_every_site_is_the_runs_tensor(qtbot: QtBot, tmp_path: Path, config: object) -> None:
    model = tiny_checkpoint(tmp_path, config)  # type: ignore[arg-type]
    run = run_of(model)
    with on_screen(qtbot, Inspector, model, PROMPT, size=NARROW) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        for site in session.sites[1:]:  # the first are the tokens themselves
            session.go_to(site["key"])
            settle()
            whole = to_array(run.value(site["key"]))
            whole = whole[0] if site["dims"].startswith("B ") else whole
            while whole.ndim > 2:
                whole = whole[0]
            np.testing.assert_array_equal(table(panel), whole[:512, :512])


def test_a_head_is_the_selected_one_and_its_spin_box_selects_it(
    shown: OnScreen[Inspector], model: str
) -> None:
    run = run_of(model)
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.1.attn.pattern")
    session.select(head=2)
    settle()
    assert panel.spins["H"].value() == 2
    np.testing.assert_array_equal(table(panel), to_array(run.value("blocks.1.attn.pattern"))[0, 2])
    panel.spins["H"].setValue(3)
    settle()
    assert session.selection.head == 3
    np.testing.assert_array_equal(table(panel), to_array(run.value("blocks.1.attn.pattern"))[0, 3])


def test_a_key_head_is_the_one_that_the_selected_head_shares(shown: OnScreen[Inspector], model: str) -> None:
    run = run_of(model)  # four query heads share two key/value heads
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.k")
    session.select(head=3)
    settle()
    assert panel.spins["G"].value() == 1
    np.testing.assert_array_equal(table(panel), to_array(run.value("blocks.0.attn.k"))[0, 1])
    panel.spins["G"].setValue(0)
    settle()
    assert session.selection.head == 0
    np.testing.assert_array_equal(table(panel), to_array(run.value("blocks.0.attn.k"))[0, 0])


def test_axes_that_need_no_choice_have_no_spin_box(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    for site, expected in (("blocks.0.attn.q", ["H"]), ("blocks.0.attn.v", ["G"]), ("logits", [])):
        session.go_to(site)
        settle()
        assert [axis for axis, spin in panel.spins.items() if spin.isVisible()] == expected


def test_a_cut_table_says_so_and_a_whole_one_does_not(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("logits")
    settle()
    assert panel.cut.text() == "first 512 of 2,048 columns"
    session.go_to("embed.out")
    settle()
    assert not panel.cut.text()


def test_rows_and_columns_of_tokens_carry_their_texts(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.scores")
    settle()
    rows, columns = headers(panel, Qt.Orientation.Vertical), headers(panel, Qt.Orientation.Horizontal)
    assert rows == columns
    assert rows[0] == "0 The"
    assert rows[1] == "1 ·cat"
    session.go_to("blocks.0.mlp.out")
    settle()
    assert headers(panel, Qt.Orientation.Horizontal)[:3] == ["0", "1", "2"]


def test_the_statistics_are_those_of_the_shown_slice(shown: OnScreen[Inspector], model: str) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.1.attn.masked")
    session.select(head=1)
    settle()
    values = to_array(run_of(model).value("blocks.1.attn.masked"))[0, 1]
    finite = values[np.isfinite(values)].astype(np.float64)
    hidden = int(np.isneginf(values).sum())
    assert hidden == len(values) * (len(values) - 1) // 2
    expected = {"min": finite.min(), "max": finite.max(), "mean": finite.mean(), "std": finite.std()}
    assert panel.statistics.text() == statistics_words(
        {**expected, "minus_infinite": hidden, "plus_infinite": 0, "nan": 0}
    )
    assert f"{hidden} × −∞" in panel.statistics.text()
    assert panel.histogram._counts.sum() == finite.size


def test_the_facts_name_every_axis_in_words(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.pattern")
    settle()
    length = len(session.run["tokens"])
    assert panel.facts.text() == (
        f"1 batch × 4 query head × {length} query position × {length} key position · float32"
    )


def test_a_typed_name_goes_there_and_a_wrong_one_gives_way(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    editor = panel.chooser.lineEdit()
    editor.selectAll()
    QTest.keyClicks(editor, "blocks.2.attn.z")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    settle()
    assert (session.selection.site, session.selection.layer) == ("blocks.2.attn.z", 2)
    editor.selectAll()
    QTest.keyClicks(editor, "no such site")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    settle()
    assert session.selection.site == "blocks.2.attn.z"
    assert panel.chooser.currentText() == "blocks.2.attn.z"


def test_a_half_typed_name_is_left_alone_while_answers_arrive(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.q")
    settle()
    panel.chooser.setEditText("blocks.2.at")
    session.select(head=1)
    settle()
    assert panel.chooser.currentText() == "blocks.2.at"


def test_any_part_of_a_name_finds_it(shown: OnScreen[Inspector]) -> None:
    panel = shown.panel
    completer = panel.chooser.completer()
    completer.setCompletionPrefix("attn.pattern")
    assert completer.completionCount() == LLAMA.layers


def test_the_table_follows_the_selected_tokens_and_a_click_selects_them(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.pattern")
    session.select(query=9, key=3)
    settle()
    index = panel.table.currentIndex()
    assert (index.row(), index.column()) == (9, 3)
    assert panel.table.viewport().rect().intersects(panel.table.visualRect(index))
    panel.table.cell_clicked.emit(5, 2)
    settle()
    assert (session.selection.query, session.selection.key) == (5, 2)
    session.go_to("blocks.0.attn.k")
    settle()
    assert {index.row() for index in panel.table.selectedIndexes()} == {2}
    panel.table.cell_clicked.emit(4, 7)
    settle()
    assert (session.selection.query, session.selection.key) == (5, 4)


def test_the_tokens_are_shown_with_their_ids(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.selection = replace(Selection(), site="tokens")
    panel.refresh()
    settle()
    assert table(panel)[:, 0].tolist() == session.run["tokens"]
    assert headers(panel, Qt.Orientation.Vertical)[:2] == ["0 The", "1 ·cat"]
    assert not panel.tabs.isTabVisible(1)
    session.go_to("logits")
    settle()
    assert panel.tabs.isTabVisible(1)


@pytest.mark.process
def test_it_fits_a_column_of_300(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    for site in session.sites:
        session.go_to(site["key"])
        settle()
        QApplication.processEvents()
        assert panel.minimumSizeHint().width() <= 300
        assert panel.table.height() > 80


def test_an_edit_shows_the_edited_numbers(shown: OnScreen[Inspector]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.0.attn.masked")
    settle()
    assert np.isneginf(table(panel)).any()
    session.change(edits=("mask off",))
    settle()
    assert not np.isneginf(table(panel)).any()


def test_words_for_shapes_cuts_and_statistics() -> None:
    assert shape_words("T P", (17, 6)) == "17 query position × 6 rotary pair"
    assert cut_words((512, 512), (600, 2048)) == "first 512 of 600 rows, first 512 of 2,048 columns"
    assert cut_words((3, 4), (3, 4)) == ""
    assert statistics_words({"minus_infinite": 2, "plus_infinite": 1, "nan": 3}) == "2 × −∞ · 1 × ∞ · 3 × NaN"


def test_only_values_of_a_role_have_its_colour() -> None:
    keys = ["blocks.0.norm1.out", "blocks.0.attn.q", "blocks.0.attn.scores", "blocks.0.attn.out"]
    assert roles(keys) == {"blocks.0.attn.q": "query", "blocks.0.attn.out": "output"}


def test_with_shift_held_only_the_row_of_the_present_token_is_lit(
    shown: OnScreen[Inspector], qtbot: QtBot
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("embed.out")
    window = panel.windowHandle()
    QTest.keyPress(window, Qt.Key.Key_Shift, Qt.KeyboardModifier.ShiftModifier)
    assert QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier
    for token in (1, 2, 3):
        session.select(query=token)
        settle()
    lit = {index.row() for index in panel.table.selectionModel().selectedIndexes()}
    QTest.keyRelease(window, Qt.Key.Key_Shift)
    assert lit == {3}
    assert panel.table.currentIndex().row() == 3
