"""Entries of a list with a second, muted line that says more of each."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from explorer_app import theme

DETAIL = Qt.ItemDataRole.UserRole + 1

Index = QModelIndex | QPersistentModelIndex


class TwoLines(QStyledItemDelegate):
    """Draws what an entry has under DETAIL below its text; an entry without it as ever."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        size = super().sizeHint(option, index)
        if detail := index.data(DETAIL):
            line = QFontMetrics(option.font).height()
            wide = QFontMetrics(option.font).horizontalAdvance(detail) + line
            return QSize(max(size.width(), wide), round(line * 2.5))
        return size

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        detail = index.data(DETAIL)
        if not detail:
            super().paint(painter, option, index)
            return
        self.initStyleOption(option, index)
        title, option.text = option.text, ""
        widget = option.widget
        style = widget.style() if widget is not None else QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, widget)
        colours = theme.current()
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        enabled = bool(option.state & QStyle.StateFlag.State_Enabled)
        metrics = QFontMetrics(option.font)
        line = metrics.height()
        # As far from the edge as the style puts the text of an entry with one line.
        edge = style.pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin, option, widget) + 1
        area: QRect = option.rect.adjusted(edge, round(line * 0.2), -edge, 0)
        first, second = colours.text if enabled else colours.muted, colours.muted
        if chosen:
            first = second = colours.on_accent
        painter.save()
        painter.setFont(option.font)
        for text, colour in ((title, first), (detail, second)):
            painter.setPen(QColor(colour))
            flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
            painter.drawText(area, flags, metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width()))
            area = area.adjusted(0, line, 0, 0)
        painter.restore()
