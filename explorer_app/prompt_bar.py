"""The top of the window: which model, on what, the prompt, how far the engine is, and the tokens it reads."""

from pathlib import Path
from typing import Any

from model_core.queries import Query
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.session import RUN, Session
from explorer_app.text import tr
from explorer_app.widgets.chips import TokenStrip

DTYPES = ("float32", "float64", "float16", "bfloat16")


def model_title(model: str) -> str:
    """How a scene's model is called where room is short: a preset's name, or the last part of a path."""
    return Path(model).name or model


def memory_text(size: int | None) -> str:
    """Bytes as a person reads them: "15.6 GB"; "" where nobody knows."""
    return "" if size is None else f"{size / 1e9:.1f} GB"


def sentence(message: str) -> str:
    """A message with a capital letter, unless it begins with a name."""
    first, _, rest = message.partition(" ")
    return f"{first.capitalize()} {rest}" if first.isalpha() and first.islower() and rest else message


class EngineLight(QWidget):
    """A dot and a word: what the engine process is doing."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        session.engine_changed.connect(self.show_state)
        theme.notifier.changed.connect(self.update)
        self.show_state(session.engine)

    def words(self) -> dict[str, tuple[str, str]]:
        """state -> its words, and what it means"""
        return {
            "starting": (
                tr("engine starting"),
                tr("The engine is starting: it loads PyTorch, in a process of its own."),
            ),
            "ready": (tr("engine ready"), tr("The engine waits: everything on screen is computed.")),
            "running": (tr("engine running"), tr("The engine computes. Escape stops it.")),
            "stopped": (
                tr("engine stopped"),
                tr("The engine is not running. Run > Restart engine starts it again."),
            ),
        }

    def show_state(self, state: str) -> None:
        self.setToolTip(self.words()[state][1])
        self.setAccessibleName(self.text())
        self.update()

    def text(self) -> str:
        """The present state in words."""
        return self.words()[self.session.engine][0]

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        widest = max(metrics.horizontalAdvance(text) for text, _ in self.words().values())
        return QSize(round(widest + metrics.height() * 1.2), round(metrics.height() * 1.4))

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        state = self.session.engine
        colour = {"ready": colours.value, "stopped": colours.error}.get(state, colours.warning)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = QFontMetricsF(self.font()).height()
        side = line * 0.55
        middle = self.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(0, round(middle - side / 2), round(side), round(side))
        painter.setPen(QColor(colours.muted))
        box = self.rect().adjusted(round(line * 0.9), 0, 0, 0)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())

    def detach(self) -> None:
        self.session.engine_changed.disconnect(self.show_state)
        theme.notifier.changed.disconnect(self.update)


class PromptBar(QWidget):
    """Model, device and dtype, the prompt, one line for messages, and the strip of tokens. All of it writes the scene.

    opening    somebody wants to choose a checkpoint's folder
    cancelled  somebody wants the engine to stop
    """

    opening = Signal()
    cancelled = Signal()

    def __init__(self, session: Session, recent: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.recent = list(recent)
        self.model = self._chooser(
            tr("Model"), tr("The model that reads the prompt: a preset, or a checkpoint's folder."), 9
        )
        self.device = self._chooser(tr("Device"), tr("Where the model computes."), 9)
        self.dtype = self._chooser(
            tr("Number type"), tr("The number type of weights and activations (dtype)."), 6
        )
        self.prompt = QLineEdit(session.scene.prompt)
        self.prompt.setPlaceholderText(tr("Type a prompt"))
        self.prompt.setAccessibleName(tr("Prompt"))
        self.prompt.setToolTip(tr("What the model reads. Every panel follows while you type."))
        self.light = EngineLight(session)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.stop = QToolButton()
        self.stop.setText(tr("Cancel"))
        self.stop.setToolTip(tr("Stop the engine's present work (Escape)"))
        self.line = QLabel()
        self.line.setTextFormat(Qt.TextFormat.PlainText)
        self.line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.fix = QToolButton()
        self.fix.setText(tr("Cut to fit"))
        self.fix.setToolTip(tr("Shorten the prompt to what the model can read"))
        self.strip = TokenStrip()
        self.strip.horizontalScrollBar().rangeChanged.connect(self._fit_strip)
        self._lay_out()
        self._connect()
        self.show_choices()
        self.show_line()
        self.show_tokens()
        self._fit_strip(0, self.strip.horizontalScrollBar().maximum())

    def _chooser(self, name: str, meaning: str, characters: int) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(name)
        box.setToolTip(meaning)
        # As wide before the engine has said what there is as afterwards, so that the prompt does not jump.
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(characters)
        return box

    def _lay_out(self) -> None:
        unit = round(QFontMetricsF(self.font()).height() / 2)
        first = QHBoxLayout()
        first.setSpacing(unit)
        for widget in (self.model, self.device, self.dtype):
            first.addWidget(widget)
        first.addWidget(self.prompt, 1)
        first.addWidget(self.light)
        second = QHBoxLayout()
        second.setSpacing(unit)
        # The line is as wide as its text while there is room, so that its button stands beside it.
        second.addWidget(self.line, 1000)
        second.addWidget(self.fix)
        second.addStretch(1)
        for extra in (self.bar, self.stop):
            second.addWidget(extra)
            policy = extra.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            extra.setSizePolicy(policy)
        self.bar.setFixedWidth(unit * 20)
        self.bar.setFixedHeight(round(unit * 0.8))
        for button in (self.fix, self.stop):
            button.setFixedHeight(round(unit * 2.4))
        column = QVBoxLayout(self)
        column.setContentsMargins(unit, round(unit * 0.8), unit, round(unit * 0.4))
        column.setSpacing(round(unit * 0.5))
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(self.strip)

    def _connect(self) -> None:
        session = self.session
        self.prompt.textEdited.connect(lambda text: session.change(prompt=text))
        self.model.activated.connect(self._choose_model)
        self.device.activated.connect(lambda row: session.change(device=self.device.itemData(row)))
        self.dtype.activated.connect(lambda row: session.change(dtype=self.dtype.itemData(row)))
        self.fix.clicked.connect(lambda: session.change(**session.fix))
        self.stop.clicked.connect(self.cancelled)
        self.strip.clicked.connect(self._lock)
        self.strip.hovered.connect(session.hover)
        self.strip.left.connect(lambda: session.hover(None))
        session.scene_changed.connect(self.show_scene)
        session.shown_changed.connect(self.show_tokens)
        session.answered.connect(self._show_run)
        session.selection_changed.connect(self.show_cursor)
        session.hovered_changed.connect(self.show_cursor)
        session.message_changed.connect(self.show_line)
        session.progress_changed.connect(self.show_line)
        session.engine_changed.connect(self.show_line)
        session.greeted.connect(self.show_choices)
        theme.notifier.changed.connect(self.show_line)

    def detach(self) -> None:
        """Stop listening, before the widgets are gone."""
        session = self.session
        session.scene_changed.disconnect(self.show_scene)
        session.shown_changed.disconnect(self.show_tokens)
        session.answered.disconnect(self._show_run)
        session.selection_changed.disconnect(self.show_cursor)
        session.hovered_changed.disconnect(self.show_cursor)
        for signal in (session.message_changed, session.progress_changed, session.engine_changed):
            signal.disconnect(self.show_line)
        session.greeted.disconnect(self.show_choices)
        theme.notifier.changed.disconnect(self.show_line)
        self.light.detach()

    # Choosing

    def show_choices(self, _: Any = None) -> None:
        """Fill the choosers with what the engine has; until it has greeted, with what the scene says."""
        scene, greeting = self.session.scene, self.session.greeting
        presets: dict[str, str] = greeting.get("presets", {})
        models = [(name, name, about) for name, about in presets.items()]
        models += [(path, model_title(path), path) for path in self.recent if path not in presets]
        if scene.model not in [model for model, _, _ in models]:
            models.insert(0, (scene.model, model_title(scene.model), scene.model))
        with QSignalBlocker(self.model):
            self.model.clear()
            for model, title, about in models:
                self.model.addItem(title, model)
                self.model.setItemData(self.model.count() - 1, about, Qt.ItemDataRole.ToolTipRole)
            self.model.insertSeparator(self.model.count())
            self.model.addItem(tr("Open folder…"), None)
        with QSignalBlocker(self.device):
            self.device.clear()
            for device in greeting.get(
                "devices", [{"name": scene.device, "title": "", "memory_bytes": None}]
            ):
                memory = memory_text(device["memory_bytes"])
                self.device.addItem(
                    " · ".join(part for part in (device["name"], memory) if part), device["name"]
                )
                self.device.setItemData(self.device.count() - 1, device["title"], Qt.ItemDataRole.ToolTipRole)
        with QSignalBlocker(self.dtype):
            self.dtype.clear()
            for dtype in greeting.get("dtypes", DTYPES):
                self.dtype.addItem(dtype, dtype)
        self.show_scene()

    def show_scene(self, _: Any = None) -> None:
        """Follow the scene; the field that is being typed in is left alone."""
        scene = self.session.scene
        for box, value in ((self.model, scene.model), (self.device, scene.device), (self.dtype, scene.dtype)):
            row = box.findData(value)
            if row < 0 and box is self.model:
                self.remember(value)
                return
            with QSignalBlocker(box):
                box.setCurrentIndex(row)
        if self.prompt.text() != scene.prompt:
            self.prompt.setText(scene.prompt)

    def remember(self, path: str) -> None:
        """Offer a checkpoint's path from now on."""
        self.recent = [path, *(other for other in self.recent if other != path)]
        self.show_choices()

    def _choose_model(self, row: int) -> None:
        model = self.model.itemData(row)
        if model is None:
            self.show_scene()
            self.opening.emit()
        else:
            self.session.change(model=model)

    # One line of words

    def show_line(self, *_: Any) -> None:
        """The message if there is one, else what the engine does, else what a click in the strip means."""
        what, share = self.session.progress
        busy = share < 1.0
        self.bar.setVisible(busy)
        self.stop.setVisible(busy)
        self.fix.setVisible(bool(self.session.message and self.session.fix))
        self.bar.setRange(0, 1000 if share > 0 else 0)
        self.bar.setValue(round(share * 1000))
        colours = theme.current()
        colour = colours.muted
        if self.session.message:
            text, colour = sentence(self.session.message), colours.warning
        elif busy:
            text = self._doing(what)
        else:
            text = tr("Tokens, with their ids: a click chooses the query, Shift+click the key it looks at.")
        self.line.setStyleSheet(f"color: {colour}")
        self.line.setText(text)
        self.line.setMaximumWidth(round(QFontMetricsF(self.line.font()).horizontalAdvance(text)) + 4)
        self.line.setToolTip(text)

    def _doing(self, what: str) -> str:
        if self.session.engine == "starting":
            return tr("Starting the engine…")
        model = model_title(self.session.scene.model)
        words = {"loading": tr("Loading {model}…"), "running": tr("Running {model}…")}
        return words.get(what, what).format(model=model)

    # Tokens

    def show_tokens(self, _: Any = None) -> None:
        run = self.session.run
        if run is not None:
            self.strip.show_tokens(run["strings"], run["tokens"])
            self.show_cursor()

    def _fit_strip(self, _: int, beyond: int) -> None:
        """Room for the scroll bar only when there is something to scroll to."""
        bar = self.strip.horizontalScrollBar().sizeHint().height()
        self.strip.setFixedHeight(self.strip.minimumSizeHint().height() - (0 if beyond else bar))

    def _show_run(self, asked: Query) -> None:
        if asked == RUN:
            self.show_tokens()

    def show_cursor(self, _: Any = None) -> None:
        """Colour the tokens under the pointer elsewhere, else the locked ones."""
        query, key = self.session.hovered
        if (query is None and key is None) or self.strip.underMouse():
            query, key = self.session.selection.query, self.session.selection.key
        self.strip.set_cursor(query, key)

    def _lock(self, index: int) -> None:
        """A click locks the query, a second one the key as well, a third lets go; Shift sets only the key."""
        selection = self.session.selection
        if QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.session.select(key=None if index == selection.key else index)
        elif index != selection.query:
            self.session.select(query=index)
        elif index != selection.key:
            self.session.select(key=index)
        else:
            self.session.select(query=None, key=None)
