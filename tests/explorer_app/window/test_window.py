"""The window: what it shows and asks for, where its docks are, and how it goes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.__main__ import catch_faults
from explorer_app.panel.registry import PANELS
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.window.dock import PanelDock
from explorer_app.window.snapshot import closing
from explorer_app.window.window import MainWindow
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine
from tests.support.window.windows import PROMPT, Windows, action, offered

pytestmark = pytest.mark.process


def tabs(window: MainWindow) -> list[PanelDock]:
    """Those of them in the middle."""
    return [dock for dock in window.arrangement.of_area("centre") if dock in offered(window)]


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
    assert parts[:3] == [Path(window.session.shown.model).name, "cpu", "float32"]
    assert parts[3] == f"{len(run['tokens'])} tokens"
    assert parts[4].endswith(" ms")
    assert parts[5] == f"kept {run['kept_bytes'] / 1e6:.1f} MB"
    assert parts[6] == "engine ready"
    assert window.windowTitle() == f"{parts[0]} – Layerscope"


def test_the_prompt_has_the_focus_at_the_start(window: MainWindow) -> None:
    assert window.focusWidget() is window.prompt_bar.prompt


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
        "from model_core.api.scene import Scene\n"
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
