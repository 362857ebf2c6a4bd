"""Every head of every layer at a glance: layers down, heads across, one small map each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer_app import theme
from explorer_app.widgets.arrows import ARROWS, Cell, stepped
from explorer_app.widgets.maps.colours import Floats
from explorer_app.widgets.maps.grid import Grid
from explorer_app.widgets.maps.sheet import sheet
from explorer_app.widgets.plain import show_tip
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr


class ThumbnailGrid(QWidget):
    """Small maps in a grid that is the control itself: point to preview, click or use the arrow keys."""

    hovered = Signal(int, int)
    left = Signal()
    own_keys = frozenset(ARROWS)
    clicked = Signal(int, int)
    double_clicked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._maps: Floats = np.zeros((0, 0, 1, 1), np.float32)
        self._rows: list[str] = []
        self._cols: list[str] = []
        self._limits: Floats = np.zeros((0, 0, 2), np.float32)
        self._own_scales = False
        self._signed = False
        self._focus: Cell | None = None
        self._hover: Cell | None = None
        self._size = (1, 1)
        self._marks: dict[Cell, str] = {}
        self._notes: dict[Cell, str] = {}
        self._scores: NDArray[np.float32] | None = None
        self._names: list[str] = []
        self._score_title = ""
        self._score_words: Callable[[float], str] = str
        self._caption = ""
        self._image: QImage | None = None
        self._widest = 0.0
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Heads of all layers"))
        theme.notifier.changed.connect(self._repaint)

    def show_maps(
        self,
        maps: NDArray[Any],
        row_labels: Sequence[str],
        col_labels: Sequence[str],
        focus: Cell | None = None,
        *,
        limits: tuple[float, float] | NDArray[Any] = (0.0, 1.0),
        signed: bool = False,
        caption: str = "",
        size: tuple[int, int] | None = None,
    ) -> None:
        """Show `maps` [layers, heads, t, s]; -inf means masked.

        `limits` are the ends of one colour scale for all, or [layers, heads, 2] of one for each, said by its tooltip.
        `signed` takes the diverging colours; `size` is [T, S] of the model's maps where `maps` are these shrunk to
        the largest value of the cells covered; `caption` is a line below, beside what was shrunk.
        """
        maps = np.array(maps, np.float32)
        if maps.ndim != 4 or maps.shape[:2] != (len(row_labels), len(col_labels)):
            raise ValueError(f"maps of {maps.shape} need {len(row_labels)} x {len(col_labels)} labels")
        self._maps, self._signed = maps, signed
        self._own_scales = not isinstance(limits, tuple)
        self._limits = np.broadcast_to(np.array(limits, np.float32), (*maps.shape[:2], 2))
        self._size = size or (maps.shape[2], maps.shape[3])
        self._rows, self._cols = list(row_labels), list(col_labels)
        self._focus, self._caption, self._hover = focus, caption, None
        self._measure()
        self._repaint()
        self.updateGeometry()

    def set_focus(self, layer: int, head: int) -> None:
        """Frame one map."""
        if self._focus != (layer, head):
            self._focus = (layer, head)
            self.update()

    def set_marks(self, marks: Mapping[Cell, str], notes: Mapping[Cell, str] | None = None) -> None:
        """Signs in the corners of maps, e.g. {(3, 5): "✕"} for a head that was cut; `notes` say them in words."""
        if (marks, notes or {}) != (self._marks, self._notes):
            self._marks, self._notes = dict(marks), dict(notes or {})
            self.update()

    def set_scores(
        self,
        scores: NDArray[np.float32] | None,
        names: Sequence[str] = (),
        title: str = "",
        words: Callable[[float], str] = str,
    ) -> None:
        """Scores [layers, heads] between 0 and 1: a frame around each map, the stronger the higher, and the number.

        `names` say which maps these are where rows and columns do not; `title` is what is scored. None takes them away.
        """
        self._scores, self._names, self._score_title, self._score_words = scores, list(names), title, words
        self.update()

    def caption(self) -> str:
        """What the line below says, the reduction for the screen included."""
        height, width = self._grid.map_size
        rows, cols = (min(a, b) for a, b in zip((height, width), self._maps.shape[2:], strict=True))
        if self._maps.size and (rows, cols) != self._size:
            drawn = tr("drawn at {shown} of {all}, max over cells").format(
                shown=f"{rows} × {cols}", all=f"{self._size[0]} × {self._size[1]}"
            )
            return f"{self._caption} · {drawn}" if self._caption else drawn
        return self._caption

    def image(self) -> QImage | None:
        """The picture of all maps as it is painted, one pixel a device pixel."""
        return self._image

    def map_rect(self, layer: int, head: int) -> QRectF:
        """Where a map is painted, in this widget's coordinates."""
        return self._grid.map_rect(layer, head)

    def map_at(self, point: QPointF) -> Cell | None:
        """(layer, head) at a place in this widget; None in the gaps and outside."""
        return self._grid.map_at(point)

    def sizeHint(self) -> QSize:
        return self._grid.size_for(2.2)

    def minimumSizeHint(self) -> QSize:
        return self._grid.size_for(0.6)

    def heightForWidth(self, width: int) -> int:
        """The height in which the maps fill the width."""
        layers, heads = self._maps.shape[:2]
        return self._grid.height_for(width) if layers and heads else self.sizeHint().height()

    @property
    def _grid(self) -> Grid:
        line = QFontMetricsF(self.font()).height()
        ratio = self.devicePixelRatioF()
        return Grid(self._maps.shape, self.width(), self.height(), line, self._widest, ratio)

    def _measure(self) -> None:
        metrics = QFontMetricsF(self.font())
        self._widest = max((metrics.horizontalAdvance(label) for label in self._rows), default=0.0)

    # Painting

    def _composed(self) -> QImage:
        grid = self._grid
        return sheet(self._maps, self._limits, self._signed, grid.map_size, grid.gap, grid.ratio)

    def _repaint(self) -> None:
        self._image = None
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._image = None
        super().resizeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        self._image = None
        if event.type() == QEvent.Type.FontChange:
            self._measure()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = theme.current()
        metrics = QFontMetricsF(self.font())
        line = metrics.height()
        layers, heads = self._maps.shape[:2]
        painter.setPen(QColor(colours.muted))
        if not layers or not heads or not self._maps.size:
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, tr("Nothing to show yet"))
            return
        if self._image is None:
            self._image = self._composed()
        first = self.map_rect(0, 0)
        painter.drawImage(first.topLeft(), self._image)
        self._paint_labels(painter, line)
        if self._scores is not None and self._scores.shape == (layers, heads):
            self._paint_scores(painter, self._scores)
        for (layer, head), sign in self._marks.items():
            if layer < layers and head < heads:
                self._paint_mark(painter, self.map_rect(layer, head), sign)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._hover is not None:
            painter.setPen(QPen(QColor(colours.text), line * 0.1))
            painter.drawRect(self.map_rect(*self._hover))
        if self._focus is not None and self._focus[0] < layers and self._focus[1] < heads:
            painter.setPen(QPen(QColor(colours.accent), line * (0.22 if self.hasFocus() else 0.16)))
            painter.drawRect(self.map_rect(*self._focus).adjusted(-1, -1, 1, 1))
        painter.setPen(QColor(colours.muted))
        foot = QRectF(0, self.map_rect(layers - 1, 0).bottom() + line * 0.25, self.width(), line * 1.2)
        text = metrics.elidedText(self.caption(), Qt.TextElideMode.ElideRight, foot.width())
        painter.drawText(foot, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, text)

    def _paint_labels(self, painter: QPainter, line: float) -> None:
        colours = theme.current()
        metrics = QFontMetricsF(self.font())
        lit = {at for at in (self._hover, self._focus) if at is not None}
        last = -math.inf
        for layer, label in enumerate(self._rows):
            box = self.map_rect(layer, 0)
            middle = box.center().y()
            if middle - last < line and not any(at[0] == layer for at in lit):
                continue
            last = middle
            painter.setPen(QColor(colours.text if any(at[0] == layer for at in lit) else colours.muted))
            row = QRectF(0, middle - line / 2, box.left() - line * 0.3, line)
            painter.drawText(row, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, label)
        widest = max(metrics.horizontalAdvance(label) for label in self._cols) + line * 0.3
        last = -math.inf
        for head, label in enumerate(self._cols):
            box = self.map_rect(0, head)
            middle = box.center().x()
            if middle - last < widest:
                continue
            last = middle
            painter.setPen(QColor(colours.text if any(at[1] == head for at in lit) else colours.muted))
            column = QRectF(middle - widest / 2, 0, widest, box.top() - line * 0.1)
            painter.drawText(column, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom, label)

    def _paint_scores(self, painter: QPainter, scores: NDArray[np.float32]) -> None:
        """A frame and, where there is room, a number in the corner that a causal mask leaves empty."""
        colours = theme.current()
        painter.save()
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.8)
        metrics = QFontMetricsF(font)
        thick = metrics.height() * 0.2
        painter.setFont(font)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for (layer, head), score in np.ndenumerate(scores):
            box = self.map_rect(layer, head)
            frame = QColor(colours.output)
            frame.setAlphaF(0.0 if np.isnan(score) else float(score))
            painter.setPen(QPen(frame, thick))
            painter.drawRect(box.adjusted(thick / 2, thick / 2, -thick / 2, -thick / 2))
            name = self._names[layer * scores.shape[1] + head] if self._names else ""
            lines = [line for line in (name, self._score_words(float(score))) if line]
            width = max(map(metrics.horizontalAdvance, lines)) + thick
            if width > box.width() - thick or metrics.height() > box.height() / 2:
                continue
            lines = lines[: max(1, int(box.height() / metrics.height() / 2))]
            room = QRectF(
                box.right() - width - thick, box.top() + thick, width, metrics.height() * len(lines)
            )
            ground = QColor(colours.panel)
            ground.setAlphaF(0.8)
            painter.fillRect(room, ground)
            painter.setPen(QColor(colours.text))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, "\n".join(lines))
        painter.restore()

    def _paint_mark(self, painter: QPainter, box: QRectF, sign: str) -> None:
        colours = theme.current()
        painter.save()
        font = self.font()
        side = min(QFontMetricsF(font).height(), box.height() * 0.5)
        font.setPointSizeF(font.pointSizeF() * side / QFontMetricsF(font).height())
        painter.setFont(font)
        badge = QRectF(box.right() - side, box.top(), side, side)
        painter.fillRect(badge, QColor(colours.error))
        painter.setPen(QColor(colours.panel))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextDontClip, sign)
        painter.restore()

    # Pointing and pressing

    def _point(self, cell: Cell | None) -> None:
        if cell == self._hover:
            return
        self._hover = cell
        self.update()
        if cell is None:
            self.left.emit()
        else:
            self.hovered.emit(*cell)

    def describe(self, layer: int, head: int) -> str:
        """The tooltip of a map."""
        text = tr("{layer}, {head}").format(layer=self._rows[layer], head=self._cols[head])
        if self._names:
            text = self._names[layer * len(self._cols) + head]
        if self._scores is not None:
            score = self._score_words(float(self._scores[layer, head]))
            text = tr("{head}: {role} {score}").format(head=text, role=self._score_title, score=score)
        if self._own_scales:
            low, high = map(short_number, self._limits[layer, head].tolist())
            text = tr("{head}, colours from {low} to {high}").format(head=text, low=low, high=high)
        note = self._notes.get((layer, head), self._marks.get((layer, head)))
        return f"{text}: {note}" if note else text

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point(self.map_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.map_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(*cell)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        cell = self.map_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.double_clicked.emit(*cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        layers, heads = self._maps.shape[:2]
        cell = stepped(event, self._focus or (0, 0), (layers, heads))
        if cell is None:
            super().keyPressEvent(event)
        elif cell != self._focus:
            self._focus = cell
            self.update()
            self.clicked.emit(*cell)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            cell = self.map_at(QPointF(event.pos()))
            if cell is None:
                show_tip(event.globalPos(), self.caption(), self)
            else:
                area: QRect = self.map_rect(*cell).toAlignedRect()
                show_tip(event.globalPos(), self.describe(*cell), self, area)
            return True
        return super().event(event)
