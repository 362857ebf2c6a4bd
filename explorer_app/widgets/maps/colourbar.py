"""A colour bar with the real limits of what is drawn beside it, and what the special cells mean."""

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.maps.hatching import hatched
from explorer_app.widgets.maps.pixels import to_image
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr


class ColourBar(QWidget):
    """A vertical bar, most at the top, with its two limits and zero written beside it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lut = theme.current().sequential
        self._limits = (0.0, 1.0)
        self._clipped = (False, False)
        self._masked = False
        self._mark: float | None = None
        self.setAccessibleName(tr("Colour bar"))
        theme.notifier.changed.connect(self.update)

    def show_limits(
        self,
        lut: theme.Lut,
        limits: tuple[float, float],
        clipped: tuple[bool, bool] = (False, False),
        masked: bool = False,
    ) -> None:
        """`clipped`: whether values lie below, above the limits; `masked`: whether hatched cells exist."""
        self._lut, self._limits, self._clipped, self._masked = lut, limits, clipped, masked
        low, high = (short_number(limit) for limit in limits)
        self.setAccessibleDescription(tr("colours from {low} to {high}").format(low=low, high=high))
        self.update()

    def set_mark(self, value: float | None) -> None:
        """Point at one value on the bar; None or a value that is no number takes the pointer away."""
        if value is not None and not math.isfinite(value):
            value = None
        if value != self._mark:
            self._mark = value
            self.update()

    def texts(self) -> list[tuple[float, str]]:
        """What is written beside the bar: (value, text), from the bottom up."""
        low, high = self._limits
        rows = [(low, ("≤ " if self._clipped[0] else "") + short_number(low))]
        if low < 0 < high and min(-low, high) > 0.12 * (high - low):
            rows.append((0.0, "0"))
        rows.append((high, ("≥ " if self._clipped[1] else "") + short_number(high)))
        return rows

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        samples = [text for _, text in self.texts()] + ["−0.0001", tr("masked")]
        widest = max(metrics.horizontalAdvance(text) for text in samples)
        return QSize(math.ceil(widest + metrics.height() * 1.6), math.ceil(metrics.height() * 8))

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        metrics = QFontMetricsF(self.font())
        line = metrics.height()
        foot = line * 1.6 if self._masked else 0.0
        bar = QRectF(line * 0.5, line / 2, line * 0.8, self.height() - line - foot)
        if bar.height() <= 0:
            return
        painter.drawImage(bar, to_image(self._lut[::-1, None, :]))
        painter.setPen(QPen(QColor(colours.edge), 0))
        painter.drawRect(bar)

        low, high = self._limits
        painter.setPen(QColor(colours.text))
        left = bar.right() + line * 0.3
        for value, text in self.texts():
            y = bar.bottom() - (value - low) / (high - low) * bar.height()
            row = QRectF(left, y - line / 2, self.width() - left, line)
            painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, text)
        if self._mark is not None:
            share = min(1.0, max(0.0, (self._mark - low) / (high - low)))
            y = bar.bottom() - share * bar.height()
            painter.setPen(QPen(QColor(colours.accent), line * 0.15))
            painter.drawLine(QPointF(bar.left(), y), QPointF(bar.right(), y))
        if self._masked:
            swatch = QRectF(bar.left(), self.height() - line, bar.width(), line * 0.8)
            painter.fillRect(swatch, hatched(self))
            painter.setPen(QColor(colours.muted))
            words = QRectF(left, swatch.top(), self.width() - left, swatch.height())
            painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, tr("masked"))
