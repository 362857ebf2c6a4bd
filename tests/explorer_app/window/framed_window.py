"""Drives the real window in the frame of a window manager, and prints where it and its rows are as JSON.

Run by test_framed_window.py, in a process of its own: framed_window.py FOLDER
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from explorer_app import theme
from explorer_app.forms.config_form import AsksDialog
from explorer_app.forms.untrained_dialog import UntrainedDialog
from explorer_app.panels.graph import ModelGraph
from explorer_app.state.session import Session
from explorer_app.state.settings import Settings
from explorer_app.window.arrangement import SETTLING_MS
from explorer_app.window.keys_dialog import KeysDialog
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from tests.explorer_app.window.real_window import Hands, wait

WIDE = ("layers=48", "heads=25", "width=100", "hidden=8")
MODELS: tuple[tuple[str, Sequence[str]], ...] = (
    ("dates", ()),
    ("growth", ()),
    ("untrained:gpt2/124M", WIDE),
    ("tales-llama", ()),
)


def rectangle(widget: QWidget, origin: QPoint | None = None) -> list[int]:
    corner = widget.mapToGlobal(QPoint()) - (origin or QPoint())
    return [corner.x(), corner.y(), widget.width(), widget.height()]


def columns(window: MainWindow) -> dict[str, float]:
    """Which share of the width each panel at the top of a column has."""
    return {
        name: window.docks[name].width() / window.width() for name in ("graph", "attention", "next_token")
    }


def frame(window: QWidget) -> list[int]:
    return list(window.frameGeometry().getRect())


def places(window: MainWindow) -> dict[str, list[int]]:
    docks = {name: window.docks[name] for name in ("next_token", "edits", "inspector", "transport")}
    rows = {"status": window.status, "prompt": window.prompt_bar.model, "tokens": window.prompt_bar.strips}
    return {"window": frame(window)} | {name: rectangle(part) for name, part in (docks | rows).items()}


def start(settings: Settings) -> MainWindow:
    window = MainWindow(Session(Scene("tales-llama", "Once upon")), settings)
    window.show()
    assert QTest.qWaitForWindowExposed(window)
    QTest.qWait(400)
    return window


def dialogs(window: MainWindow) -> dict[str, list[int]]:
    """The frames of the dialogs."""
    field = {"name": "heads", "kind": "int", "choices": [], "default": "8", "about": "query heads"}
    made: list[QDialog] = [
        KeysDialog(window),
        AsksDialog("a model", [field | {"name": f"heads{i}"} for i in range(30)], parent=window),
        UntrainedDialog(window.session, window.client, window),
    ]
    frames = {}
    for dialog in made:
        dialog.open()
        assert QTest.qWaitForWindowExposed(dialog)
        QTest.qWait(300)
        frames[type(dialog).__name__] = frame(dialog)
        dialog.close()
    return frames


def main(folder: Path) -> None:
    app = QApplication([])
    theme.load_fonts()
    theme.apply(app, "light")
    settings = Settings(folder / "settings.json")
    window = start(settings)
    window.client.start()
    session = window.session

    def idle() -> bool:
        return session.engine == "ready" and not window.client.busy

    wait(idle, "the engine")
    facts: dict[str, Any] = {
        "screen": list(window.screen().availableGeometry().getRect()),
        "dialogs": dialogs(window),
        "first": places(window),
        "after": {},
    }
    for model, config in MODELS:
        session.open(model, config)
        wait(lambda model=model: session.shown.model == model and idle(), model)
        for word in ("attn.v", "attn.k", "mlp.out"):
            session.go_to(next(site["key"] for site in session.sites if site["key"].endswith(f"0.{word}")))
            wait(idle, word)
        QTest.qWait(200)
        facts["after"][model] = places(window)

    hands = Hands(window)
    graph = window.docks["graph"].panel
    assert isinstance(graph, ModelGraph)
    session.go_to("blocks.0.attn.q")
    wait(idle, "the step")
    QTest.qWait(200)
    box = graph.view.box_rect("blocks.0.attn.k")
    hands.click(graph.view.viewport(), box.center())
    wait(idle, "the node")
    facts["clicked"] = session.selection.site
    facts["node"] = [list(rect.getRect()) for rect in (box, graph.view.box_rect("blocks.0.attn.k"))]
    hands.press("Right")
    facts["next"] = session.sites[session.selection.step - 1]["key"]
    hands.click(window.prompt_bar.strip.viewport(), QPointF(20, 10))
    hands.press("Home")
    facts["first_site"] = session.selection.site
    speed = window.docks["transport"].panel.speed
    hands.click(speed, QPointF(speed.rect().center()))
    hands.press("Return")
    chosen = speed.currentIndex()
    hands.press("Right", "End", "Prior", "Home", "Right")
    facts["speed"] = [chosen, speed.currentIndex()]
    facts["after_speed"] = session.selection.step
    hands.press("ctrl+l")
    facts["focus_is_prompt"] = window.prompt_bar.prompt.hasFocus()

    window.setWindowState(Qt.WindowState.WindowNoState)
    window.resize(3000, 2000)
    window.move(500, 400)
    QTest.qWait(300)
    facts["columns"] = columns(window)
    window.close()
    window = start(settings)
    facts["restored"] = frame(window)
    QTest.qWait(2 * SETTLING_MS)
    facts["restored_columns"] = columns(window)
    window.close()
    print(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
