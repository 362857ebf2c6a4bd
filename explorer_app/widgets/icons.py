"""The buttons of a film: triangles and bars, drawn so that they have the theme's colours at every size."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap, QPolygonF

from explorer_app import theme


def shape_icon(shape: str, side: int, ratio: float, *, filled: bool) -> QIcon:
    """Triangles and bars from "<", ">" and "|", side by side in a square."""
    picture = QPixmap(QSize(side, side) * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.current().accent if filled else theme.current().text))
    width = side * (0.8 if len(shape) == 1 else 0.42)
    left = (side - width * len(shape)) / 2
    for n, sign in enumerate(shape):
        box = QRectF(left + n * width, side * 0.14, width, side * 0.72)
        if sign == "|":
            bar = side * 0.16
            painter.drawRect(QRectF(box.center().x() - bar / 2, box.top(), bar, box.height()))
        else:
            base, tip = (box.left(), box.right()) if sign == ">" else (box.right(), box.left())
            painter.drawPolygon(
                QPolygonF(
                    [QPointF(base, box.top()), QPointF(tip, box.center().y()), QPointF(base, box.bottom())]
                )
            )
    painter.end()
    return QIcon(picture)
