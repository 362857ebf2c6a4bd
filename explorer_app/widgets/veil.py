"""A film over a view that is out of date: its picture stays, dimmed, and in front of it stands why."""

from model_core.api.plain_text import shortened, visible
from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.plain import LABEL_CHARACTERS

DIMMED = 0.6
AFTER_MS = 600
"""While a person types on a busy machine, a run and its answers take 100-400 ms: no view is to flicker at each key."""

LINES = 6
"""A view that is lower than so many lines of text is dimmed without words: they would hide it."""


class Veil(QWidget):
    """Lies over a widget and whatever it contains; the pointer goes through it.

    It comes a moment after it was asked for, so that nothing flickers where all is well again by then.
    """

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self._over = over
        self.words = ""
        self._soon = QTimer(self, interval=AFTER_MS, singleShot=True)
        self._soon.timeout.connect(self._fall)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        over.installEventFilter(self)

    @property
    def asked(self) -> bool:
        """Whether it lies there, or comes in a moment."""
        return not self.isHidden() or self._soon.isActive()

    def cover(self, words: str) -> None:
        """Dim what is below, and say why."""
        if (shown := visible(shortened(words, LABEL_CHARACTERS))) != self.words:
            self.words = shown
            self.setAccessibleName(shown)
            self.update()
        if not self.asked:
            self._soon.start()

    def lift(self) -> None:
        """What is below is as it should be."""
        self._soon.stop()
        self.hide()

    def _fall(self) -> None:
        self._fit()
        self.show()

    def _fit(self) -> None:
        self.setGeometry(self._over.rect())
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.ChildAdded) and not self.isHidden():
            self._fit()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        colours, metrics = theme.current(), QFontMetricsF(self.font())
        painter = QPainter(self)
        film = QColor(colours.window)
        film.setAlphaF(DIMMED)
        painter.fillRect(self.rect(), film)
        line = metrics.height()
        if self.height() < line * LINES:
            return
        room = QRectF(self.rect()).adjusted(line, line, -line, -line)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        text = metrics.boundingRect(room.adjusted(line, line / 2, -line, -line / 2), int(flags), self.words)
        box = text.adjusted(-line, -line / 2, line, line / 2) & QRectF(self.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(colours.warning))
        painter.setBrush(QColor(colours.panel))
        painter.drawRoundedRect(box, line * 0.3, line * 0.3)
        painter.setPen(QColor(colours.text))
        painter.drawText(text, int(flags), self.words)
