"""What the engine process is doing, at a glance."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer_app import theme
from explorer_app.state.session import Session
from explorer_app.widgets.listening import Listening
from explorer_app.widgets.plain import tip
from explorer_app.words.text import tr


class EngineLight(QWidget):
    """A dot and a word: what the engine process is doing."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        Listening(self).to(session.engine_changed, self.show_state)
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
