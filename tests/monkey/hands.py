"""What a monkey can do to a window: each a small action with a weight, drawn from its random numbers."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from random import Random

from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QAction, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QMenu, QWidget

from explorer_app.window.window import MainWindow

MODELS = (
    "tales-llama",
    "dates",
    "tales-gpt2",
    "growth",
    "dates",
    "growth@256",
    "tales-mini",
    "tales-qwen2",
    "nowhere",
)
TEXTS = (
    "Once upon a time there was a little girl. Once upon a time", "3 March 2021", "x", "", "   ", "the " * 400,
    "東京の猫 \U0001f409 naïve", "<b>bold</b> &amp; \u202e\x00", "June 5, 1999",
)  # fmt: skip
EDITS = (
    "mask off",
    "ablate L1H1",
    "mask off L0",
    "ablate L9H9",
    "ablate cross L1H0",
    "nonsense",
    "mask off L2H3",
)
Key = Qt.Key
KEYS = (
    Key.Key_Space, Key.Key_Left, Key.Key_Right, Key.Key_Up, Key.Key_Down, Key.Key_PageUp, Key.Key_PageDown,
    Key.Key_Home, Key.Key_End, Key.Key_Tab, Key.Key_Return, Key.Key_Delete, Key.Key_Backspace,
)  # fmt: skip
# What would end the test, or leave the window for the machine's own dialogs.
LEFT_ALONE = ("Quit",)


class Hands:
    """The actions, over one window."""

    def __init__(self, window: MainWindow, random: Random) -> None:
        self.window, self.random = window, random
        self.theme: str | None = "light"

    def choose(self) -> tuple[str, Callable[[], object]]:
        """The next action and its name."""
        actions: list[tuple[int, str, Callable[[], object]]] = [
            (20, "type", self.type),
            (3, "paste", self.paste),
            (6, "model", self.model),
            (10, "tab", self.tab),
            (25, "click", self.click),
            (8, "point", self.point),
            (4, "wheel", self.wheel),
            (15, "key", self.key),
            (3, "escape", lambda: QTest.keyClick(self.target(), Key.Key_Escape)),
            (5, "edit", self.edit),
            (3, "combo", self.combo),
            (3, "menu", self.menu),
            (2, "size", self.size),
            (1, "theme", self.change_theme),
            (1, "reset", self.window.arrange),
            (1, "float", self.float),
            (1, "cancel", self.window.client.cancel),
            (1, "restart", self.window.client.restart),
            (1, "kill", lambda: self.signal(signal.SIGKILL)),
            (1, "stop", self.stop),
        ]
        _, name, action = self.random.choices(actions, [weight for weight, _, _ in actions])[0]
        return name, action

    def target(self) -> QWidget:
        return QApplication.focusWidget() or self.window

    def type(self) -> None:
        field = self.random.choice(self.window.prompt_bar.fields)
        if isinstance(field, QLineEdit) and field.isVisible():
            field.setFocus()
            QTest.keyClick(field, self.random.choice("the cat 123,.é"))

    def paste(self) -> None:
        field = self.random.choice(self.window.prompt_bar.fields)
        if isinstance(field, QLineEdit) and field.isVisible():
            field.selectAll()
            field.insert(self.random.choice(TEXTS))

    def model(self) -> None:
        self.window.open(self.random.choice(MODELS))

    def tab(self) -> None:
        dock = self.random.choice(list(self.window.docks.values()))
        dock.show()
        dock.raise_()

    def spot(self) -> tuple[QWidget, QPoint] | None:
        """A place in what can be seen of a panel, and the widget there."""
        docks = [dock for dock in self.window.docks.values() if dock.isVisible() and dock.width() > 20]
        whole: QWidget = self.random.choice([*docks, self.window])
        at = QPoint(
            self.random.randrange(max(1, whole.width())), self.random.randrange(max(1, whole.height()))
        )
        child = whole.childAt(at)
        if child is None or child.window() is not whole.window():
            return None
        return child, child.mapFrom(whole, at)

    def click(self) -> None:
        if found := self.spot():
            how = self.random.choice((QTest.mouseClick, QTest.mouseClick, QTest.mouseDClick))
            shift = self.random.choice((Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier))
            how(found[0], Qt.MouseButton.LeftButton, shift, found[1])
            # The second click of a double one is not let go of, and would drag a text when the pointer moves.
            QTest.mouseRelease(found[0], Qt.MouseButton.LeftButton, shift, found[1])

    def point(self) -> None:
        if found := self.spot():
            QTest.mouseMove(*found)

    def wheel(self) -> None:
        if found := self.spot():
            widget, at = found
            turn = QPoint(0, self.random.choice((-120, 120)))
            event = QWheelEvent(
                QPointF(at), QPointF(widget.mapToGlobal(at)), QPoint(), turn, Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
            )  # fmt: skip
            QApplication.sendEvent(widget, event)

    def key(self) -> None:
        shift = self.random.choice((Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier))
        QTest.keyClick(self.target(), self.random.choice(KEYS), shift)

    def edit(self) -> None:
        session = self.window.session
        if self.random.random() < 0.3:
            session.change(edits=())
        else:
            with suppress(ValueError):
                session.toggle_edit(self.random.choice(EDITS))

    def combo(self) -> None:
        found = [
            combo for combo in self.window.findChildren(QComboBox) if combo.isVisible() and combo.count()
        ]
        if found:
            combo = self.random.choice(found)
            index = self.random.randrange(combo.count())
            combo.setCurrentIndex(index)
            combo.activated.emit(index)

    def menu(self) -> None:
        found = [action for action in self.actions() if action.isEnabled() and action.isVisible()]
        action = self.random.choice(found)
        if not any(word in action.text().replace("&", "") for word in LEFT_ALONE):
            # A dialog that is waited for keeps this call until something closes it.
            QTimer.singleShot(0, self.window, action.trigger)

    def actions(self) -> list[QAction]:
        return [
            action
            for menu in self.window.menuBar().findChildren(QMenu)
            for action in menu.actions()
            if action.menu() is None and not action.isSeparator()
        ]

    def size(self) -> None:
        self.window.resize(self.random.randrange(900, 1500), self.random.randrange(600, 950))

    def change_theme(self) -> None:
        self.theme = "dark" if self.theme == "light" else "light"
        self.window.set_theme(self.theme)  # type: ignore[arg-type]

    def float(self) -> None:
        dock = self.random.choice(list(self.window.docks.values()))
        dock.float() if not dock.isFloating() else dock.setFloating(False)

    def signal(self, number: signal.Signals) -> None:
        if pid := self.window.session.greeting.get("pid"):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """The engine stands still for a while, as it does when the machine swaps."""
        pid = self.window.session.greeting.get("pid")
        if pid:
            self.signal(signal.SIGSTOP)

            def go_on() -> None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

            QTimer.singleShot(self.random.choice((200, 1500)), self.window, go_on)
