"""The window: what it shows and asks for, its menus and keys, what it remembers, and how it goes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QMenu, QMessageBox
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.__main__ import catch_faults
from explorer_app.forms import log_dialog
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import PANELS
from explorer_app.processes import engine_client
from explorer_app.state.session import RUN, SITES, Session
from explorer_app.state.settings import Layout, Recent, Settings, open_settings
from explorer_app.widgets.veil import AFTER_MS
from explorer_app.window import picture
from explorer_app.window.dock import PanelDock
from explorer_app.window.keys_dialog import KeysDialog
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from model_core.api.queries import Query, Scene
from tests.support.window.fake_run import one_text, sites
from tests.support.window.local_engine import LocalEngine, tiny_checkpoint
from tests.support.window.window_on_screen import at_rest

pytestmark = pytest.mark.process

PROMPT = "The cat saw the dog"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "small")


class Windows:
    """Opens windows and closes them all at the end of a test."""

    def __init__(self, qtbot: QtBot, model: str, stack: ExitStack) -> None:
        self.qtbot, self.model, self.stack = qtbot, model, stack

    def open(self, settings: Settings | None = None) -> MainWindow:
        """A window on screen whose scene is answered and drawn."""
        window = MainWindow(Session(Scene(self.model, PROMPT)), settings, LocalEngine)
        self.stack.enter_context(closing(window))
        window.show()
        window.client.start()
        self.settle(window)
        return window

    def settle(self, window: MainWindow) -> None:
        QApplication.processEvents()
        self.qtbot.waitUntil(lambda: at_rest(window) and window.session.run is not None, timeout=60_000)
        QApplication.processEvents()


@pytest.fixture
def windows(qtbot: QtBot, model: str) -> Iterator[Windows]:
    with ExitStack() as stack:
        yield Windows(qtbot, model, stack)


@pytest.fixture
def window(windows: Windows) -> MainWindow:
    return windows.open()


def action(window: MainWindow, text: str) -> QAction:
    """The menu entry that begins with a text."""
    entries = [entry for menu in window.menuBar().findChildren(QMenu) for entry in menu.actions()]
    return next(entry for entry in entries if entry.text().replace("&", "").startswith(text))


def offered(window: MainWindow) -> list[PanelDock]:
    """The docks that have something to show of the model on screen."""
    return [dock for dock in window.docks.values() if dock.panel.applies(window.session.run)]


def tabs(window: MainWindow) -> list[PanelDock]:
    """Those of them in the middle."""
    return [dock for dock in window.arrangement.of_area("centre") if dock in offered(window)]


# Showing and asking


def test_every_panel_has_a_place_and_its_own_title(window: MainWindow) -> None:
    assert set(window.docks) == set(PANELS)
    assert len({dock.windowTitle() for dock in window.docks.values()}) == len(PANELS)
    assert all(dock.objectName() == name for name, dock in window.docks.items())


def test_the_centre_gets_the_most_room(window: MainWindow) -> None:
    def area(dock: Any) -> int:
        return dock.width() * dock.height()

    front = next(dock for dock in window.arrangement.of_area("centre") if dock.panel.seen)
    docks = [dock for dock in window.docks.values() if not dock.isHidden()]
    others = [dock for dock in docks if dock not in window.arrangement.of_area("centre")]
    assert area(front) > 2 * max(map(area, others))


def test_attention_is_in_front_at_the_start(window: MainWindow) -> None:
    seen = [dock.objectName() for dock in window.arrangement.of_area("centre") if dock.panel.seen]
    assert seen == [window.arrangement.of_area("centre")[0].objectName()] == ["attention"]


def test_panels_behind_another_tab_ask_for_nothing(window: MainWindow) -> None:
    hidden = [dock.panel for dock in window.arrangement.of_area("centre")[1:]]
    assert hidden
    assert [panel.wanted() for panel in hidden] == [[]] * len(hidden)


def test_a_tab_that_comes_to_the_front_asks_and_the_one_behind_stops(
    window: MainWindow, windows: Windows
) -> None:
    first, second = tabs(window)[:2]
    second.raise_()
    windows.settle(window)
    assert second.panel.seen
    assert not first.panel.seen
    assert not window.session.missing(window.wanted())


class Patient(Panel):
    """Draws without what it wants, and again when that has come."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.drawn: list[bool] = []

    def besides(self) -> list[Query]:
        return [SITES]

    def draw(self, answers: Answers) -> None:
        self.drawn.append(self.session.answer(SITES) is not None)


