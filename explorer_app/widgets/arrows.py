"""Arrow keys as steps over a grid."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

Cell = tuple[int, int]

ARROWS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}
"""(rows, columns) that each of the arrow keys goes."""

SIDEWAYS = frozenset({Qt.Key.Key_Left, Qt.Key.Key_Right})


def stepped(event: QKeyEvent, cell: Cell, shape: Cell) -> Cell | None:
    """Where an arrow key leads from a cell, inside of a grid of this shape; None for other keys and no grid."""
    step = ARROWS.get(Qt.Key(event.key()))
    if step is None or 0 in shape:
        return None
    row, col = (min(max(at + by, 0), size - 1) for at, by, size in zip(cell, step, shape, strict=True))
    return row, col
