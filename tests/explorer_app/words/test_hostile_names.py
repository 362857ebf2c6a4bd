"""A window whose model, tokens, folders and errors want to be obeyed shows them as they are, and keeps its size."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import Qt
from PySide6.QtWidgets import QApplication, QWidget

from explorer_app.forms.config_form import AsksDialog
from explorer_app.forms.untrained_dialog import UntrainedDialog
from explorer_app.state.settings import Recent
from explorer_app.state.training import Spec
from explorer_app.widgets.lists.pointing import PaintedItems
from explorer_app.widgets.plain import Message, tip
from explorer_app.window.keys_dialog import KeysDialog
from explorer_app.window.window import MainWindow
from tests.support.hostile.hostile_text import FOLDER, HOSTILE, LONG, OBEYED, TOKENS, hostile_checkpoint
from tests.support.models.tiny import save
from tests.support.window.walk import guessed, name_of, texts, widgets
from tests.support.window.window_on_screen import whole_window

pytestmark = pytest.mark.process

PROMPT = " ".join(token for token in TOKENS if " " not in token and "\n" not in token)
ASKS = [{"name": "heads", "default": 8, "about": HOSTILE, "kind": "int", "choices": []}]


@pytest.fixture(params=["llama", "seq2seq"])
def window(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MainWindow]:
    with whole_window(hostile_checkpoint(tmp_path / FOLDER, family=request.param), PROMPT) as window:
        yield window


def wrongs(shown: list[QWidget]) -> list[str]:
    """Where a text is not read as it was written."""
    found = []
    for widget in shown:
        for what, text in texts(widget):
            where = f"{name_of(widget)}: {what} {text[:200]!r}"
            # Every word of the names is read with the signs before it.
            if re.search(
                r"(?<!<b>)loud|(?<!&amp; &)file \[|\[\](?!\*)|<picture>", text.replace("\u200b", "")
            ):
                found.append(f"obeyed: {where}")
            if OBEYED.search(text.replace("\u200b", "")):
                found.append(f"an order: {where}")
            if len(text) > 20_000:
                found.append(f"without end: {where}")
    return found


def speak(window: MainWindow) -> None:
    """Everything that can say a name says a hostile one."""
    session = window.session
    session.tell(f"{HOSTILE}: {LONG * 20}", {"prompt": HOSTILE}, None)
    window.client.note(HOSTILE + "\n")
    window.prompt_bar.model.remember(Recent("/nowhere/" + FOLDER, (f"heads={HOSTILE}",)))
    window.prompt_bar.model.remember(Recent("x" * 5000))
    window.menus.show_recent()
    session.training.specs["x"] = Spec(f"/{FOLDER}", source=session.scene.model, data=(HOSTILE, LONG))
    session.training.offer((f"/{FOLDER}.txt", f"/{LONG}"))
    window.docks["train"].panel.form.say("out", f"{HOSTILE} {LONG}")
    window.docks["edits"].panel._say(f"{HOSTILE} {LONG}")
    QApplication.processEvents()


def test_every_text_of_the_window_and_its_dialogs_is_read_as_it_was_written(
    window: MainWindow,
) -> None:
    size = window.size()
    speak(window)
    dialogs: list[QWidget] = [
        KeysDialog(window),
        UntrainedDialog(window.session, window.client, window),
        AsksDialog(HOSTILE, ASKS, f"heads {HOSTILE} {LONG}", window),
        Message(window, HOSTILE, HOSTILE + LONG),
    ]
    window.log.show()
    for dialog in dialogs:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
        dialog.show()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(f"/{FOLDER}")])
    window.veil._begin(data)
    assert "<b>loud<" in window.veil.words
    QApplication.processEvents()
    try:
        assert not wrongs(widgets(window))
        assert all(dialog.minimumSizeHint().width() < window.width() for dialog in dialogs)
    finally:
        for dialog in dialogs:
            dialog.close()
            dialog.deleteLater()
        window.log.close()
    assert window.size() == size
    assert "<b>loud<" in window.windowTitle()
    assert "\\x1b" in window.client.log


def test_every_tooltip_of_a_painted_item_is_read_as_it_was_written(window: MainWindow) -> None:
    seen = 0
    for items in window.findChildren(PaintedItems):
        counts = [getattr(items, name, ()) for name in ("_tokens", "_bars")]
        for index in range(max(map(len, counts))):
            shown = guessed(tip(items.tip(index)))
            seen += 1
            assert not re.search(r"(?<!<b>)loud|<picture>", shown)
            assert not OBEYED.search(shown)
    assert seen > len(TOKENS)


def widths(window: MainWindow) -> dict[str, int]:
    """The least width of every panel and of the window."""
    parts = {"window": window} | window.docks
    return {name: part.minimumSizeHint().width() for name, part in parts.items()}


def test_no_name_and_no_token_widens_the_window_or_a_panel(tmp_path: Path) -> None:
    with whole_window(save(tmp_path / "model", "llama"), "a b c") as window:
        usual = widths(window)
    with whole_window(hostile_checkpoint(tmp_path / FOLDER), PROMPT) as window:
        speak(window)
        found = widths(window)
        assert (window.width(), window.height()) == (1280, 800)
        assert window.prompt_bar.model.view().minimumWidth() < 1280
    wider = {name: (usual[name], width) for name, width in found.items() if width > usual[name] + 60}
    assert not wider
