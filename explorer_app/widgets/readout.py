"""One line of text under a drawing: what the pointer reads, shortened at the right where it does not fit."""

import math

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer_app import theme
from explorer_app.widgets.plain import tip


class Readout(QWidget):
    """Plain text, or a muted hint; the tooltip has the whole line where it was shortened."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """`name` is what assistive technology calls the line."""
        super().__init__(parent)
        self._text = ""
        self._hint = False
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def say(self, text: str, hint: bool = False) -> None:
        if (text, hint) != (self._text, self._hint):
            self._text, self._hint = text, hint
            self.setAccessibleDescription(text)
            self._offer_whole()
            self.update()

    def text(self) -> str:
        """The whole line."""
        return self._text

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(math.ceil(line * 10), math.ceil(line * 1.5))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._offer_whole()
        super().resizeEvent(event)

    def _offer_whole(self) -> None:
        fits = QFontMetricsF(self.font()).horizontalAdvance(self._text) <= self.width()
        self.setToolTip(tip("" if fits else self._text))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = theme.current()
        painter.setPen(QColor(colours.muted if self._hint else colours.text))
        text = QFontMetricsF(self.font()).elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(
            QRectF(self.rect()), Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, text
        )
