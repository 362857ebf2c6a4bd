"""The tokens of every text that the model reads: strips side by side, with names where there are several."""

from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QWidget

from explorer_app.state.session import Session
from explorer_app.widgets.lists.chips import TokenStrip
from explorer_app.widgets.plain import Label
from explorer_app.widgets.veil import Veil
from explorer_app.words.attention_text import text_words
from explorer_app.words.text import tr

MOST_TEXTS = 2


class TextStrips(QWidget):
    """A click locks a token, in the attention in focus where that has its text."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.strips = [TokenStrip() for _ in range(MOST_TEXTS)]
        self.names = [Label() for _ in self.strips]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(round(QFontMetricsF(self.font()).height() / 2))
        for text, (name, strip) in enumerate(zip(self.names, self.strips, strict=True)):
            row.addWidget(name)
            row.addWidget(strip, 1)
            # With room for its scroll bar, whether there is something to scroll to or not.
            strip.setFixedHeight(strip.minimumSizeHint().height())
            strip.clicked.connect(partial(self._lock, text))
            strip.walked.connect(partial(session.select_token, text))
            strip.hovered.connect(partial(session.hover_token, text))
            strip.left.connect(lambda: session.hover(None))
            for part in (name, strip):
                part.setVisible(text == 0 and part is strip)
        self.veil = Veil(self)

    def show_age(self, why: str) -> None:
        """Dim the tokens of another run than the one that is asked for; the line above says why."""
        if why:
            self.veil.cover(why)
        else:
            self.veil.lift()

    def show_tokens(self) -> None:
        """The tokens of the run on screen."""
        texts = self.session.texts
        for n, (name, strip) in enumerate(zip(self.names, self.strips, strict=True)):
            strip.setVisible(n < max(len(texts), 1))
            name.setVisible(n < len(texts) > 1)
        for text, name, strip in zip(texts, self.names, self.strips, strict=False):
            strip.show_tokens(text["strings"], text["tokens"], text.get("special", ()))
            words = text_words(text["name"])
            name.setText(words)
            strip.setAccessibleName(
                tr("Tokens of the {text}").format(text=words) if len(texts) > 1 else tr("Tokens")
            )
        self.show_cursor()

    def show_cursor(self, _: Any = None) -> None:
        """Colour the tokens under the pointer elsewhere, else the locked ones."""
        session, cursor = self.session, self.session.pointed
        inside = any(strip.underMouse() for strip in self.strips)
        if inside or (cursor.query is None and cursor.key is None):
            cursor = session.selection.cursor
        of = session.kind(cursor.stack)
        for text, strip in enumerate(self.strips):
            if of is None:
                strip.set_cursor(cursor.query, cursor.key)
            else:
                strip.set_cursor(
                    cursor.query if of.queries == text else None, cursor.key if of.keys == text else None
                )

    def _lock(self, text: int, index: int) -> None:
        """A click locks the query, a second one the key as well, a third lets go; Shift sets only the key.

        Where queries and keys are of different texts, a click on a token locks it or lets it go.
        """
        session, selection, kind = self.session, self.session.selection, self.session.attention
        if kind is None or text not in (kind.queries, kind.keys):
            session.select_token(text, index)
        elif kind.queries != kind.keys:
            role = "query" if kind.queries == text else "key"
            session.select(**{role: None if index == getattr(selection, role) else index})
        elif QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier:
            session.select(key=None if index == selection.key else index)
        elif index != selection.query:
            session.select(query=index)
        elif index != selection.key:
            session.select(key=index)
        else:
            session.select(query=None, key=None)
