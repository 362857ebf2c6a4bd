"""Plain keys walk the forward pass wherever a person clicked last; text fields and views with a cursor keep theirs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QCheckBox, QMenu, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from explorer_app.state.session import Session
from explorer_app.window.keys_dialog import KeysDialog
from explorer_app.window.snapshot import settle
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine
from tests.support.window.window_on_screen import at_rest, wait, window_on_screen

pytestmark = pytest.mark.process

PROMPT = "The cat saw the dog"
Key = Qt.Key


@pytest.fixture(scope="module")
def shown(model: str) -> Iterator[MainWindow]:
    """A window that can have the focus, with every panel built."""
    window = MainWindow(Session(Scene(model, PROMPT)), connect=LocalEngine)
    window.show()
    window.client.start()
    settle(window.client)
    for dock in window.docks.values():
        assert dock.panel is not None
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def window(shown: MainWindow, qtbot: QtBot) -> MainWindow:
    """The same window for all, as it was at the start."""
    shown.docks["transport"].panel.pause()
    shown.session.select(layer=0, head=0, query=None, key=None)
    shown.session.go_to_step(0)
    shown.docks["attention"].bring()
    shown.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is shown)
    shown.setFocus()
    qtbot.waitUntil(lambda: at_rest(shown))
    return shown


Find = Callable[[MainWindow], QWidget]


def inside(panel: str, name: str) -> Find:
    def find(window: MainWindow) -> QWidget:
        window.docks[panel].bring()
        wait(lambda: at_rest(window), f"{panel} in front")
        widget: Any = window.docks[panel].panel
        for part in name.split("."):
            widget = getattr(widget, part)
        assert isinstance(widget, QWidget)
        return widget

    return find


def click(qtbot: QtBot, widget: QWidget) -> QWidget:
    """Press the mouse in it, and say what has the focus then."""
    target = widget.viewport() if hasattr(widget, "viewport") else widget
    qtbot.mouseClick(target, Qt.MouseButton.LeftButton, pos=QPoint(4, target.height() - 4))
    QApplication.processEvents()
    focus = QApplication.focusWidget()
    assert focus is not None
    return focus


CLICKED: dict[str, Find] = {
    "graph": inside("graph", "view"),
    "tokens": lambda window: window.prompt_bar.strip,
    "edits": inside("edits", "area"),
    "likely tokens": inside("next_token", "likely"),
    "numbers": inside("inspector", "table"),
    "facts": inside("inspector", "statistics"),
    "status": lambda window: window.status,
    "about the model": inside("architecture", "about"),
    "step": inside("transport", "slider"),
}


@pytest.mark.parametrize("place", CLICKED)
def test_keys_walk_the_forward_pass_wherever_one_clicked(
    window: MainWindow, qtbot: QtBot, place: str
) -> None:
    focus, session = click(qtbot, CLICKED[place](window)), window.session
    session.go_to_step(3)
    for key, site in (
        (Key.Key_Right, session.sites[4]["key"]),
        (Key.Key_Left, session.sites[3]["key"]),
        (Key.Key_End, "logits"),
        (Key.Key_Home, "tokens"),
        (Key.Key_PageDown, "blocks.0.resid_pre"),
        (Key.Key_PageDown, "blocks.1.resid_pre"),
        (Key.Key_PageUp, "blocks.0.resid_pre"),
    ):
        qtbot.keyClick(focus, key)
        assert session.selection.site == site, key
    assert not window.docks["transport"].panel.timer.isActive()
    qtbot.keyClick(focus, Key.Key_Space)
    assert window.docks["transport"].panel.timer.isActive()


def test_keys_leave_the_speed_that_was_chosen(window: MainWindow, qtbot: QtBot) -> None:
    speed = window.docks["transport"].panel.speed
    speed.setFocus(Qt.FocusReason.MouseFocusReason)
    speed.setCurrentIndex(1)
    for key in (Key.Key_Right, Key.Key_PageDown, Key.Key_Home, Key.Key_End, Key.Key_PageUp, Key.Key_Left):
        qtbot.keyClick(speed, key)
    assert speed.currentIndex() == 1
    assert window.session.selection.step > 0


@pytest.mark.parametrize("place", ["edits.entry", "inspector.chooser"])
def test_a_text_field_keeps_its_keys(window: MainWindow, qtbot: QtBot, place: str) -> None:
    field = inside(*place.split("."))(window)
    field.setFocus()
    qtbot.keyClick(field, Key.Key_End)
    qtbot.keyClicks(field, "ab")
    for key in (Key.Key_Home, Key.Key_Right, Key.Key_Space, Key.Key_End, Key.Key_Left):
        qtbot.keyClick(field, key)
    qtbot.keyClicks(field, "c")
    text = field.text() if hasattr(field, "text") else field.currentText()
    assert text[1] == " "
    assert text.replace(" ", "").endswith("acb")
    assert window.session.selection.step == 0
    assert not window.docks["transport"].panel.timer.isActive()


def test_a_number_keeps_its_keys(window: MainWindow, qtbot: QtBot) -> None:
    window.session.go_to("blocks.0.attn.q")
    inspector: Any = window.docks["inspector"].panel
    qtbot.waitUntil(lambda: "H" in inspector.spins)
    spin = inspector.spins["H"]
    spin.setFocus()
    qtbot.keyClick(spin, Key.Key_PageUp)
    assert spin.value() == spin.maximum()
    qtbot.keyClick(spin, Key.Key_Home)
    assert window.session.selection.site == "blocks.0.attn.q"


@pytest.mark.parametrize("name", ["grid", "heatmap"])
def test_arrows_walk_the_heads_in_the_attention_panel_and_nothing_else_does(
    window: MainWindow, qtbot: QtBot, name: str
) -> None:
    view, session = inside("attention", name)(window), window.session
    view.setFocus(Qt.FocusReason.MouseFocusReason)
    session.select(layer=1, head=0)
    qtbot.waitUntil(lambda: at_rest(window))
    before = session.selection.step
    qtbot.keyClick(view, Key.Key_Right)
    qtbot.keyClick(view, Key.Key_Up)
    assert (session.selection.layer, session.selection.head) == (0, 1)
    assert session.selection.step == before
    qtbot.keyClick(view, Key.Key_End)
    assert session.selection.site == "logits"
    qtbot.keyClick(view, Key.Key_Space)
    assert window.docks["transport"].panel.timer.isActive()


def test_shift_and_an_arrow_walk_the_tokens(window: MainWindow, qtbot: QtBot) -> None:
    focus = click(qtbot, window.prompt_bar.strip)
    window.session.select(query=1, key=None)
    qtbot.keyClick(focus, Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert window.session.selection.query == 2
    assert window.session.selection.step == 0


def test_a_button_takes_space_from_whoever_reached_it_by_keyboard_alone(
    window: MainWindow, qtbot: QtBot
) -> None:
    box = QCheckBox("switch", window)
    box.show()
    box.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(box, Key.Key_Space)
    assert box.isChecked()
    assert not window.docks["transport"].panel.timer.isActive()
    window.setFocus()
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(5, box.height() // 2))
    assert box.hasFocus()
    checked = box.isChecked()
    qtbot.keyClick(box, Key.Key_Space)
    assert box.isChecked() == checked
    assert window.docks["transport"].panel.timer.isActive()


def test_tabs_that_were_reached_by_keyboard_are_walked(window: MainWindow, qtbot: QtBot) -> None:
    next_token: Any = window.docks["next_token"].panel
    bar = next_token.tabs.findChild(QTabBar)
    bar.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(bar, Key.Key_Right)
    assert bar.currentIndex() == 1
    assert window.session.selection.step == 0


def test_keys_work_in_a_panel_that_floats(window: MainWindow, qtbot: QtBot) -> None:
    window.docks["next_token"].float()
    likely = inside("next_token", "likely")(window)
    window.docks["next_token"].activateWindow()
    likely.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is likely)
    qtbot.keyClick(likely, Key.Key_Right)
    assert window.session.selection.step == 1
    window.docks["next_token"].setFloating(False)


def test_a_dialog_keeps_its_keys(window: MainWindow, qtbot: QtBot) -> None:
    dialog = KeysDialog(window)
    dialog.show()
    dialog.activateWindow()
    dialog.setFocus()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is dialog)
    qtbot.keyClick(QApplication.focusWidget() or dialog, Key.Key_End)
    dialog.close()
    assert window.session.selection.step == 0


# The View menu, and the way to the prompt


def entry(window: MainWindow, text: str) -> QAction:
    entries = [entry for menu in window.menuBar().findChildren(QMenu) for entry in menu.actions()]
    return next(entry for entry in entries if entry.text().replace("&", "") == text)


def test_the_view_menu_brings_a_panel_from_behind_and_closes_one_in_front(window: MainWindow) -> None:
    norms, attention = window.docks["norms"], window.docks["attention"]
    action = entry(window, "Norms")
    assert not action.isChecked()
    action.trigger()
    QApplication.processEvents()
    assert norms.panel.seen
    assert action.isChecked()
    assert not entry(window, "Attention").isChecked()
    assert not attention.isHidden()
    action.trigger()
    QApplication.processEvents()
    assert norms.isHidden()
    assert not action.isChecked()
    action.trigger()
    QApplication.processEvents()
    assert norms.panel.seen


def test_a_menu_of_a_title_is_the_view_menu(window: MainWindow) -> None:
    menu = window.createPopupMenu()
    assert [action.text() for action in menu.actions()] == [d.windowTitle() for d in window.docks.values()]
    menu.deleteLater()


def test_ctrl_l_goes_to_the_prompt(window: MainWindow, qtbot: QtBot) -> None:
    focus = click(qtbot, window.prompt_bar.strip)
    qtbot.keyClick(focus, Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    prompt = window.prompt_bar.prompt
    assert prompt.hasFocus()
    assert prompt.selectedText() == PROMPT
    assert ("Ctrl+L", "Prompt") in KeysDialog.rows(window)


def test_keys_walk_the_forward_pass_when_the_panel_with_the_focus_has_gone(model: str, qtbot: QtBot) -> None:
    with window_on_screen("growth", PROMPT) as window:
        growth, session = window.docks["growth"], window.session
        growth.panel.slider.setFocus()
        assert window.focusWidget() is growth.panel.slider
        session.change(model=model)
        settle(window.client)
        assert growth.isHidden()
        session.go_to_step(3)
        focus = window.focusWidget() or window
        qtbot.keyClick(focus, Key.Key_Right)
        assert session.selection.step == 4
        qtbot.keyClick(focus, Key.Key_Space)
        assert window.docks["transport"].panel.timer.isActive()
        window.docks["transport"].panel.pause()


def test_keys_go_to_no_panel_that_is_behind_another(window: MainWindow, qtbot: QtBot) -> None:
    attention = window.docks["attention"].panel
    focus = click(qtbot, attention.heatmap)
    assert attention.isAncestorOf(focus)
    window.docks["norms"].bring()
    QApplication.processEvents()
    assert QApplication.focusWidget() is focus
    head, step = window.session.selection.head, window.session.selection.step
    qtbot.keyClick(focus, Key.Key_Right)
    assert window.session.selection.head == head
    assert window.session.selection.step == step + 1
