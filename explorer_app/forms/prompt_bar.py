"""The top of the window: which model, on what, the prompt, how far the engine is, and the tokens it reads."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from model_core.api.plain_text import one_line
from model_core.api.queries.query import Query
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.forms.text_strips import TextStrips
from explorer_app.state.session import Session
from explorer_app.state.settings import Recent
from explorer_app.state.store import RUN
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.lists.chips import TokenStrip
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import Label, caption, tip
from explorer_app.widgets.two_lines import DETAIL, TwoLines
from explorer_app.words.engine_words import doing_words
from explorer_app.words.model_words import (
    distinct_titles,
    memory_text,
    model_tip,
    preset_line,
    preset_tip,
    why_missing,
)
from explorer_app.words.text import sentence, tr

DTYPES = ("float32", "float64", "float16", "bfloat16")


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
        self.setToolTip(tip(self.words()[state][1]))
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

    opening_file, opening_folder  somebody wants to choose a checkpoint
    creating                      somebody wants a model without training
    cancelled                     somebody wants the engine to stop
    """

    opening_file = Signal()
    opening_folder = Signal()
    creating = Signal()
    cancelled = Signal()

    def __init__(self, session: Session, recent: Sequence[Recent], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.recent = list(recent)
        self.choices: list[Recent] = []
        self.model = self._chooser(
            tr("Model"),
            tr("The model that reads the prompt: a preset, a checkpoint, or one without training."),
            9,
        )
        self.model.setItemDelegate(TwoLines(self.model))
        self.device = self._chooser(tr("Device"), tr("Where the model computes."), 9)
        self.dtype = self._chooser(
            tr("Number type"), tr("The number type of weights and activations (dtype)."), 6
        )
        self.prompt = QLineEdit(session.scene.prompt)
        self.prompt.setPlaceholderText(tr("Type a prompt"))
        self.prompt.setAccessibleName(tr("Prompt"))
        self.prompt.setToolTip(tip(tr("What the model reads. Every panel follows while you type.")))
        self.target = QLineEdit(session.scene.target)
        self.target.setAccessibleName(tr("What the decoder reads"))
        self.target.setToolTip(
            tip(
                tr(
                    "What the decoder reads, and whose next token is predicted. Every panel follows while you type."
                )
            )
        )
        self.reads = [Label(tr("Encoder reads")), Label(tr("Decoder reads"))]
        self.special = QCheckBox(tr("BOS"))
        self.light = EngineLight(session)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.stop = QToolButton()
        self.stop.setText(tr("Cancel"))
        self.stop.setToolTip(tip(tr("Stop the engine's present work (Escape)")))
        self.line = OneLine()
        self.fix = QToolButton()
        self.strips = TextStrips(session)
        self._lay_out()
        self._connect()
        self.show_choices()
        self.show_line()
        self.show_tokens()

    def _chooser(self, name: str, meaning: str, characters: int) -> QComboBox:
        box = Chooser(name)
        box.setToolTip(tip(meaning))
        # As wide before the engine has said what there is as afterwards, so that the prompt does not jump.
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(characters)
        return box

    def _lay_out(self) -> None:
        unit = round(QFontMetricsF(self.font()).height() / 2)
        first = QHBoxLayout()
        first.setSpacing(unit)
        top = Qt.AlignmentFlag.AlignTop
        for widget in (self.model, self.device, self.dtype):
            first.addWidget(widget, 0, top)
        # Beside each other, so that a model with two texts takes no more rows than one with one.
        for name, field in zip(self.reads, self.fields, strict=True):
            name.setBuddy(field)
            name.setFixedHeight(field.sizeHint().height())
            first.addWidget(name, 0, top)
            first.addWidget(field, 1, top)
        self.light.setFixedHeight(self.prompt.sizeHint().height())
        first.addWidget(self.light, 0, top)
        second = QHBoxLayout()
        second.setSpacing(unit)
        # The line is as wide as its text while there is room, so that its button stands beside it.
        second.addWidget(self.line, 1000)
        second.addWidget(self.fix)
        second.addStretch(1)
        for extra in (self.bar, self.stop, self.special):
            second.addWidget(extra)
            policy = extra.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            extra.setSizePolicy(policy)
        self.bar.setFixedWidth(unit * 20)
        self.bar.setFixedHeight(round(unit * 0.8))
        for button in (self.fix, self.stop, self.special):
            button.setFixedHeight(round(unit * 2.4))
        column = QVBoxLayout(self)
        column.setContentsMargins(unit, round(unit * 0.8), unit, round(unit * 0.4))
        column.setSpacing(round(unit * 0.5))
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(self.strips)

    def _connect(self) -> None:
        session = self.session
        self.prompt.textEdited.connect(lambda text: session.change(prompt=text))
        self.target.textEdited.connect(lambda text: session.change(target=text))
        self.model.activated.connect(self._choose_model)
        self.device.activated.connect(lambda row: session.change(device=self.device.itemData(row)))
        self.dtype.activated.connect(lambda row: session.change(dtype=self.dtype.itemData(row)))
        self.special.clicked.connect(lambda on: session.change(special=on))
        self.fix.clicked.connect(session.mend)
        self.stop.clicked.connect(self.cancelled)
        session.scene_changed.connect(self.show_scene)
        session.shown_changed.connect(self.show_tokens)
        session.compared_changed.connect(self.show_tokens)
        session.answered.connect(self._show_run)
        session.stale_changed.connect(self.strips.show_age)
        session.selection_changed.connect(self.strips.show_cursor)
        session.hovered_changed.connect(self.strips.show_cursor)
        session.message_changed.connect(self.show_line)
        session.progress_changed.connect(self.show_line)
        session.engine_changed.connect(self.show_line)
        session.greeted.connect(self.show_choices)
        theme.notifier.changed.connect(self.show_line)

    def minimumSizeHint(self) -> QSize:
        """As wide for every model: a second text has its field beside the first."""
        return QSize(self.fontMetrics().height() * 30, super().minimumSizeHint().height())

    def detach(self) -> None:
        """Stop listening, before the widgets are gone."""
        session = self.session
        session.scene_changed.disconnect(self.show_scene)
        session.shown_changed.disconnect(self.show_tokens)
        session.compared_changed.disconnect(self.show_tokens)
        session.answered.disconnect(self._show_run)
        session.stale_changed.disconnect(self.strips.show_age)
        session.selection_changed.disconnect(self.strips.show_cursor)
        session.hovered_changed.disconnect(self.strips.show_cursor)
        for signal in (session.message_changed, session.progress_changed, session.engine_changed):
            signal.disconnect(self.show_line)
        session.greeted.disconnect(self.show_choices)
        theme.notifier.changed.disconnect(self.show_line)
        self.light.detach()

    # Choosing

    def presets(self) -> dict[str, Mapping[str, Any] | str]:
        """What the engine knows of each preset, or why it is damaged, in the order in which they are listed."""
        greeting = self.session.greeting
        known = {**greeting.get("presets", {}), **greeting.get("damaged", {})}
        return {name: known[name] for name in greeting.get("order", ())}

    def models(self) -> list[Recent]:
        """What the chooser of models offers: presets, what was opened before, and what the scene says."""
        scene, presets = self.session.scene, self.presets()
        models = [Recent(name) for name in presets]
        models += [recent for recent in self.recent if recent.model not in presets]
        asked = Recent(*scene.shape)
        return models if asked in models else [asked, *models]

    def show_models(self) -> None:
        self.choices = self.models()
        presets = self.presets()
        with QSignalBlocker(self.model):
            self.model.clear()
            titles = distinct_titles([(choice.model, choice.config) for choice in self.choices])
            for row, (choice, title) in enumerate(zip(self.choices, titles, strict=True)):
                self.model.addItem(title, choice.model)
                about = model_tip(choice.model, choice.config)
                facts = presets.get(choice.model)
                if isinstance(facts, str):
                    # Its weights may be whole and open; if they do not, the engine says why.
                    about = facts
                    self.model.setItemData(row, tr("damaged"), DETAIL)
                elif facts is not None:
                    about = preset_tip(facts)
                    self.model.setItemData(row, preset_line(facts), DETAIL)
                known = facts is not None or choice.model == self.session.scene.shape[0]
                if missing := "" if known else why_missing(choice.model):
                    about = f"{about}\n{missing}"
                    cast(QStandardItemModel, self.model.model()).item(row).setEnabled(False)
                self.model.setItemData(row, tip(about), Qt.ItemDataRole.ToolTipRole)
            self.model.insertSeparator(self.model.count())
            for text in (tr("Open file…"), tr("Open folder…"), tr("New untrained model…")):
                self.model.addItem(text)
        # The list is as wide as what it says, whatever room the closed box has.
        self.model.view().setMinimumWidth(self.model.view().sizeHintForColumn(0))

    def show_choices(self, _: Any = None) -> None:
        """Fill the choosers with what the engine has; until it has greeted, with what the scene says."""
        scene, greeting = self.session.scene, self.session.greeting
        self.show_models()
        with QSignalBlocker(self.device):
            self.device.clear()
            for device in greeting.get(
                "devices", [{"name": scene.device, "title": "", "memory_bytes": None}]
            ):
                memory = memory_text(device["memory_bytes"])
                self.device.addItem(
                    " · ".join(part for part in (device["name"], memory) if part), device["name"]
                )
                self.device.setItemData(
                    self.device.count() - 1, tip(device["title"]), Qt.ItemDataRole.ToolTipRole
                )
        with QSignalBlocker(self.dtype):
            self.dtype.clear()
            for dtype in greeting.get("dtypes", DTYPES):
                self.dtype.addItem(dtype, dtype)
        self.show_scene()

    def show_scene(self, _: Any = None) -> None:
        """Follow the scene; the field that is being typed in is left alone."""
        scene = self.session.scene
        if self.choices != self.models():
            self.show_models()
        with QSignalBlocker(self.model):
            self.model.setCurrentIndex(self.choices.index(Recent(*scene.shape)))
        for box, value in ((self.device, scene.device), (self.dtype, scene.dtype)):
            with QSignalBlocker(box):
                box.setCurrentIndex(box.findData(value))
        for field, text in ((self.prompt, scene.prompt), (self.target, scene.target)):
            if field.text() != text:
                field.setText(text)
        self.special.setChecked(scene.special)

    def remember(self, recent: Recent) -> None:
        """Offer a model from now on."""
        self.recent = [recent, *(other for other in self.recent if other.model != recent.model)]
        self.show_scene()

    def forget(self) -> None:
        """Offer no model of before any more."""
        self.recent = []
        self.show_scene()

    def _choose_model(self, row: int) -> None:
        if row < len(self.choices):
            choice = self.choices[row]
            self.session.open(choice.model, choice.config)
        else:
            self.show_scene()
            # A separator stands between.
            (self.opening_file, self.opening_folder, self.creating)[row - len(self.choices) - 1].emit()

    # One line of words

    def show_line(self, *_: Any) -> None:
        """The message if there is one, else what the engine does, else where the numbers of the run end.

        Where they do not, what a click in the strip means.
        """
        share = self.session.progress[1]
        busy = share < 1.0
        self.bar.setVisible(busy)
        self.stop.setVisible(busy)
        self.fix.setVisible(bool(self.session.message and self.session.fix))
        for field, text in self.session.fix.items():
            self._offer(field, text)
        # A progress bar paints a new value at once, and with it all of the window that waits to be painted.
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, 1000 if share > 0 else 0)
        self.bar.setValue(round(share * 1000))
        self.bar.setUpdatesEnabled(True)
        colours = theme.current()
        colour = colours.muted
        if self.session.message:
            text, colour = one_line(sentence(self.session.message)), colours.warning
        elif busy:
            text = doing_words(self.session)
        elif words := "" if self.session.run is None else self.session.run.facts.get("not_finite", ""):
            text, colour = sentence(words), colours.warning
        elif len(self.session.texts) > 1:
            text = tr(
                "Tokens, with their ids: a click chooses who looks (blue), or in the other text at whom (red); "
                "within one text Shift+click."
            )
        else:
            text = tr("Tokens, with their ids: a click chooses the query, Shift+click the key it looks at.")
        theme.colour_text(self.line, colour)
        self.line.setText(text)
        self.line.setMaximumWidth(self.line.sizeHint().width())
        self.line.setToolTip(tip(text))

    def _offer(self, field: str, text: str) -> None:
        """Say on the button what it would change."""
        if field == "version":
            self.fix.setText(tr("Open what is there now"))
            self.fix.setToolTip(tip(tr("Load the model again, as its files are now")))
            return
        cut = getattr(self.session.scene, field).startswith(text)
        self.fix.setText(tr("Cut to fit") if cut else caption(tr("Use “{text}”").format(text=text)))
        self.fix.setToolTip(tip(tr("Change the prompt to what the model can read")))

    # Texts

    @property
    def fields(self) -> tuple[QLineEdit, QLineEdit]:
        """Where a person types what the model reads; the second is there for a model with two texts."""
        return self.prompt, self.target

    @property
    def strip(self) -> TokenStrip:
        """The tokens of the first text."""
        return self.strips.strips[0]

    def show_tokens(self, _: Any = None) -> None:
        """The tokens of the run on screen, and a field for each text that its model reads."""
        several = len(self.session.texts) > 1
        for part in (*self.reads, self.target):
            part.setVisible(several)
        run = self.session.run
        prefixes = [] if run is None else run.facts.get("prefixes", [])
        # What the decoder reads while nothing is typed for it.
        begun = run is not None and bool(run.facts.get("prefix"))
        self.target.setPlaceholderText(
            tr("{tokens} alone: the answer begins here").format(tokens=" ".join(prefixes))
            if begun
            else tr("the same as the encoder")
        )
        self.special.setVisible(bool(prefixes))
        self.special.setToolTip(
            tip(
                tr("Put {tokens} before the prompt, as the model's configuration says.").format(
                    tokens=" ".join(prefixes)
                )
            )
        )
        if run is not None:
            self.strips.show_tokens()
            self.show_line()

    def _show_run(self, asked: Query) -> None:
        if asked == RUN:
            self.show_tokens()