def test_what_comes_late_is_drawn_when_it_comes(qtbot: QtBot) -> None:
    scene = Scene("tales-llama", PROMPT)
    panel = Patient(Session(scene))
    qtbot.addWidget(panel)
    panel.show()
    panel.session.take(scene, RUN, one_text(1, layers=1, heads=1))
    qtbot.waitUntil(lambda: panel.drawn == [False])
    panel.session.take(scene, SITES, sites("embed.out"))
    qtbot.waitUntil(lambda: panel.drawn == [False, True])
    panel.detach()


class Piecewise(Panel):
    """Draws each token in a turn of its own."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.drawn: list[tuple[int, int]] = []
        self.pointed: list[tuple[int, int | None]] = []

    def preview(self, query: int | None, key: int | None) -> None:
        self.pointed.append((len(self.drawn), query))

    def draw(self, answers: Answers) -> Iterator[None]:
        count = len(answers[RUN]["tokens"])
        for token in range(count):
            self.drawn.append((count, token))
            yield

    def draw_first(self, scene: Scene, tokens: int) -> None:
        """The first piece of a picture of so many tokens, and none of the others yet."""
        self.session.scene = scene
        self.session.take(scene, RUN, one_text(tokens, layers=1, heads=1))
        while (tokens, 0) not in self.drawn:
            QApplication.processEvents()


@pytest.fixture
def piecewise(qtbot: QtBot) -> Iterator[Piecewise]:
    panel = Piecewise(Session(Scene("tales-llama", PROMPT)))
    qtbot.addWidget(panel)
    panel.show()
    yield panel
    panel.detach()


def test_a_picture_in_pieces_is_drawing_until_the_last_of_them(piecewise: Piecewise, qtbot: QtBot) -> None:
    piecewise.draw_first(piecewise.session.scene, 4)
    assert piecewise.drawn == [(4, 0)]
    assert piecewise.drawing
    qtbot.waitUntil(lambda: not piecewise.drawing)
    assert piecewise.drawn == [(4, 0), (4, 1), (4, 2), (4, 3)]


def test_a_picture_that_was_begun_is_finished_before_a_newer_one_is(
    piecewise: Piecewise, qtbot: QtBot
) -> None:
    piecewise.draw_first(piecewise.session.scene, 4)
    piecewise.draw_first(Scene("tales-llama", "Other"), 2)
    qtbot.waitUntil(lambda: not piecewise.drawing)
    assert piecewise.drawn == [(4, 0), (4, 1), (4, 2), (4, 3), (2, 0), (2, 1)]


def test_what_is_pointed_at_between_two_pieces_is_shown_after_the_last(
    piecewise: Piecewise, qtbot: QtBot
) -> None:
    piecewise.draw_first(piecewise.session.scene, 4)
    piecewise.session.hover(2, None)
    assert piecewise.pointed == []
    qtbot.waitUntil(lambda: not piecewise.drawing)
    assert piecewise.pointed == [(4, 2)]


def test_a_picture_that_is_whole_is_not_dimmed_for_what_was_waited_for_meanwhile(
    piecewise: Piecewise, qtbot: QtBot
) -> None:
    session, veil = piecewise.session, piecewise.veil
    piecewise.draw_first(session.scene, 1)
    qtbot.waitUntil(lambda: not piecewise.drawing)
    session.set_progress("running", 0.5)
    piecewise.draw_first(Scene("tales-llama", "Other"), 4)
    session.set_progress("running", 1.0)
    qtbot.waitUntil(lambda: not piecewise.drawing)
    qtbot.wait(AFTER_MS + 100)
    assert not veil.isVisible()


class Faulty(Panel):
    """Ends the drawing of a prompt of two tokens by a fault, in its first or second piece."""

    def __init__(self, session: Session, at: int) -> None:
        super().__init__(session)
        self.at = at

    def draw(self, answers: Answers) -> Iterator[None]:
        for piece in range(2):
            if len(answers[RUN]["tokens"]) == 2 and piece == self.at:
                raise RuntimeError("a fault of ours")
            yield


@pytest.mark.parametrize("at", [0, 1])
def test_a_picture_that_a_fault_ended_is_not_called_that_of_the_scene(at: int, qtbot: QtBot) -> None:
    session = Session(Scene("tales-llama", PROMPT))
    panel = Faulty(session, at)
    qtbot.addWidget(panel)
    panel.show()
    session.take(session.scene, RUN, one_text(3, layers=1, heads=1))
    qtbot.waitUntil(lambda: not panel.drawing)
    assert panel._drawn_of == session.shown
    session.scene = Scene("tales-llama", "Other")
    with qtbot.capture_exceptions() as faults:
        session.take(session.scene, RUN, one_text(2, layers=1, heads=1))
        qtbot.waitUntil(lambda: not panel.drawing)
        session.answered.emit(SITES)  # it looks again whether there is anything new
        qtbot.waitUntil(lambda: not panel.drawing)
    assert len(faults) == 1
    session.tell("Something went wrong in the window.")
    assert panel._drawn_of != session.shown
    qtbot.waitUntil(panel.veil.isVisible)
    session.scene = Scene("tales-llama", "Third")
    session.take(session.scene, RUN, one_text(3, layers=1, heads=1))
    qtbot.waitUntil(lambda: panel._drawn_of == session.shown)
    assert not panel.veil.isVisible()
    panel.detach()


def test_tokens_and_steps_are_wanted_even_with_every_panel_closed(window: MainWindow) -> None:
    for dock in window.docks.values():
        dock.close()
    assert window.wanted() == [RUN, SITES]


def test_nothing_is_clipped_at_the_default_size(window: MainWindow) -> None:
    panels = [dock.panel for dock in window.docks.values()]
    QApplication.processEvents()
    assert (window.width(), window.height()) == (1280, 800)
    assert window.minimumSizeHint().width() <= 1280
    assert window.minimumSizeHint().height() <= 800
    for panel in panels:
        if panel.seen:
            need = panel.minimumSizeHint()
            assert panel.width() >= need.width(), panel
            assert panel.height() >= need.height(), panel


def test_two_edits_are_in_sight_at_the_default_size(window: MainWindow, windows: Windows) -> None:
    window.session.change(edits=("mask off", "ablate L0H1"))
    windows.settle(window)
    edits: Any = window.docks["edits"].panel
    assert len(edits.chips) == 2
    for chip in edits.chips:
        assert chip.visibleRegion().boundingRect() == chip.rect(), chip.words.text()


def widths(window: MainWindow) -> list[int]:
    return [window.docks[name].width() for name in ("graph", "attention", "inspector")]


def test_every_column_keeps_its_share_of_a_window_that_is_resized(window: MainWindow) -> None:
    before = widths(window)
    window.resize(1920, 1000)
    grown = sum(before) + 1920 - 1280
    assert widths(window) == pytest.approx([width * grown / sum(before) for width in before], abs=1)
    window.resize(window.minimumSizeHint())
    window.resize(1280, 800)
    assert widths(window) == pytest.approx(before, abs=1)


def test_a_column_that_was_made_wider_keeps_what_it_was_given(window: MainWindow) -> None:
    graph, attention = window.docks["graph"], window.docks["attention"]
    given = [graph.width() + 100, attention.width() - 100]
    window.resizeDocks([graph, attention], given, Qt.Orientation.Horizontal)
    QApplication.processEvents()
    assert widths(window)[:2] == given
    window.resize(1600, 800)
    after = widths(window)
    assert after[0] / after[1] == pytest.approx(given[0] / given[1], rel=0.01)


def test_a_panel_behind_another_tab_is_built_once_the_window_was_painted(qtbot: QtBot) -> None:
    window = MainWindow(Session(Scene("tales-llama", PROMPT)), connect=LocalEngine)
    with closing(window):
        behind = window.docks["position"]
        assert behind.panel_if_built is None
        window.show()
        qtbot.waitUntil(lambda: len(window.arrangement.panels) == len(window.docks))
        assert not behind.panel.seen


def test_the_status_bar_says_what_was_run(window: MainWindow) -> None:
    run = window.session.run
    assert run is not None
    parts = window.status.text().split(" · ")
    assert parts[:3] == ["small", "cpu", "float32"]
    assert parts[3] == f"{len(run['tokens'])} tokens"
    assert parts[4].endswith(" ms")
    assert parts[5] == f"kept {run['kept_bytes'] / 1e6:.1f} MB"
    assert parts[6] == "engine ready"
    assert window.windowTitle() == "small – Layerscope"


def test_the_prompt_has_the_focus_at_the_start(window: MainWindow) -> None:
    assert window.focusWidget() is window.prompt_bar.prompt


# Menus and keys


def test_the_mask_entry_follows_and_toggles_the_edit(window: MainWindow, windows: Windows) -> None:
    mask = action(window, "Causal mask")
    assert mask.isChecked()
    mask.trigger()
    assert window.session.scene.edits == ("mask off",)
    assert not mask.isChecked()
    windows.settle(window)
    window.session.change(edits=())
    assert mask.isChecked()


def test_the_mask_entry_names_the_window_that_it_takes_away_as_well(
    window: MainWindow, windows: Windows
) -> None:
    mask = action(window, "Causal mask")
    assert mask.text().replace("&", "") == "Causal mask"
    config = ("layers=2", "vocab_size=2048", "width=32", "hidden=32", "windows=none,3")
    window.open("untrained:qwen2/0.5B", [*config, "heads=2", "kv_heads=1", "head_dim=16"])
    windows.settle(window)
    assert mask.text().replace("&", "") == "Causal mask and sliding window"
    assert "window of 3" in mask.toolTip()


def test_clear_all_edits_clears_them(window: MainWindow) -> None:
    window.session.change(edits=("mask off", "ablate L0H0"))
    action(window, "Clear all edits").trigger()
    assert window.session.scene.edits == ()


def test_no_shortcut_has_two_meanings(window: MainWindow) -> None:
    keys = [
        key.toString()
        for menu in window.menuBar().findChildren(QMenu)
        for entry in menu.actions()
        for key in entry.shortcuts()
    ]
    assert len(keys) == len(set(keys))
    assert {"Ctrl+O", "Ctrl+Shift+O", "Ctrl+N", "Ctrl+S", "Ctrl+Q", "Ctrl+R", "F5", "Ctrl+M", "F1"} <= set(
        keys
    )


def press(window: MainWindow, qtbot: QtBot, key: Qt.Key) -> None:
    qtbot.keyClick(window.focusWidget() or window, key)


def test_plain_keys_walk_the_forward_pass(window: MainWindow, qtbot: QtBot) -> None:
    window.setFocus()
    session = window.session
    for key, site in (
        (Qt.Key.Key_Right, session.sites[1]["key"]),
        (Qt.Key.Key_Left, session.sites[0]["key"]),
        (Qt.Key.Key_End, "logits"),
        (Qt.Key.Key_Home, "tokens"),
        (Qt.Key.Key_PageDown, "blocks.0.resid_pre"),
        (Qt.Key.Key_PageDown, "blocks.1.resid_pre"),
        (Qt.Key.Key_PageUp, "blocks.0.resid_pre"),
    ):
        press(window, qtbot, key)
        assert session.selection.site == site
    press(window, qtbot, Qt.Key.Key_Space)
    assert window.docks["transport"].panel.timer.isActive()
    press(window, qtbot, Qt.Key.Key_Space)
    assert not window.docks["transport"].panel.timer.isActive()


def test_keys_typed_into_the_prompt_are_text(window: MainWindow, qtbot: QtBot) -> None:
    prompt = window.prompt_bar.prompt
    prompt.setFocus()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End):
        qtbot.keyClick(prompt, key)
    assert window.session.selection.step == 0
    assert not window.docks["transport"].panel.timer.isActive()
    assert prompt.text() == PROMPT + " "


def test_escape_leaves_the_prompt_and_then_lets_the_tokens_go(
    window: MainWindow, windows: Windows, qtbot: QtBot
) -> None:
    window.session.select(query=2, key=1)
    windows.settle(window)
    window.prompt_bar.prompt.setFocus()
    qtbot.keyClick(window.prompt_bar.prompt, Qt.Key.Key_Escape)
    assert window.focusWidget() is not window.prompt_bar.prompt
    assert window.session.selection.query == 2
    qtbot.keyClick(window.prompt_bar.strip, Qt.Key.Key_Escape)
    assert (window.session.selection.query, window.session.selection.key) == (None, None)


def test_escape_stops_the_engine_first(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(window.client, "cancel", lambda: stopped.append(True))
    window.session.set_progress("running", 0.5)
    qtbot.keyClick(window.prompt_bar.prompt, Qt.Key.Key_Escape)
    assert stopped == [True]


def test_the_table_of_keys_lists_every_shortcut(window: MainWindow) -> None:
    rows = dict(KeysDialog.rows(window))
    assert rows["Space"] == "Play or pause the forward pass"
    assert rows["Ctrl+R, F5"] == "Run again"
    assert all(text for text in rows.values())


def test_dialogs_open_and_close(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QDialog, "exec", lambda self: shown.append(self.windowTitle()))
    action(window, "Keys").trigger()
    action(window, "About").trigger()
    assert shown == ["Keys", "About Layerscope"]
    action(window, "Log").trigger()
    window.client.note("something odd\n")
    assert window.log.text.toPlainText() == "something odd\n"
    window.log.close()


def test_the_log_on_screen_keeps_no_more_than_the_client_does(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (engine_client, log_dialog):
        monkeypatch.setattr(module, "LOG_CHARACTERS", 100)
    for n in range(50):
        window.client.note(f"line {n}\n" if n % 2 else "x" * 70)
    text = window.log.text
    assert len(window.client.log) == 100
    assert window.client.log.endswith(text.toPlainText()[-90:])
    assert text.document().characterCount() <= 100
    assert not text.document().isUndoAvailable()


def test_save_picture_writes_the_window(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shot"), ""))
    action(window, "Save picture").trigger()
    assert (tmp_path / "shot.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_said_so(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("/nonexistent/shot.png", ""))
    action(window, "Save picture").trigger()
    assert window.session.message == "/nonexistent/shot.png cannot be written: No such file or directory"


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture of before, whose name is given without its suffix: the dialog sees no file of that name."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shot"), ""))
    (tmp_path / "shot.png").write_bytes(b"before")
    return tmp_path / "shot.png"


@pytest.mark.parametrize("answer", ["Replace", "Cancel"])
def test_a_picture_that_is_there_is_replaced_where_a_person_says_so(
    answer: str, window: MainWindow, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def exec(box: QMessageBox) -> int:
        asked.append(box.text())
        next(button for button in box.buttons() if button.text().replace("&", "") == answer).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", exec)
    action(window, "Save picture").trigger()
    assert asked == ["shot.png is there already. Replace it?"]
    assert (named.read_bytes() == b"before") == (answer == "Cancel")


def test_a_disk_that_is_full_leaves_the_picture_of_before(
    window: MainWindow, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture, "may_replace", lambda *_: True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        action(window, "Save picture").trigger()
    assert window.session.message == f"{named} cannot be written: No space left on device"
    assert named.read_bytes() == b"before"
    assert list(named.parent.glob("*.part")) == []


def test_another_suffix_is_part_of_the_name(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "shot.v2"), ""))
    action(window, "Save picture").trigger()
    assert (tmp_path / "shot.v2.png").is_file()


# Docks


def test_a_closed_panel_comes_back_from_the_view_menu(window: MainWindow) -> None:
    dock = window.arrangement.of_area("right")[0]
    dock.close()
    assert not dock.panel.seen
    dock.view_action.trigger()
    QApplication.processEvents()
    assert dock.panel.seen


def test_a_tab_that_is_reopened_comes_to_the_front(window: MainWindow, windows: Windows) -> None:
    dock = tabs(window)[1]
    dock.close()
    dock.view_action.trigger()
    windows.settle(window)
    assert dock.panel.seen


def test_a_panel_pulled_out_of_the_tabs_gets_a_title(window: MainWindow) -> None:
    dock = tabs(window)[1]
    assert dock.titleBarWidget().sizeHint().height() <= 0
    dock.float()
    QApplication.processEvents()
    assert dock.titleBarWidget().sizeHint().height() > 0
    assert dock.panel.seen
    assert window.geometry().intersects(dock.geometry())


def test_reset_layout_brings_everything_back(window: MainWindow) -> None:
    centre = tabs(window)
    centre[0].setFloating(True)
    window.arrangement.of_area("left")[0].close()
    window.arrangement.of_area("right")[0].close()
    action(window, "Reset layout").trigger()
    QApplication.processEvents()
    assert not any(dock.isFloating() or dock.isHidden() for dock in offered(window))
    assert set(window.tabifiedDockWidgets(centre[0])) == set(centre[1:])
    assert centre[0].panel.seen


# Remembering


def test_the_layout_is_as_it_was_left(windows: Windows) -> None:
    settings = open_settings()
    first = windows.open(settings)
    first.resize(1280, 700)
    first.arrangement.of_area("right")[0].close()
    first.arrangement.of_area("centre")[2].raise_()
    QApplication.processEvents()
    first.close()
    second = windows.open(open_settings())
    assert second.height() == 700
    assert second.arrangement.of_area("right")[0].isHidden()
    assert second.arrangement.of_area("centre")[2].panel.seen
    assert not second.arrangement.of_area("centre")[0].panel.seen


def test_a_panel_that_was_floating_floats_again_and_is_drawn(windows: Windows) -> None:
    first = windows.open(open_settings())
    first.docks["mask"].float()
    QApplication.processEvents()
    first.close()
    second = windows.open(open_settings())
    floating = second.docks["mask"]
    assert floating.isFloating()
    windows.qtbot.waitUntil(lambda: floating.panel.seen)
    assert not second.docks["attention"].isFloating()


@pytest.mark.parametrize("broken", [b"", b"no layout at all", bytes(500)])
def test_a_layout_that_cannot_be_read_gives_the_default(broken: bytes, windows: Windows) -> None:
    open_settings().change(layout=Layout(broken, broken))
    window = windows.open(open_settings())
    assert not any(dock.isHidden() for dock in offered(window))
    assert window.arrangement.of_area("centre")[0].panel.seen


def test_the_theme_is_remembered(windows: Windows) -> None:
    first = windows.open(open_settings())
    action(first, "Dark").trigger()
    assert theme.current().dark
    first.close()
    second = windows.open(open_settings())
    assert action(second, "Dark").isChecked()
    action(second, "Like the system").trigger()
    second.close()
    assert action(windows.open(open_settings()), "Like the system").isChecked()


def test_a_model_that_could_be_opened_is_offered_again(windows: Windows, tmp_path: Path) -> None:
    window = windows.open(open_settings())
    other = tiny_checkpoint(tmp_path / "other")
    window.session.change(model=other)
    windows.settle(window)
    window.session.change(model=str(tmp_path / "nothing here"))
    windows.settle(window)
    assert window.prompt_bar.model.findData(str(tmp_path / "nothing here")) == -1
    window.close()
    offered = open_settings().kept.recent
    assert offered[0] == Recent(other)
    assert Recent(str(tmp_path / "nothing here")) not in offered
    assert windows.open(open_settings()).prompt_bar.model.findData(other) >= 0


def test_a_full_disk_is_said_in_the_window_and_nothing_is_lost(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    kept = open_settings()
    kept.change(folder="/models")
    window = windows.open(open_settings())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        action(window, "Dark").trigger()
    assert window.session.message == f"{kept.path} cannot be written: No space left on device"
    assert window.prompt_bar.line.isVisible()
    assert open_settings().kept == kept.kept
    action(window, "Dark").trigger()
    assert (open_settings().kept.theme, open_settings().kept.folder) == ("dark", "/models")


def test_settings_that_cannot_be_read_are_said_in_the_window(windows: Windows) -> None:
    kept = open_settings()
    kept.change(theme="dark")
    assert kept.path is not None
    kept.path.write_text("[]")
    window = windows.open(open_settings())
    assert window.session.message.startswith(f"{kept.path} holds no JSON object")


def test_what_cannot_be_kept_when_the_window_goes_is_said_where_it_was_started(
    windows: Windows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    window = windows.open(open_settings())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        window.close()
    assert "settings.json cannot be written: No space left on device" in capsys.readouterr().err


def test_a_start_is_marked_until_it_was_painted(windows: Windows, qtbot: QtBot) -> None:
    windows.open(open_settings()).close()
    layout = open_settings().kept.layout
    assert layout is not None
    restored: list[Settings] = []
    restore = MainWindow.restoreState

    def look(window: MainWindow, *words: Any) -> bool:
        restored.append(open_settings())  # as a start that comes now would find it
        return restore(window, *words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MainWindow, "restoreState", look)
        window = windows.open(open_settings())
    assert [found.kept.layout for found in restored] == [None]
    qtbot.waitUntil(lambda: not window.memory.kept.restoring)
    assert (open_settings().kept.layout, open_settings().problem) == (layout, "")


def test_nothing_is_restored_that_could_not_be_marked(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    windows.open(open_settings()).close()
    monkeypatch.setattr(MainWindow, "restoreState", lambda *_: pytest.fail("restored"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        window = windows.open(open_settings())
    assert "cannot be written" in window.session.message


# Going


def test_a_closed_window_hears_nothing_more(windows: Windows) -> None:
    window = windows.open()
    session, listening = window.session, {}
    window.close()
    names = ["scene", "shown", "selection", "hovered", "message", "engine", "progress"]
    signals = {name: getattr(session, f"{name}_changed") for name in names}
    signals |= {"answered": session.answered, "greeted": session.greeted}
    listening = {name: len(signal) for name, signal in signals.items() if len(signal)}
    assert listening == {}
    theme.notifier.changed.emit(theme.current())


def test_a_closed_window_keeps_nothing_playing(windows: Windows) -> None:
    window = windows.open()
    window.docks["transport"].panel.toggle()
    window.close()
    assert not window.docks["transport"].panel.timer.isActive()


def test_a_fault_of_ours_is_a_line_and_a_log_entry_and_no_crash(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    catch_faults(window)
    try:
        raise RuntimeError("a panel\nstumbled")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    assert "Something went wrong in the window (a panel stumbled)" in window.session.message
    assert "Traceback" in window.client.log
    assert "RuntimeError" in capsys.readouterr().err


def test_the_window_is_built_without_torch(model: str) -> None:
    code = (
        "import sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from explorer_app.state.session import Session\n"
        "from explorer_app.window.window import MainWindow\n"
        "from model_core.api.queries import Scene\n"
        "app = QApplication([])\n"
        f"window = MainWindow(Session(Scene({model!r}, 'The cat')))\n"
        "window.show()\n"
        "app.processEvents()\n"
        "assert 'torch' not in sys.modules\n"
        "window.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_queries_are_asked_once_for_all_panels(window: MainWindow) -> None:
    wanted: list[Query] = window.wanted()
    assert window.session.missing(wanted) == []
    window.session.change(prompt="another prompt")
    missing = window.session.missing(window.wanted())
    assert len(missing) == len(set(missing))


def test_a_reset_of_the_layout_looks_at_each_title_once(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied: list[str] = []
    tidy = PanelDock.tidy
    monkeypatch.setattr(PanelDock, "tidy", lambda dock: (tidied.append(dock.objectName()), tidy(dock)))
    action(window, "Reset layout").trigger()
    assert sorted(tidied) == sorted(window.docks)
