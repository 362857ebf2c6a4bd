"""Words on screen as they are written: names, tokens, paths and errors of strangers are shown and never obeyed.

Qt guesses in labels, tooltips and messages whether a text is HTML, takes "&" in menus and on buttons for the mark of a
key, and "[*]" in titles for a place of its own. So every such text of the window goes through here: nothing else makes
labels, tooltips, messages and titles. Rich text is a sentence of ours, whose parts `rich` escapes.
"""

import re
import textwrap
from html import escape

from model_core.api.plain_text import shortened, visible
from PySide6.QtCore import QEvent, QPoint, QRect, QSize
from PySide6.QtGui import QFontMetricsF, Qt
from PySide6.QtWidgets import QLabel, QMessageBox, QToolTip, QWidget

LABEL_CHARACTERS = 1000
TIP_CHARACTERS, TIP_COLUMNS, TIP_LINES = 4000, 110, 30
"""More than anybody reads there."""
CAPTION_CHARACTERS = 80
UNBROKEN = 24
"""Of a word without a blank, before a label that wraps may break it."""
MOST_LINES_WIDE = 30
"""No label needs more than this times its height: a window never grows for what is written in it."""


class Label(QLabel):
    """Plain text. `text()` is what was said, whatever had to be written out or broken to show it."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._said = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str) -> None:
        self._said = text
        shown = visible(shortened(text, LABEL_CHARACTERS))
        super().setText(_breakable(shown) if self.wordWrap() else shown)

    def text(self) -> str:
        return self._said

    def shown(self) -> str:
        """The text as it is drawn."""
        return super().text()

    def setWordWrap(self, on: bool) -> None:
        super().setWordWrap(on)
        self.setText(self._said)

    def minimumSizeHint(self) -> QSize:
        return _bounded(self, super().minimumSizeHint())


class RichLabel(QLabel):
    """A sentence of ours in rich text; what others wrote in it was put there by `rich`, or escaped."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setText(text)

    def minimumSizeHint(self) -> QSize:
        return _bounded(self, super().minimumSizeHint())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.text():
            # Qt gives links their colour when it reads the text, and keeps it when the theme changes.
            text = self.text()
            self.setText("")
            self.setText(text)


class Message(QMessageBox):
    """A box that says something in plain text."""

    def __init__(self, parent: QWidget, title: str, text: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title_text(title))
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(_breakable(visible(shortened(text, LABEL_CHARACTERS))))


def rich(template: str, **parts: object) -> str:
    """A sentence of ours in HTML with parts that are shown as they are: rich("<b>{name}</b>", name=...)."""
    return template.format(**{name: escape(visible(str(part))) for name, part in parts.items()})


def tip(text: str) -> str:
    """What a tooltip is set to, to show this text: in lines of bounded length, and not too many of them."""
    lines = [
        part
        for line in visible(shortened(text, TIP_CHARACTERS)).split("\n")
        for part in (_wrapped(line) if len(line) > TIP_COLUMNS else [line])
    ]
    shown = "\n".join(lines if len(lines) <= TIP_LINES else [*lines[: TIP_LINES - 1], "…"])
    return f'<p style="white-space: pre">{escape(shown)}</p>' if Qt.mightBeRichText(shown) else shown


def show_tip(place: QPoint, text: str, widget: QWidget, area: QRect | None = None) -> None:
    """Show a tooltip now, at a place of the screen, until the pointer leaves the area of the widget; "" hides it."""
    QToolTip.showText(place, tip(text), widget, area or QRect())


def caption(text: str) -> str:
    """What a button, a menu entry or a tab is set to, to show this text in one line."""
    return shortened(visible(shortened(text, CAPTION_CHARACTERS), keep=""), CAPTION_CHARACTERS).replace(
        "&", "&&"
    )


def title_text(text: str) -> str:
    """What the title of a window is set to, to show this text."""
    return visible(shortened(text, CAPTION_CHARACTERS * 2), keep="").replace("[*]", "[*][*]")


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(
        line,
        TIP_COLUMNS,
        expand_tabs=False,
        replace_whitespace=False,
        drop_whitespace=False,
        break_on_hyphens=False,
    )


def _breakable(text: str) -> str:
    """The text with places at which a long word may be broken."""
    return re.sub(rf"\S{{{UNBROKEN}}}(?=\S)", lambda found: found[0] + "\u200b", text)


def _bounded(label: QLabel, hint: QSize) -> QSize:
    line = QFontMetricsF(label.font()).height()
    widest = line * (MOST_LINES_WIDE / 3 if label.wordWrap() else MOST_LINES_WIDE)
    return QSize(min(hint.width(), round(widest)), hint.height())
