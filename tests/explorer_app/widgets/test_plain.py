"""Labels, tooltips, captions and titles show what was written, at a bounded size; nothing else makes them."""

import ast
from importlib.metadata import version
from pathlib import Path

import pytest
from PySide6.QtGui import Qt, QTextDocument
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.forms.about import about_text, version_of
from explorer_app.widgets.plain import (
    TIP_COLUMNS,
    TIP_LINES,
    Label,
    RichLabel,
    caption,
    rich,
    tip,
    title_text,
)
from explorer_app.words.blanks import visible_blanks
from tests.support.hostile.hostile_text import HOSTILE, LONG, MARKUP, OBEYED

pytestmark = pytest.mark.unit

APP = Path(__file__).resolve().parents[3] / "explorer_app"


def read(html: str) -> str:
    """What somebody reads of a rich text."""
    document = QTextDocument()
    document.setHtml(html)
    assert "<img" not in document.toHtml()
    return document.toPlainText().replace("\u00a0", " ")


def test_a_label_shows_its_text_and_says_what_it_was_told(qtbot: QtBot) -> None:
    label = Label(HOSTILE)
    qtbot.addWidget(label)
    shown = QLabel.text(label)
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert MARKUP in shown
    assert not OBEYED.search(shown)
    assert label.text() == HOSTILE


@pytest.mark.parametrize("wrap", [True, False])
def test_no_label_asks_for_the_width_of_what_somebody_wrote(qtbot: QtBot, wrap: bool) -> None:
    label = Label("w" * 100_000)
    qtbot.addWidget(label)
    label.setWordWrap(wrap)
    assert label.minimumSizeHint().width() < 600
    assert len(QLabel.text(label)) < 5000


def test_a_label_that_wraps_can_break_a_long_name_anywhere(qtbot: QtBot) -> None:
    label = Label(f"a path {LONG[:200]}")
    qtbot.addWidget(label)
    label.setWordWrap(True)
    lines = [label.heightForWidth(width) // label.fontMetrics().height() for width in (1000, 200)]
    assert lines[1] > lines[0] > 1


def test_the_parts_of_a_rich_sentence_are_read_as_they_are() -> None:
    html = rich("<b>{name}</b> of {count}", name=HOSTILE, count=3)
    assert MARKUP in read(html)
    assert html.startswith("<b>")
    assert not OBEYED.search(html)


def test_links_take_the_colour_of_a_new_theme(qtbot: QtBot, qapp: object) -> None:
    label = RichLabel('<a href="x">link</a>')
    qtbot.addWidget(label)
    label.show()
    theme.apply(qapp, "dark")  # type: ignore[arg-type]
    label.resize(200, 60)
    picture = label.grab().toImage()
    found = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}
    assert theme.DARK.query in found
    assert theme.LIGHT.query not in found


@pytest.mark.parametrize("text", [HOSTILE, MARKUP, "plain", "<b>bold</b>", "two\nlines", "&lt;"])
def test_a_tooltip_is_read_as_it_was_written(text: str) -> None:
    shown = tip(text)
    plain = read(shown) if Qt.mightBeRichText(shown) else shown
    assert text.partition("\n")[0] in plain
    assert not OBEYED.search(plain)
    assert tip("") == ""


@pytest.mark.parametrize("text", ["w" * 100_000, "<b>" + "word " * 9000, "line\n" * 5000])
def test_a_tooltip_is_bounded(text: str) -> None:
    shown = tip(text)
    lines = (read(shown) if Qt.mightBeRichText(shown) else shown).split("\n")
    assert len(lines) <= TIP_LINES
    assert max(map(len, lines)) <= TIP_COLUMNS


def test_a_caption_has_no_mark_of_a_key_and_one_line() -> None:
    assert caption("R&D\tfile\n") == "R&&D\\tfile\\n"
    assert len(caption("&" * 100_000)) <= 160
    assert not OBEYED.search(caption(HOSTILE))


def test_a_title_keeps_its_brackets() -> None:
    window = QWidget()
    window.setWindowTitle(title_text("a[*]b"))
    assert window.windowTitle() == "a[*][*]b"  # Qt shows two of them as one
    assert len(title_text(LONG)) < 200


def test_a_token_of_any_length_is_short_on_screen() -> None:
    shown = visible_blanks("begin" + " " * 100_000 + "end")
    assert shown.startswith("begin···")
    assert shown.endswith("end")
    assert len(shown) == 40


def test_about_says_version_licence_and_libraries() -> None:
    text = about_text()
    for part in (version("layerscope"), "MIT", version("torch"), version("PySide6-Essentials")):
        assert part in text
    assert version_of("no-such-package") == "(not installed)"


# The rule of the house


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]


def is_ours(node: ast.expr, maker: str) -> bool:
    """A text that went through `maker`, or one that is wholly ours: tr("...")."""
    made_by = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    if isinstance(node, ast.IfExp):
        return is_ours(node.body, maker) and is_ours(node.orelse, maker)
    return made_by in (maker, "tr") or (isinstance(node, ast.Constant) and node.value == "")


COLOURED = {"worn.py": {"QToolTip"}}  # it says no words


@pytest.mark.process
def test_only_one_module_makes_labels_tooltips_and_messages_and_one_makes_choosers() -> None:
    breaches = []
    for path in sorted(APP.rglob("*.py")):
        if path.name == "plain.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        makers = {"QLabel", "QToolTip", "QMessageBox"} - COLOURED.get(path.name, set())
        breaches += [f"{path.name} imports {name}" for name in names & makers]
        breaches += [
            f"{path.name}:{node.lineno} makes a QComboBox, not a Chooser"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "QComboBox"
        ]
        for method, maker in (("setToolTip", "tip"), ("setWindowTitle", "title_text")):
            breaches += [
                f"{path.name}:{call.lineno} {method} without {maker}"
                for call in calls(tree, method)
                if not is_ours(call.args[0], maker)
            ]
    assert not breaches


def test_the_rule_sees_a_tooltip_that_was_passed_by() -> None:
    tree = ast.parse(
        "w.setToolTip(name); w.setToolTip(tip(name)); w.setToolTip(tr('ours')); w.setToolTip('')"
    )
    assert [is_ours(call.args[0], "tip") for call in calls(tree, "setToolTip")] == [False, True, True, True]
