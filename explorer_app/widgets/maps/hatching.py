"""The hatched grey that says: this cell is masked."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from explorer_app import theme


def hatched(widget: QWidget) -> QBrush:
    """A brush of diagonal lines, as sharp as the screen that `widget` is on; paint it untransformed."""
    colours = theme.current()
    side = max(4, round(QFontMetricsF(widget.font()).height() / 2))
    ratio = widget.devicePixelRatioF()
    tile = QPixmap(round(side * ratio), round(side * ratio))
    tile.setDevicePixelRatio(ratio)
    tile.fill(QColor(colours.masked))
    painter = QPainter(tile)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.masked_line), side / 7, c=Qt.PenCapStyle.SquareCap))
    for shift in (-side, 0, side):
        painter.drawLine(QPointF(shift, side), QPointF(shift + side, 0))
    painter.end()
    return QBrush(tile)
