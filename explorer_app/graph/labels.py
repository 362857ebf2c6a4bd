"""Where shapes are written below the leaves of a laid-out graph."""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFontMetricsF

from explorer_app.graph.layout import GAP, Box, Layout
from explorer_app.graph.painting import Lit, LookOf
from explorer_app.graph.viewport import MARGIN

SHAPES_FROM = 1.5
"""The zoom from which shapes are written wherever they fit."""


class Labels:
    """The room for the shapes of one layout: they stand where they fit, and always at the step and the pointer."""

    def __init__(self, layout: Layout) -> None:
        self._spans, self._shares = free_spans(layout, shared=False), free_spans(layout, shared=True)

    def places(
        self,
        boxes: Sequence[Box],
        look: LookOf,
        lit: Lit,
        metrics: QFontMetricsF,
        origin: QPointF,
        zoom: float,
    ) -> list[tuple[Box, QRectF]]:
        """Which of the boxes have their shape written below them, and where in the viewport.

        origin, zoom  where the drawing's (0, 0) is in the viewport, and how large the drawing is there
        """
        height = metrics.height()
        leaves = [box for box in boxes if box.kind == "site" and look(box.path).shape]
        ahead = [box for box in leaves if box.path == lit.box] + [
            box for box in leaves if box.path == lit.hover != lit.box
        ]
        others = (box for box in leaves if box not in ahead) if zoom >= SHAPES_FROM else ()
        places: list[tuple[Box, QRectF]] = []
        for box in [*ahead, *others]:
            always = box in ahead
            low, high = (self._spans if always else self._shares)[box.path]
            reach = MARGIN if always else -1
            low, high = (v * zoom + origin.x() for v in (low - reach, high + reach))
            width = metrics.horizontalAdvance(look(box.path).shape) + 4
            if not always and width > high - low:
                continue
            width = min(width, high - low)
            middle, bottom = box.x + box.width / 2, box.y + box.height
            start = min(max(origin.x() + middle * zoom + 3, low), high - width)
            top = origin.y() + bottom * zoom + (GAP * zoom - height) / 2
            place = QRectF(start, top, width, height)
            if not any(place.intersects(other) for _, other in places):
                places.append((box, place))
        return places


def free_spans(layout: Layout, shared: bool) -> dict[str, tuple[float, float]]:
    """From where to where the gap below each leaf is free of other boxes.

    `shared`: within the modules around it, and up to halfway to the leaf beside it.
    """
    places = np.array([(box.x, box.right, box.y, box.bottom) for box in layout.boxes]).reshape(-1, 4)
    left, right, top, bottom = places.T
    leaf = np.array([box.kind == "site" for box in layout.boxes], bool)
    spans: dict[str, tuple[float, float]] = {}
    for box in (box for box in layout.boxes if box.kind == "site"):
        middle, end = (box.x + box.right) / 2, box.bottom + GAP
        around = (left <= box.x) & (right >= box.right) & (top < box.y) & (bottom >= box.bottom)
        beside = (top < end - 0.5) & (bottom > box.bottom + 0.5) & ~around
        low = right[beside & (right <= middle)].max(initial=0.0)
        high = left[beside & (left >= middle)].min(initial=layout.width)
        if shared:
            row = leaf & (np.abs(bottom - box.bottom) < GAP) & (left != box.x)
            low = max(low, left[around].max(initial=0.0))
            low = max(low, (right[row & (right <= middle)].max(initial=-np.inf) + box.x) / 2)
            high = min(high, right[around].min(initial=layout.width))
            high = min(high, (left[row & (left >= middle)].min(initial=np.inf) + box.right) / 2)
        spans[box.path] = (float(low), float(high))
    return spans
