"""The fields of a training: the model, the texts, the folder, the numbers, and a line of words below each row."""

from typing import Any

from model_core.api.recipe import AUTOCAST
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from explorer_app import theme
from explorer_app.state.training import MOST_ROWS, MOST_SEED, MOST_STEPS
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.plain import Label, tip
from explorer_app.words.text import tr

ROWS = ("what", "data", "out", "numbers")


class TrainFields(QWidget):
    """Where a person fills in what is trained; whoever made it knows what may stand there.

    said  the line below each of the ROWS
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.what = Chooser(tr("Train"))
        # A long name of the model on screen is cut off in the box; the panel does not grow for it.
        self.what.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.what.setMinimumContentsLength(12)
        self.what.setToolTip(
            tip(
                tr(
                    "A preset, from scratch; or the model on screen, trained further: "
                    "open any checkpoint first, or make a model with File > New untrained model."
                )
            )
        )
        self.texts = QLineEdit()
        self.texts.setAccessibleName(tr("Text to learn from"))
        # The window takes files; the field would take their addresses as text.
        self.texts.setAcceptDrops(False)
        self.choose_data = QPushButton(tr("Choose…"))
        self.choose_data.setAccessibleName(tr("Choose texts"))
        self.out = QLineEdit()
        self.out.setAccessibleName(tr("Folder to write to"))
        self.out.setToolTip(tip(tr("Checkpoints, the log and in the end a model card are written there.")))
        self.choose_out = QPushButton(tr("Choose…"))
        self.choose_out.setAccessibleName(tr("Choose a folder"))
        self.new_folder = QPushButton(tr("New folder"))
        self.new_folder.setToolTip(
            tip(tr("Begin anew in a folder of its own; what is kept in this one stays."))
        )
        self.steps = self._number(
            tr("Steps"),
            1,
            MOST_STEPS,
            tr("How many steps the training has; for a preset with several phases, those of the first."),
        )
        self.batch = self._number(
            tr("Rows"), 1, MOST_ROWS, tr("Rows of text in a step (batch). Fewer need less memory.")
        )
        self.lr = QLineEdit()
        self.lr.setToolTip(
            tip(tr("The highest learning rate: reached after the warm-up, it falls to a tenth."))
        )
        self.seed = self._number(tr("Seed"), 0, MOST_SEED, tr("The same seed gives the same weights."))
        self.device, self.dtype = Chooser(tr("Device")), Chooser(tr("Number type"))
        self.device.setToolTip(tip(tr("Where the training computes.")))
        self.dtype.setToolTip(
            tip(
                tr(
                    "The number type of the matrix products; weights are float32. "
                    "A CPU is quickest with float32, a GPU with bfloat16."
                )
            )
        )
        self.dtype.addItems(AUTOCAST)
        self.said = {row: Label() for row in ROWS}
        self._lay_out()
        theme.notifier.changed.connect(self._colour)

    def _number(self, name: str, least: int, most: int, meaning: str) -> QSpinBox:
        box = QSpinBox()
        box.setRange(least, most)
        box.setGroupSeparatorShown(True)
        box.setAccessibleName(name)
        box.setToolTip(tip(meaning))
        return box

    def _lay_out(self) -> None:
        line = self.fontMetrics().height()
        # Two lines of them, so that the window can be made narrow.
        numbers = QGridLayout()
        numbers.setHorizontalSpacing(round(line * 0.4))
        numbers.setVerticalSpacing(round(line * 0.25))
        named: tuple[tuple[tuple[str, QWidget], ...], ...] = (
            ((tr("Steps"), self.steps), (tr("Rows"), self.batch), (tr("Rate"), self.lr)),
            ((tr("Seed"), self.seed), (tr("on"), self.device), (tr("in"), self.dtype)),
        )
        for number, fields in enumerate(named):
            for place, (name, field) in enumerate(fields):
                label = Label(name)
                if not isinstance(field, Chooser):
                    label.setBuddy(field)
                    field.setAccessibleName(name)
                field.setMinimumWidth(line * 4)
                field.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
                numbers.addWidget(label, number, 2 * place)
                numbers.addWidget(field, number, 2 * place + 1)
                numbers.setColumnStretch(2 * place + 1, 1)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(round(line * 0.6))
        grid.setVerticalSpacing(round(line * 0.25))
        grid.setColumnStretch(1, 1)
        rows: list[tuple[str, QWidget | QGridLayout, list[QWidget]]] = [
            (tr("Train"), self.what, []),
            (tr("on"), self.texts, [self.choose_data]),
            (tr("into"), self.out, [self.choose_out, self.new_folder]),
            ("", numbers, []),
        ]
        for number, (name, held, buttons) in enumerate(rows):
            row = 2 * number
            label = Label(name)
            grid.addWidget(label, row, 0)
            wide = 3 - len(buttons)
            if isinstance(held, QWidget):
                label.setBuddy(held)
                grid.addWidget(held, row, 1, 1, wide)
            else:
                grid.addLayout(held, row, 1, 1, wide)
            for place, button in enumerate(buttons):
                grid.addWidget(button, row, 1 + wide + place)
            said = self.said[ROWS[number]]
            said.setWordWrap(True)
            said.hide()
            grid.addWidget(said, row + 1, 1, 1, 3)

    def say(self, row: str, text: str, *, wrong: bool = True) -> None:
        """A line below a row."""
        label = self.said[row]
        label.setText(text)
        label.setProperty("wrong", wrong)
        label.setVisible(bool(text))
        self._colour()

    def quiet(self, *rows: str) -> None:
        """No lines below these rows."""
        for row in rows:
            self.say(row, "")

    def _colour(self, _: Any = None) -> None:
        colours = theme.current()
        for label in self.said.values():
            theme.colour_text(label, colours.error if label.property("wrong") else colours.muted)
