"""How much room there is to write below the leaves of a laid-out graph."""

import numpy as np

from explorer_app.graph.layout import GAP, Layout


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
