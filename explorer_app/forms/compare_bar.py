"""Pin the scene on screen as the baseline, and look at it (A), at what is asked for now (B), or at what differs."""

from typing import Any, get_args

from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QWidget

from explorer_app.state.known import Compared
from explorer_app.state.session import Session
from explorer_app.widgets.listening import Listening
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import tip
from explorer_app.words.model_words import scene_words
from explorer_app.words.text import tr


class CompareBar(QWidget):
    """One button while nothing is pinned; then what is, and the three ways to look."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.pin = self._button(tr("Pin as A"))
        self.pin.setToolTip(
            tip(tr("Keep what is on screen to compare with: another prompt, edit, model, device or step"))
        )
        self.pin.clicked.connect(session.pin_baseline)
        self.unpin = self._button(tr("Unpin"))
        self.unpin.clicked.connect(session.unpin_baseline)
        self.named = OneLine()
        self.named.setFixedWidth(self.fontMetrics().averageCharWidth() * 40)
        self.choices = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(round(self.fontMetrics().height() * 0.3))
        row.addWidget(self.pin)
        row.addWidget(self.named)
        self.buttons: dict[Compared, QToolButton] = {}
        about = {
            "A": tr("Look at what is pinned"),
            "B": tr("Look at what is asked for now"),
            "B−A": tr("Look at what B has more than A"),
        }
        for what in get_args(Compared):
            button = self._button(what)
            button.setCheckable(True)
            button.setToolTip(tip(about[what]))
            button.clicked.connect(lambda _, what=what: session.compare(what))
            self.choices.addButton(button)
            self.buttons[what] = button
            row.addWidget(button)
        row.addWidget(self.unpin)
        listens = Listening(self)
        for signal in (
            session.baseline_changed,
            session.compared_changed,
            session.shown_changed,
            session.answered,
        ):
            listens.to(signal, self.show_compared)
        self.show_compared()

    def _button(self, text: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        return button

    def show_compared(self, _: Any = None) -> None:
        """What is pinned, and how it is looked at."""
        session, pinned = self.session, self.session.baseline
        self.pin.setVisible(pinned is None)
        self.pin.setEnabled(session.run is not None)
        for widget in (self.named, self.unpin, *self.buttons.values()):
            widget.setVisible(pinned is not None)
        self.buttons[session.compared].setChecked(True)
        if pinned is not None:
            words = tr("A: {scene}").format(scene=scene_words(pinned))
            self.named.setText(words)
            self.named.setToolTip(tip(words))
