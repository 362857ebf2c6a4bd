"""A drawing that is seen through a window: it fits the width, or is zoomed and dragged."""

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QMouseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractScrollArea, QScrollBar, QWidget

from explorer_app.graph.layout import GAP
from explorer_app.widgets.scrolling import scroll_over, went_far

MARGIN = 6.0
"""Around the drawing, in its own units."""
ZOOM_STEP = 1.2
WIDEST_FIT = 1.35
"""Fitting to the width makes nothing larger than this."""
LEAST, MOST = 0.15, 6.0


class Viewport(QAbstractScrollArea):
    """Which part of a drawing is in sight, and how large. The wheel zooms around the pointer, a drag pans."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawing = QSizeF(1.0, 1.0)
        self._zoom = 1.0
        self._fits = True
        self._pressed: QPointF | None = None
        self._dragged: QPointF | None = None
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Always there: were it to come and go, the width to fit would change with what fits.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.viewport().setMouseTracking(True)

    def set_drawing(self, size: QSizeF) -> None:
        """The size of what is drawn, in its own units."""
        self._drawing = size
        self._fit_scroll()

    def zoom(self) -> float:
        """1.0 where the text has the size of the application's."""
        return self._zoom

    def fit(self) -> None:
        """Fit the drawing to the width, now and whenever the width changes."""
        self._fits = True
        self._fit_scroll()

    def zoom_by(self, factor: float, around: QPointF | None = None) -> None:
        """Zoom; the place under `around` (the middle by default) stays where it is."""
        around = QPointF(self.viewport().rect().center()) if around is None else around
        place = self.to_drawing(around)
        self._fits = False
        self._zoom = min(max(self._zoom * factor, LEAST), MOST)
        self._fit_scroll()
        drift = self.origin() + place * self._zoom - around
        self._scroll(round(self._across.value() + drift.x()), round(self._down.value() + drift.y()))

    # Places

    def origin(self) -> QPointF:
        """Where the drawing's (0, 0) is in the viewport; a drawing that is narrower stands in the middle."""
        spare = max(0.0, (self.viewport().width() - (self._drawing.width() + 2 * MARGIN) * self._zoom) / 2)
        corner = QPointF(spare - self._across.value(), -self._down.value())
        return corner + QPointF(MARGIN, MARGIN) * self._zoom

    def to_view(self, rect: QRectF) -> QRectF:
        """Where a part of the drawing is in the viewport."""
        return QRectF(self.origin() + rect.topLeft() * self._zoom, rect.size() * self._zoom)

    def to_drawing(self, point: QPointF) -> QPointF:
        """Which place of the drawing is at one of the viewport."""
        return (point - self.origin()) / self._zoom

    # Scrolling

    @property
    def _across(self) -> QScrollBar:
        return self.horizontalScrollBar()

    @property
    def _down(self) -> QScrollBar:
        return self.verticalScrollBar()

    def _scroll(self, across: int, down: int) -> None:
        self._across.setValue(across)
        self._down.setValue(down)

    def _fit_scroll(self) -> None:
        area = self.viewport().size()
        if self._fits:
            fitting = area.width() / (self._drawing.width() + 2 * MARGIN)
            self._zoom = min(max(fitting, LEAST), WIDEST_FIT)
        for bar, shown, size in (
            (self._across, area.width(), self._drawing.width()),
            (self._down, area.height(), self._drawing.height()),
        ):
            scroll_over(bar, (size + 2 * MARGIN) * self._zoom, shown, GAP * 2)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_scroll()
        super().resizeEvent(event)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    # The pointer

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom_by(ZOOM_STEP ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed, self._dragged = event.position(), None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = event.position()
        if self._pressed is None or not event.buttons() & Qt.MouseButton.LeftButton:
            self.point(place)
            return
        if self._dragged is None and went_far(self._pressed, place):
            self._dragged = self._pressed
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        if self._dragged is not None:
            move = place - self._dragged
            self._scroll(round(self._across.value() - move.x()), round(self._down.value() - move.y()))
            self._dragged = place

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None or event.button() != Qt.MouseButton.LeftButton:
            return
        if self._dragged is None:
            self.press(event.position())
        else:
            self._pressed = self._dragged = None
            self.viewport().unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._pressed = None  # its release is no second click

    def point(self, place: QPointF) -> None:
        """The pointer is at a place of the viewport."""
        raise NotImplementedError

    def press(self, place: QPointF) -> None:
        """The left button was pressed and let go, without a drag between."""
        raise NotImplementedError
