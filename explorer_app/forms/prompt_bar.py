"""The top of the window: which model, on what, the prompt, how far the engine is, and the tokens it reads."""

from collections.abc import Sequence
from typing import Any

from model_core.api.plain_text import one_line
from model_core.api.queries.query import Query
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.forms.engine_light import EngineLight
from explorer_app.forms.model_chooser import ModelChooser
from explorer_app.forms.text_strips import TextStrips
from explorer_app.state.session import Session
from explorer_app.state.settings import Recent
from explorer_app.state.store import RUN
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.listening import Listening
from explorer_app.widgets.lists.chips import TokenStrip
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import Label, caption, tip
from explorer_app.words.engine_words import doing_words
from explorer_app.words.model_words import (
    memory_text,
)
from explorer_app.words.text import sentence, tr

DTYPES = ("float32", "float64", "float16", "bfloat16")


class PromptBar(QWidget):
    """Model, device and dtype, the prompt, one line for messages, and the strip of tokens. All of it writes the scene.

    cancelled  somebody wants the engine to stop
    """

    cancelled = Signal()

    def __init__(self, session: Session, recent: Sequence[Recent], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.model = ModelChooser(session, recent)
        self.device, self.dtype = Chooser(tr("Device")), Chooser(tr("Number type"))
        for box, characters, meaning in (
            (
                self.model,
                9,
                tr("The model that reads the prompt: a preset, a checkpoint, or one without training."),
            ),
            (self.device, 9, tr("Where the model computes.")),
            (self.dtype, 6, tr("The number type of weights and activations (dtype).")),
        ):
            box.setToolTip(tip(meaning))
            # As wide before the engine has said what there is as afterwards, so that the prompt does not jump.
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(characters)
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
        self.device.activated.connect(lambda row: session.change(device=self.device.itemData(row)))
        self.dtype.activated.connect(lambda row: session.change(dtype=self.dtype.itemData(row)))
        self.special.clicked.connect(lambda on: session.change(special=on))
        self.fix.clicked.connect(session.mend)
        self.stop.clicked.connect(self.cancelled)
        listens = Listening(self)
        listens.to(session.scene_changed, self.show_scene)
        listens.to(session.shown_changed, self.show_tokens)
        listens.to(session.compared_changed, self.show_tokens)
        listens.to(session.answered, self._show_run)
        listens.to(session.stale_changed, self.strips.show_age)
        listens.to(session.selection_changed, self.strips.show_cursor)
        listens.to(session.hovered_changed, self.strips.show_cursor)
        listens.to(session.message_changed, self.show_line)
        listens.to(session.progress_changed, self.show_line)
        listens.to(session.engine_changed, self.show_line)
        listens.to(session.greeted, self.show_choices)
        theme.notifier.changed.connect(self.show_line)

    def minimumSizeHint(self) -> QSize:
        """As wide for every model: a second text has its field beside the first."""
        return QSize(self.fontMetrics().height() * 30, super().minimumSizeHint().height())

    # Choosing

    def show_choices(self, _: Any = None) -> None:
        """Fill the choosers with what the engine has; until it has greeted, with what the scene says."""
        scene, greeting = self.session.scene, self.session.greeting
        self.model.show_models()
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
        self.model.show_scene()
        for box, value in ((self.device, scene.device), (self.dtype, scene.dtype)):
            with QSignalBlocker(box):
                box.setCurrentIndex(box.findData(value))
        for field, text in ((self.prompt, scene.prompt), (self.target, scene.target)):
            if field.text() != text:
                field.setText(text)
        self.special.setChecked(scene.special)

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
