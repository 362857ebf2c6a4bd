"""The hatched grey that says: this cell is masked."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.widgets.plots.plotting import pg


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


class Hatching(pg.GraphicsObject):
    """The masked grey behind all cells; the image leaves it visible where nothing is painted."""

    def __init__(self, owner: QWidget) -> None:
        super().__init__()
        self._owner = owner
        self._rect = QRectF()

    def set_rect(self, rect: QRectF) -> None:
        self.prepareGeometryChange()
        self._rect = rect
        self.update()

    def boundingRect(self) -> QRectF:
        return self._rect

    def paint(self, painter: QPainter, *args: object) -> None:
        area = painter.worldTransform().mapRect(self._rect)
        painter.resetTransform()  # the lines keep their distance however far one zooms
        painter.fillRect(area, hatched(self._owner))
