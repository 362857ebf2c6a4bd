"""Edits: what is changed in the model, one chip each, and a line to add another.

One that the model has no place for cannot be added; one that was there when such a model was opened is suspended.
"""

from typing import Any

from model_core.api.edits import AblateHead, parse
from model_core.api.errors import InputError
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.session import Session
from explorer_app.widgets.plain import Label, RichLabel, rich
from explorer_app.words.edit_words import examples, in_words, suggestions
from explorer_app.words.text import tr


class Chip(QFrame):
    """One edit in words, with its Remove; where it is `suspended`, why."""

    def __init__(self, edit: str, session: Session, suspended: str = "") -> None:
        super().__init__()
        colours = theme.current()
        border = f"1px dashed {colours.muted}" if suspended else f"1px solid {colours.accent}"
        self.setObjectName("chip")
        self.setStyleSheet(
            f"#chip {{ background: {colours.raised}; border: {border}; border-radius: 0.4em; }}"
        )
        words = in_words(edit)
        if suspended:
            words = tr("{edit} (suspended: {why})").format(edit=words, why=suspended)
        self.words = Label(words, self)
        self.words.setEnabled(not suspended)
        self.words.setWordWrap(True)
        self.remove = QToolButton(self)
        self.remove.setText(tr("Remove"))
        self.remove.setAccessibleName(tr("Remove {edit}").format(edit=in_words(edit)))
        self.remove.setAutoRaise(True)
        self.remove.clicked.connect(lambda: session.toggle_edit(edit))
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 2, 2)
        row.addWidget(self.words, 1)
        row.addWidget(self.remove)


@panel("edits", "Edits", area="right", order=20, height=25)
class Edits(Panel):
    """The edits that were asked for, whether the engine has answered or not."""

    ages = False

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._listed: tuple[object, ...] | None = None
        self._said_of: tuple[object, ...] | None = None
        """What the message is about: it goes when that does."""

        self.about = Label(parent=self)
        self.about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.about.setWordWrap(True)
        self.clear = QToolButton(self)
        self.clear.setText(tr("Clear all"))
        self.clear.hide()
        self.clear.clicked.connect(lambda: session.change(edits=()))
        self.chips: list[Chip] = []
        self.entry = QLineEdit(self)
        self.entry.setAccessibleName(tr("New edit"))
        self.entry.setClearButtonEnabled(True)
        self.add = QToolButton(self)
        self.add.setText(tr("Add"))
        self.add.setEnabled(False)
        self.message = Label(parent=self)
        self.message.setForegroundRole(QPalette.ColorRole.BrightText)
        self.message.setWordWrap(True)
        self.message.hide()
        self.offers = RichLabel(parent=self)
        self.offers.setWordWrap(True)
        self.help = Label(tr("Write: {words}").format(words=" · ".join(examples())), self)
        self.help.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.help.setWordWrap(True)
        self.offers.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)

        line = QHBoxLayout()
        line.addWidget(self.entry, 1)
        line.addWidget(self.add)
        line.addWidget(self.clear)
        self._column = QVBoxLayout()
        self._column.setSpacing(4)
        inside = QWidget()
        scrolled = QVBoxLayout(inside)
        scrolled.setContentsMargins(0, 0, 0, 0)
        scrolled.setSpacing(4)
        scrolled.addWidget(self.message)
        scrolled.addWidget(self.offers)
        scrolled.addWidget(self.about)
        scrolled.addLayout(self._column)
        scrolled.addWidget(self.help)
        scrolled.addStretch(1)
        self.area = QScrollArea(self)
        self.area.setAccessibleName(tr("Active edits"))
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setWidget(inside)
        self.area.setMinimumHeight(self.fontMetrics().height() * 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.area, 1)

        self.entry.returnPressed.connect(self._enter)
        self.entry.textChanged.connect(self._typed)
        self.add.clicked.connect(self._enter)
        self.offers.linkActivated.connect(session.toggle_edit)
        self.listens.to(session.edits_changed, self._list)
        self.listens.to(session.scene_changed, self._list)

    def refresh(self, _: Any = None) -> None:
        self._list()

    def draw(self, answers: Answers) -> None:
        self._list()

    def _state(self) -> tuple[object, ...]:
        return self.session.edits, self.session.suspended, self.session.scene.shape

    def _list(self, _: Any = None) -> None:
        """Show the edits that there are."""
        session, colours, state = self.session, theme.current(), self._state()
        self._offer()
        if state != self._said_of:
            self._say("")
        if self._listed == (*state, colours):
            return
        self._listed = (*state, colours)
        for chip in self.chips:
            self._column.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        in_force_first = sorted(session.edits, key=lambda edit: edit in session.suspended)
        self.chips = [Chip(edit, session, session.suspended.get(edit, "")) for edit in in_force_first]
        for chip in self.chips:
            self._column.addWidget(chip)
        self.clear.setVisible(bool(session.edits))
        suspended = len(session.suspended)
        self.about.setVisible(len(session.edits) == suspended)
        none = (
            tr("None active, {count} suspended").format(count=suspended) if suspended else tr("None active")
        )
        self.about.setText(
            tr("{none}: the model runs as it is. An edit changes every panel.").format(none=none)
        )

    def _offer(self) -> None:
        at, kind = self.session.selection, self.session.attention
        self.entry.setPlaceholderText(str(AblateHead(at.layer, at.head, at.stack)))
        links = [
            rich('<a href="{edit}">{words}</a>', edit=edit, words=edit.replace(" ", "\u00a0"))
            for edit in suggestions(at.layer, at.head, at.stack, kind)
            if edit not in self.session.edits
        ]
        self.offers.setText(tr("Add: {links}").format(links=" · ".join(links)))
        self.offers.setVisible(bool(links))

    def _typed(self, text: str) -> None:
        self.add.setEnabled(bool(text.strip()))
        self._say("")

    def _enter(self) -> None:
        text = self.entry.text()
        if not text.strip():
            return
        try:
            edit = str(parse(text))
        except InputError as error:
            self._say(str(error))
            return
        if why := self.session.why_not(edit):
            self._say(tr("{edit}: {why}").format(edit=edit, why=why))
            return
        if edit in self.session.edits:
            self._say(tr("“{edit}” is active already.").format(edit=edit))
            return
        self.entry.clear()
        self.session.toggle_edit(edit)

    def _say(self, message: str) -> None:
        self._said_of = self._state()
        self.message.setText(message)
        self.message.setVisible(bool(message))
