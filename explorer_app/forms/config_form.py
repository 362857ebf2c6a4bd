"""Fields of a configuration to be filled in, and what is wrong with them beside the field that it is about.

form = ConfigForm([{"name": "heads", "kind": "int", "default": "8", "about": "..."}])
form.words()            ["heads=8"]
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QGridLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.on_screen import FittingDialog, Scrolled
from explorer_app.widgets.plain import Label, tip, title_text
from explorer_app.words.text import tr

MOST = 2**28
MOST_SEED = 2**31 - 1

Field = QSpinBox | QCheckBox | QComboBox | QLineEdit


class ConfigForm(QWidget):
    """One row a field: its name, what is filled in, what it means.

    changed  told whenever something was filled in
    """

    changed = Signal()

    def __init__(self, fields: Sequence[Mapping[str, Any]], parent: QWidget | None = None) -> None:
        """fields: name, kind ("int", "float", "bool", "choice" or "text"), choices, default, about"""
        super().__init__(parent)
        self.fields: dict[str, Field] = {}
        self.labels: dict[str, Label] = {}
        self.blamed: list[str] = []
        self.last = ""
        self.complaint = Label()
        self.complaint.setWordWrap(True)
        self.complaint.hide()
        line = self.fontMetrics().height()
        self.grid = QGridLayout(self)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(line)
        self.grid.setVerticalSpacing(round(line * 0.15))
        self.grid.setColumnStretch(2, 1)
        for row, field in enumerate(fields):
            name = field["name"]
            label, box = Label(name), self._field(field)
            label.setFont(theme.mono_font())
            label.setBuddy(box)
            about = Label(field["about"])
            about.setWordWrap(True)
            about.setForegroundRole(self.palette().ColorRole.PlaceholderText)
            box.setAccessibleName(name)
            box.setAccessibleDescription(field["about"])
            box.setToolTip(tip(field["about"]))
            box.installEventFilter(self)
            self.fields[name], self.labels[name] = box, label
            # Each row has one below it for what is wrong with it.
            for column, widget in enumerate((label, box, about)):
                self.grid.addWidget(widget, 2 * row, column)
        self.grid.setRowStretch(2 * len(fields) + 2, 1)
        if self.fields:
            widest = max(box.sizeHint().width() for box in self.fields.values())
            tallest = max(box.sizeHint().height() for box in self.fields.values())
            for box in self.fields.values():
                box.setMinimumHeight(tallest)
                box.setMinimumWidth(min(widest, line * 9))
                box.setMaximumWidth(line * 12)
        self.fill({field["name"]: field["default"] for field in fields})
        theme.notifier.changed.connect(self._colour)

    def _field(self, field: Mapping[str, Any]) -> Field:
        name, kind = field["name"], field["kind"]

        def told(*_: Any) -> None:
            self.last = name
            self.changed.emit()

        if kind == "int":
            number = QSpinBox()
            number.setRange(0 if name == "seed" else 1, MOST_SEED if name == "seed" else MOST)
            number.setStepType(QSpinBox.StepType.DefaultStepType)
            number.valueChanged.connect(told)
            return number
        if kind == "bool":
            check = QCheckBox()
            check.toggled.connect(told)
            return check
        if kind == "choice":
            choice = Chooser(name)
            choice.addItems(field["choices"])
            choice.currentTextChanged.connect(told)
            return choice
        text = QLineEdit()
        text.textEdited.connect(told)
        return text

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A wheel that scrolls past a field changes nothing in it."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def fill(self, values: Mapping[str, Any]) -> None:
        """Fill fields in by name, without a word about it."""
        for name, value in values.items():
            box = self.fields[name]
            with QSignalBlocker(box):
                word = str(value).lower() if isinstance(value, bool) else str(value)
                if isinstance(box, QSpinBox):
                    box.setValue(int(word))
                elif isinstance(box, QCheckBox):
                    box.setChecked(word == "true")
                elif isinstance(box, QComboBox):
                    box.setCurrentText(word)
                else:
                    box.setText(word)
                    box.setCursorPosition(0)

    def values(self) -> dict[str, str]:
        """What is filled in, as it is said to the engine."""
        return {name: _word(box) for name, box in self.fields.items()}

    def words(self) -> list[str]:
        """The same as "heads=8" each."""
        return [f"{name}={value}" for name, value in self.values().items()]

    def complain(self, message: str) -> None:
        """Mark the fields that a message names and say it below one of them; "" marks none."""
        found = re.findall(r"\w+", message)
        self.blamed = [name for name in self.fields if name in found]
        place = self.last if self.last in self.blamed else next(iter(self.blamed), "")
        self.grid.removeWidget(self.complaint)
        rows = list(self.fields)
        self.grid.addWidget(self.complaint, 2 * (rows.index(place) if place else len(rows)) + 1, 1, 1, 2)
        self.complaint.setText(message)
        self.complaint.setVisible(bool(message))
        self._colour()

    def _colour(self, _: Any = None) -> None:
        error = theme.current().error
        theme.colour_text(self.complaint, error)
        for name, label in self.labels.items():
            theme.colour_text(label, error if name in self.blamed else "")


def _word(box: Field) -> str:
    if isinstance(box, QSpinBox):
        return str(box.value())
    if isinstance(box, QCheckBox):
        return "true" if box.isChecked() else "false"
    return box.currentText() if isinstance(box, QComboBox) else box.text().strip()


def reason(message: str) -> str:
    """Why a configuration makes no model, without the model's name; "" of a message that says something else."""
    return message.partition(" cannot be: ")[2]


def why_asked(model: str, asks: Sequence[Mapping[str, Any]], message: str) -> str:
    """What a person reads above the fields."""
    if [ask["name"] for ask in asks] == ["tokenizer"]:
        return tr(
            "{message}.\n\nThe weights of {model} can be used without it: choose what reads the prompt instead."
        ).format(message=message.rstrip("."), model=model)
    return tr(
        "The files of {model} hold its weights, but not all of its configuration. "
        "Fill in what its author used; what is offered is what is most usual."
    ).format(model=model)


def with_words(config: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """What was said before, with words that replace those of the same name."""
    said = dict(word.partition("=")[::2] for word in (*config, *words))
    return tuple(f"{name}={value}" for name, value in said.items())


class AsksDialog(FittingDialog):
    """What the files of a model do not say. Open only sends the answers; Cancel leaves the model before.

    answered  the words that were filled in
    """

    answered = Signal(list)

    def __init__(
        self, model: str, asks: Sequence[Mapping[str, Any]], message: str = "", parent: QWidget | None = None
    ) -> None:
        """`message`: why it is asked, what was filled in the last time included."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title_text(tr("Open {model}").format(model=model)))
        line = self.fontMetrics().height()
        about = Label(why_asked(model, asks, message))
        about.setWordWrap(True)
        self.form = ConfigForm(asks)
        self.form.complain(reason(message))
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.button(QDialogButtonBox.StandardButton.Open).setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(line, line, line, line)
        column.setSpacing(line)
        column.addWidget(about)
        column.addWidget(Scrolled(self.form, tr("What the files do not say")))
        column.addWidget(self.buttons)
        self.setMinimumWidth(line * 38)

    def accept(self) -> None:
        words = self.form.words()
        super().accept()
        self.answered.emit(words)
