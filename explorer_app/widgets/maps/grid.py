"""Where small maps stand in a grid: layers down, heads across."""

import math
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize

from explorer_app.widgets.arrows import Cell


@dataclass(frozen=True)
class Grid:
    """Places in a widget of this width and height. Maps are laid out in device pixels, so that no cell is blurred.

    shape   layers, heads, and the rows and columns of each map
    line    the height of a line of text
    widest  the width of the widest label of a row
    ratio   device pixels for each unit of size
    """

    shape: tuple[int, ...]
    width: int
    height: int
    line: float
    widest: float
    ratio: float

    @property
    def gap(self) -> int:
        """Device pixels between two maps."""
        return max(1, round(self.line * 0.15 * self.ratio))

    @property
    def corner(self) -> QPoint:
        """Where the first map begins: below the labels of the columns, beside those of the rows."""
        return QPoint(math.ceil(self.widest + self.line * 0.4), math.ceil(self.line * 1.2))

    @property
    def _proportion(self) -> float:
        """Width by height of a map: that of its cells, within reason."""
        rows, cols = self.shape[2:]
        return min(2.0, max(0.5, cols / max(rows, 1)))

    @property
    def map_size(self) -> tuple[int, int]:
        """(height, width) of one map in device pixels."""
        layers, heads = self.shape[:2]
        if not layers or not heads:
            return 1, 1
        foot = self.line * 1.5
        width = int(((self.width - self.corner.x()) * self.ratio - (heads - 1) * self.gap) / heads)
        height = int(((self.height - self.corner.y() - foot) * self.ratio - (layers - 1) * self.gap) / layers)
        width = min(width, round(height * self._proportion))
        height = min(height, round(width / self._proportion))
        return max(1, height), max(1, width)

    def map_rect(self, layer: int, head: int) -> QRectF:
        height, width = self.map_size
        return QRectF(
            self.corner.x() + head * (width + self.gap) / self.ratio,
            self.corner.y() + layer * (height + self.gap) / self.ratio,
            width / self.ratio,
            height / self.ratio,
        )

    def map_at(self, point: QPointF) -> Cell | None:
        """(layer, head) at a place; None in the gaps and outside."""
        layers, heads = self.shape[:2]
        if not layers or not heads:
            return None
        step = self.map_rect(1, 1).topLeft() - self.map_rect(0, 0).topLeft()
        offset = point - self.map_rect(0, 0).topLeft()
        layer, head = math.floor(offset.y() / step.y()), math.floor(offset.x() / step.x())
        inside = 0 <= layer < layers and 0 <= head < heads and self.map_rect(layer, head).contains(point)
        return (layer, head) if inside else None

    def size_for(self, lines: float) -> QSize:
        """The size in which each map is `lines` text lines wide and high."""
        layers, heads = (max(n, 4) for n in self.shape[:2])
        width = self.corner.x() + heads * lines * self.line * 1.15
        height = self.corner.y() + layers * lines * self.line * 1.15 + self.line * 1.5
        return QSize(math.ceil(width), math.ceil(height))

    def height_for(self, width: int) -> int:
        """The height in which the maps fill a width."""
        layers, heads = self.shape[:2]
        gap = self.gap / self.ratio
        across = (width - self.corner.x() - (heads - 1) * gap) / heads
        down = across / self._proportion
        return math.ceil(self.corner.y() + layers * down + (layers - 1) * gap + self.line * 1.5)
