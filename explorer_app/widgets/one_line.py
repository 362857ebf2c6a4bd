"""A label of one line, which is as high and as narrow whatever it says."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget


class OneLine(QLabel):
    """Plain text that can be selected; where it does not fit it ends in an ellipsis, and is whole for whoever copies it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        super().setText(" ".join(text.splitlines()))

    def sizeHint(self) -> QSize:
        """As wide as the text, for whoever asks."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + metrics.height() // 4, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        metrics, palette = self.fontMetrics(), self.palette()
        if metrics.horizontalAdvance(self.text()) <= self.width():
            return
        wide = metrics.horizontalAdvance("…")
        place = QRect(self.width() - wide, 0, wide, self.height())
        painter = QPainter(self)
        painter.fillRect(place, palette.color(self.backgroundRole()))
        painter.setPen(palette.color(self.foregroundRole()))
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, "…")
