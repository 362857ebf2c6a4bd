"""Edits are added, listed in words and removed; bad input says what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.panels.edits import Edits
from explorer_app.words.edit_words import in_words, suggestions
from model_core.api.edits import KINDS, parse
from model_core.api.names import AttentionKind
from tests.support.window.fake_run import THREE_KINDS
from tests.support.window.local_engine import GPT2, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat."
NARROW = (300, 330)


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Edits]]:
    with on_screen(qtbot, Edits, model, PROMPT, size=NARROW) as shown:
        yield shown


def words(panel: Edits) -> list[str]:
    return [chip.words.text() for chip in panel.chips]


def typed(qtbot: QtBot, panel: Edits, text: str) -> None:
    panel.entry.clear()
    qtbot.keyClicks(panel.entry, text)
    qtbot.keyClick(panel.entry, Qt.Key.Key_Return)


def test_an_edit_goes_from_words_to_chip_to_run_and_back(shown: OnScreen[Edits], qtbot: QtBot) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    assert words(panel) == []
    assert not panel.clear.isVisible()
    assert panel.about.isVisible()
    assert "as it is" in panel.about.text()
    typed(qtbot, panel, "  MASK off l1h2 ")
    typed(qtbot, panel, "ablate L0H3")
    settle()
    assert session.scene.edits == ("mask off L1H2", "ablate L0H3")
    assert words(panel) == ["mask off · layer 1 head 2", "ablate · layer 0 head 3"]
    assert session.shown == session.scene
    assert session.run["edits"] == list(session.scene.edits)
    panel.chips[0].remove.click()
    settle()
    assert session.scene.edits == ("ablate L0H3",)
    assert words(panel) == ["ablate · layer 0 head 3"]
    panel.clear.click()
    settle()
    assert session.scene.edits == ()
    assert words(panel) == []


def test_bad_words_are_answered_with_the_words_there_are(shown: OnScreen[Edits], qtbot: QtBot) -> None:
    panel, session = shown.panel, shown.session
    typed(qtbot, panel, "cut everything")
    assert session.scene.edits == ()
    assert panel.message.isVisible()
    assert "ablate L3H5" in panel.message.text()
    qtbot.keyClicks(panel.entry, "x")
    assert not panel.message.isVisible()


def test_a_low_panel_scrolls_to_words_that_it_has_no_room_for(shown: OnScreen[Edits], qtbot: QtBot) -> None:
    panel = shown.panel
    panel.resize(160, panel.minimumSizeHint().height())
    qtbot.waitUntil(lambda: panel.area.verticalScrollBar().maximum() > 0)
    for label in (panel.offers, panel.about):
        assert label.height() >= label.heightForWidth(label.width())


def test_an_edit_that_is_active_is_not_added_twice(shown: OnScreen[Edits], qtbot: QtBot) -> None:
    panel, session = shown.panel, shown.session
    typed(qtbot, panel, "mask off")
    typed(qtbot, panel, "mask  OFF")
    assert session.scene.edits == ("mask off",)
    assert "active already" in panel.message.text()


def test_an_edit_the_model_has_no_place_for_is_refused_by_the_field_where_it_was_typed(
    shown: OnScreen[Edits], qtbot: QtBot
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    typed(qtbot, panel, "ablate L9H0")
    assert panel.message.isVisible()
    assert panel.message.text() == "ablate L9H0: there is no layer 9; this model has layers 0 to 2"
    assert panel.entry.text() == "ablate L9H0"
    assert (session.edits, words(panel)) == ((), [])
    session.change(prompt="The dog")
    settle()
    assert session.shown.prompt == "The dog"


@pytest.fixture
def shallow(tmp_path: Path) -> str:
    """Two layers of three heads, of which the window knows nothing yet."""
    return tiny_checkpoint(tmp_path, GPT2)


@pytest.mark.process
def test_an_edit_is_suspended_and_says_why_where_another_model_has_no_place_for_it(
    shown: OnScreen[Edits], qtbot: QtBot, shallow: str, model: str
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    for edit in ("ablate L2H0", "ablate L0H3", "mask off"):
        typed(qtbot, panel, edit)
    settle()
    session.open(shallow)
    settle()
    assert session.shown.model == shallow
    assert session.run["edits"] == ["mask off"]
    assert session.message == ""
    # What is in force comes first.
    assert words(panel) == [
        "mask off · every layer",
        "ablate · layer 2 head 0 (suspended: there is no layer 2; this model has layers 0 to 1)",
        "ablate · layer 0 head 3 (suspended: there is no head 3; this model has heads 0 to 2)",
    ]
    assert [chip.words.isEnabled() for chip in panel.chips] == [True, False, False]
    assert not panel.about.isVisible()
    session.change(prompt="Another prompt")
    settle()
    assert session.shown.prompt == "Another prompt"
    panel.chips[2].remove.click()
    session.open(model)
    settle()
    assert session.run["edits"] == ["ablate L2H0", "mask off"]
    assert words(panel) == ["ablate · layer 2 head 0", "mask off · every layer"]


def test_where_every_edit_is_suspended_the_model_runs_as_it_is(
    shown: OnScreen[Edits], qtbot: QtBot, shallow: str
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    typed(qtbot, panel, "ablate L2H0")
    session.open(shallow)
    settle()
    assert panel.about.isVisible()
    assert panel.clear.isVisible()
    panel.clear.click()
    assert (session.edits, session.suspended, words(panel)) == ((), {}, [])


def test_what_was_said_of_an_edit_goes_with_what_it_was_said_of(
    shown: OnScreen[Edits], qtbot: QtBot, shallow: str
) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    typed(qtbot, panel, "mask off")
    typed(qtbot, panel, "mask off")
    assert panel.message.isVisible()
    session.select(layer=1)
    session.change(prompt="The dog")
    settle()
    assert panel.message.isVisible()
    panel.clear.click()
    assert not panel.message.isVisible()
    typed(qtbot, panel, "ablate L2H0")
    typed(qtbot, panel, "ablate L2H0")
    assert panel.message.isVisible()
    session.open(shallow)
    assert not panel.message.isVisible()


def test_offered_edits_follow_the_selection_and_can_be_clicked(shown: OnScreen[Edits]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.select(layer=2, head=1)
    settle()
    assert 'href="ablate L2H1"' in panel.offers.text()
    panel.offers.linkActivated.emit("ablate L2H1")
    settle()
    assert session.scene.edits == ("ablate L2H1",)
    assert 'href="ablate L2H1"' not in panel.offers.text()


def test_chips_change_colour_with_the_theme(shown: OnScreen[Edits], qtbot: QtBot, qapp: object) -> None:
    panel, settle = shown.panel, shown.settle
    typed(qtbot, panel, "mask off")
    theme.apply(qapp, "dark")  # type: ignore[arg-type]
    settle()
    assert theme.DARK.accent in panel.chips[0].styleSheet()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("mask off", "mask off · every layer"),
        ("mask off L3", "mask off · layer 3"),
        ("mask off L3H5", "mask off · layer 3 head 5"),
        ("ablate L3H5", "ablate · layer 3 head 5"),
        ("window 8", "window of 8 · every layer"),
        ("window 8 L2H1", "window of 8 · layer 2 head 1"),
        ("cut cross L1H0 5->2", "cut 5 → 2 · cross · layer 1 head 0"),
        ("cut L1H0 5->2 renormalise", "cut 5 → 2, renormalised · layer 1 head 0"),
        ("mean L3H5", "mean over the text · layer 3 head 5"),
        ("skip L4", "skip · layer 4"),
        ("skip mlp encoder L4", "skip MLP · encoder · layer 4"),
        ("skip cross L4", "skip attention · cross · layer 4"),
        ("set logits[1,2]=0.5", "set logits[1,2]=0.5"),
        ("patch norm.out from A b", "patch norm.out from A b"),
        ("no edit at all", "no edit at all"),
    ],
)
def test_edits_read_as_words(edit: str, said: str) -> None:
    assert in_words(edit) == said


@pytest.mark.parametrize("kind", [None, *THREE_KINDS])
def test_what_is_offered_can_be_parsed(kind: AttentionKind | None) -> None:
    offered = suggestions(1, 2, kind.name if kind else "", kind)
    assert [str(parse(edit)) for edit in offered] == offered
    assert len(offered) >= 3


def test_every_kind_of_edit_is_named_and_can_be_typed(shown: OnScreen[Edits], qtbot: QtBot) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    kinds = [kind for kind in KINDS if kind.name != "patch"]  # that needs a file
    assert all(kind.words in panel.help.text() for kind in KINDS)
    for kind in kinds:
        example = kind.words.split(", ")[-1]
        for deep, shallow in (("L3", "L1"), ("L4", "L2"), ("H5", "H0"), ("blocks.3", "blocks.0")):
            example = example.replace(deep, shallow)
        typed(qtbot, panel, example)
        assert not panel.message.isVisible(), panel.message.text()
    settle()
    assert len(session.run["edits"]) == len(panel.chips) == len(kinds)
    assert all("suspended" not in words for words in words(panel))


def test_a_file_that_is_not_there_is_said_in_the_window(shown: OnScreen[Edits], qtbot: QtBot) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    typed(qtbot, panel, "patch logits from nowhere.safetensors")
    settle()
    assert session.message == "patch logits from nowhere.safetensors: . has no nowhere.safetensors"
    panel.clear.click()
    settle()
    assert session.message == ""
