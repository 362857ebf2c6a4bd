"""A label of one line, which is as high and as narrow whatever it says."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer_app.widgets.plain import Label


class OneLine(Label):
    """Text that can be selected; where it does not fit it ends in an ellipsis, and is copied whole."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        super().setText(" ".join(text.splitlines()))

    def sizeHint(self) -> QSize:
        """As wide as the text, for whoever asks."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.shown()) + metrics.height() // 4, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        metrics, palette, text = self.fontMetrics(), self.palette(), self.shown()
        if metrics.horizontalAdvance(text) <= self.width():
            return
        fits = metrics.elidedText(text, Qt.TextElideMode.ElideRight, self.width())
        start = metrics.horizontalAdvance(fits.removesuffix("…"))
        place = QRect(start, 0, self.width() - start, self.height())
        painter = QPainter(self)
        painter.fillRect(place, palette.color(self.backgroundRole()))
        painter.setPen(palette.color(self.foregroundRole()))
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, "…")
