"""What a dock holds: a place for its panel whose size no panel has a say in."""

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QScrollBar, QSizePolicy, QWidget

from explorer_app.widgets.plain import Label, RichLabel

LEAST = (8, 2)
"""The least width and height, in lines of text."""
USUAL = (18, 12)


class Holder(QScrollArea):
    """As large as the dock is. A panel that needs more is scrolled, by bars that lie over it and take no room.

    Only a panel whose height is fixed, which then must not depend on what it shows, says how high its dock is.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._bars = [
            (self._over(bar), bar) for bar in (self.verticalScrollBar(), self.horizontalScrollBar())
        ]

    def _over(self, bar: QScrollBar) -> QScrollBar:
        over = QScrollBar(bar.orientation(), self)
        over.hide()
        bar.rangeChanged.connect(over.setRange)
        bar.rangeChanged.connect(lambda _, most: over.setVisible(most > 0))
        bar.valueChanged.connect(over.setValue)
        over.valueChanged.connect(bar.setValue)
        return over

    def hold(self, panel: QWidget) -> None:
        """Show a panel, as large as there is room, or as it needs."""
        self.setWidget(panel)
        panel.installEventFilter(self)
        if panel.sizePolicy().verticalPolicy() == QSizePolicy.Policy.Fixed:
            self.setFixedHeight(panel.sizeHint().height())
        self._fit()

    def sizeHint(self) -> QSize:
        return self._lines(USUAL)

    def minimumSizeHint(self) -> QSize:
        return self._lines(LEAST)

    def _lines(self, size: tuple[int, int]) -> QSize:
        return QSize(*size) * self.fontMetrics().height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # A window that is resized or arranged gives its docks several sizes in a row: the panel follows the last one,
        # before it is painted.
        QCoreApplication.postEvent(self, QEvent(QEvent.Type.LayoutRequest))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        panel, room = self.widget(), self.viewport().size()
        if panel is None:
            return
        width = max(room.width(), panel.minimumSizeHint().width())
        panel.resize(width, max(room.height(), least_height(panel, width)))
        for over, bar in self._bars:
            over.setPageStep(bar.pageStep())
            over.setSingleStep(bar.singleStep())
            place, thick = self.rect(), over.sizeHint()
            if bar.orientation() == Qt.Orientation.Horizontal:
                place.setTop(place.bottom() + 1 - thick.height())
            else:
                place.setLeft(place.right() + 1 - thick.width())
            over.setGeometry(place)
            over.raise_()


def least_height(panel: QWidget, width: int) -> int:
    """How high a panel must be to show all that it says, at a width.

    Qt counts one line for a text that wraps, or else, for what lies in pages, the height that it would like to have:
    what is needed is no more than either with the lines that are missing in the first.
    """
    least, layout = panel.minimumSizeHint().height(), panel.layout()
    if layout is None or not layout.hasHeightForWidth():
        return least
    labels = [*panel.findChildren(Label), *panel.findChildren(RichLabel)]
    wrapping = (label for label in labels if label.wordWrap() and label.isVisibleTo(panel))
    missing = sum(
        max(0, label.heightForWidth(label.width()) - label.minimumSizeHint().height()) for label in wrapping
    )
    return min(layout.minimumHeightForWidth(width), least + missing)
