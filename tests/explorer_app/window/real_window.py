"""Drives the real window on a real X display with real keys and clicks, and prints what it shows as JSON.

Run by test_real_window.py, in a process of its own. The numbers on screen are compared with those that the command
line writes: `layerscope trace`, run in further processes.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from safetensors.numpy import load_file

from explorer_app import theme
from explorer_app.panels.attention import Attention
from explorer_app.state.session import Session
from explorer_app.state.settings import Settings
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene

PROMPT = "the cat and the dog. the cat and the"
LAYER, HEAD = 4, 1


class Hands:
    """A keyboard and a mouse, moved from outside the process as a person's are."""

    def __init__(self, window: QWidget) -> None:
        self.window = window
        xdotool("windowfocus", "--sync", str(int(window.winId())))

    def click(self, widget: QWidget, place: QPointF) -> None:
        spot = widget.mapToGlobal(place) * widget.devicePixelRatio()
        xdotool("mousemove", "--sync", str(round(spot.x())), str(round(spot.y())))
        QTest.qWait(30)
        xdotool("click", "1")
        QTest.qWait(150)

    def drag(self, dock: QWidget, beyond: QPointF, distance: int) -> None:
        """Take the separator at the right of a dock, `beyond` its upper right corner, along to the right."""
        spot = dock.mapToGlobal(QPointF(dock.width(), 0) + beyond)
        xdotool("mousemove", "--sync", str(round(spot.x())), str(round(spot.y())), "mousedown", "1")
        for step in (distance // 2, distance):
            QTest.qWait(50)
            xdotool("mousemove", "--sync", str(round(spot.x()) + step), str(round(spot.y())))
        QTest.qWait(50)
        xdotool("mouseup", "1")

    def type(self, text: str) -> None:
        xdotool("type", "--delay", "15", text)

    def press(self, *keys: str) -> None:
        xdotool("key", *keys)
        QTest.qWait(100)


def xdotool(*words: str) -> None:
    # The event loop goes on while the keys arrive, as it does at a person's desk.
    process = subprocess.Popen(["xdotool", *words])
    wait(lambda: process.poll() is not None, "xdotool")


def wait(true: Callable[[], bool], what: str, seconds: int = 60) -> None:
    for _ in range(seconds * 50):
        if true():
            return
        QTest.qWait(20)
    raise AssertionError(f"waited in vain for {what}")


def trace(folder: Path, *edits: str) -> dict[str, np.ndarray[Any, Any]]:
    """What `layerscope trace` writes for the prompt."""
    out = folder / "run.safetensors"
    words = [word for edit in edits for word in ("--edit", edit)]
    command = [
        "-m",
        "explorer_app",
        "trace",
        "--model",
        "tales-llama",
        "--prompt",
        PROMPT,
        *words,
        "--out",
        str(out),
    ]
    process = subprocess.Popen([sys.executable, *command])
    wait(lambda: process.poll() is not None, "layerscope trace", 120)
    assert process.returncode == 0
    return load_file(out)


def two_starts(settings: Settings) -> dict[str, object]:
    """The widths of the columns: at first, after a drag, in a narrower window, and at the next start."""
    found: dict[str, object] = {}

    def look(window: MainWindow, when: str) -> None:
        QTest.qWait(300)
        found[when] = [window.docks[name].width() for name in ("graph", "attention", "inspector")]

    def start() -> MainWindow:
        window = MainWindow(Session(Scene("tales-llama", "Once upon a time")), settings)
        window.show()
        assert QTest.qWaitForWindowExposed(window)
        return window

    window = start()
    look(window, "columns_first")
    Hands(window).drag(window.docks["graph"], QPointF(2, 200), 60)
    look(window, "columns_dragged")
    window.resize(1100, 760)
    look(window, "columns_narrower")
    window.close()
    window = start()
    look(window, "columns_next_time")
    window.close()
    return found


def main(folder: Path) -> None:
    app = QApplication([])
    theme.load_fonts()
    theme.apply(app, "light")
    window = MainWindow(Session(Scene("tales-llama", "Once upon a time")))
    window.show()
    assert QTest.qWaitForWindowExposed(window)
    window.client.start()
    session = window.session
    attention, next_token = window.docks["attention"].panel, window.docks["next_token"].panel
    assert isinstance(attention, Attention)
    site = f"blocks.{LAYER}.attn.pattern"

    def idle() -> bool:
        return session.engine == "ready" and not window.client.busy

    def settle(what: str, *edits: str) -> None:
        wait(lambda: session.shown == Scene("tales-llama", PROMPT, edits=edits) and idle(), what)
        QTest.qWait(200)

    def probabilities() -> list[float]:
        return list(session.answer(next_token.needs()[0])["probabilities"])

    wait(idle, "the engine")
    facts: dict[str, object] = {"platform": app.platformName(), "engine": session.greeting["pid"]}
    hands = Hands(window)

    field = window.prompt_bar.prompt
    hands.click(field, QPointF(field.rect().center()))
    hands.press("ctrl+a")
    hands.type(PROMPT)
    settle("the typed prompt")
    facts["text"] = "".join(session.run["strings"])

    hands.click(attention.grid, attention.grid.map_rect(LAYER, HEAD).center())
    wait(lambda: (session.selection.layer, session.selection.head) == (LAYER, HEAD), "the head")
    settle("the head's map")
    masked, foreseen = attention.heatmap.image_values().copy(), probabilities()
    facts["masked_as_traced"] = np.array_equal(masked, trace(folder)[site][0, HEAD])
    facts["future_with_mask"] = float(np.triu(masked, 1).sum())

    hands.press("ctrl+m")
    settle("the mask off", "mask off")
    unmasked = attention.heatmap.image_values().copy()
    facts["unmasked_as_traced"] = np.array_equal(unmasked, trace(folder, "mask off")[site][0, HEAD])
    facts["future_without_mask"] = float(np.triu(unmasked, 1).sum())
    facts["mask_changed_next_token"] = probabilities() != foreseen

    hands.press("ctrl+m")
    settle("the mask on again")
    facts["back_as_before"] = np.array_equal(attention.heatmap.image_values(), masked)
    facts["logits_as_before"] = probabilities() == foreseen

    hands.click(attention.grid, attention.grid.map_rect(LAYER, HEAD).center())
    hands.press("Down")
    wait(lambda: session.selection.layer == LAYER + 1, "the last layer")
    settle("the last layer's map")
    last = f"blocks.{LAYER + 1}.attn.pattern"
    facts["last_layer_as_traced"] = np.array_equal(
        attention.heatmap.image_values(), trace(folder)[last][0, HEAD]
    )

    hands.click(window.status, QPointF(window.status.rect().center()))
    window.setFocus()
    hands.press("End")
    wait(lambda: session.selection.site == "logits", "the last step")
    hands.press("Home")
    wait(lambda: session.selection.step == 0, "the first step")
    facts["first_site"] = session.selection.site

    hands.press("ctrl+q")
    wait(lambda: not window.isVisible(), "the window to close")
    facts |= two_starts(Settings(folder / "settings.json"))
    print(
        json.dumps({name: bool(fact) if isinstance(fact, np.bool_) else fact for name, fact in facts.items()})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
