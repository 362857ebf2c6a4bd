"""A heatmap with numbered labels, and places in it."""

import numpy as np
from PySide6.QtWidgets import QApplication

from explorer_app.widgets.maps.heatmap import Heatmap
from tests.support.window.pointer import point_at


def labels(count: int) -> list[str]:
    return [f"·t{i}" for i in range(count)]


def show(widget: Heatmap, values: np.ndarray, **options: object) -> None:
    widget.show_matrix(values, labels(values.shape[0]), labels(values.shape[1]), **options)  # type: ignore[arg-type]
    QApplication.processEvents()


def move(widget: Heatmap, row: int, col: int) -> None:
    point_at(widget, widget.cell_centre(row, col))


def causal(size: int) -> np.ndarray:
    scores = np.random.default_rng(size).normal(size=(size, size)).astype(np.float32)
    scores[np.triu_indices(size, 1)] = -np.inf
    return scores
