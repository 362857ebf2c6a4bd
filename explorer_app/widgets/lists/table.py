"""An array as a table of numbers, for whoever wants the digits."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetricsF, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from explorer_app import theme
from explorer_app.widgets.plain import tip
from explorer_app.words.text import tr

LONGEST = 18  # characters of a column's name that is never cut

Index = QModelIndex | QPersistentModelIndex


def cell_text(value: float) -> str:
    """Six significant digits; infinities and NaN in words that are not mistaken for numbers."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.6g}"


class ArrayTable(QTableView):
    """A view over a 2-D array; only the cells in sight are ever turned into text."""

    cell_clicked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _ArrayModel(self)
        self.setModel(self._model)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setFont(theme.mono_font())
        self.setAccessibleName(tr("Table of numbers"))
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)
        metrics = QFontMetricsF(self.font())
        self.verticalHeader().setDefaultSectionSize(math.ceil(metrics.height() * 1.4))
        self.clicked.connect(self._click)

    def show_array(
        self, values: NDArray[Any], rows: Sequence[str] | None = None, cols: Sequence[str] | None = None
    ) -> None:
        """Show `values` [rows, columns]; without labels, the numbers of the rows and columns."""
        if values.ndim != 2:
            raise ValueError(f"a table shows two axes, got an array of {values.shape}")
        names = list(cols) if cols is not None else [str(i) for i in range(values.shape[1])]
        self._model.set_array(
            values, list(rows) if rows is not None else [str(i) for i in range(values.shape[0])], names
        )
        # Any number fits, and every short name: of q_rot[127] x₀ and q_rot[127] x₁ the end tells which is which.
        header, number = self.horizontalHeader(), self.fontMetrics().horizontalAdvance("−1.23456e-10") * 1.15
        short = [place for place, name in enumerate(names) if len(name) <= LONGEST]
        widest = max(short, key=lambda place: len(names[place]), default=0)
        header.setDefaultSectionSize(max(math.ceil(number), header.sectionSizeFromContents(widest).width()))
        # Qt gives the names of the rows another width only where there are more or fewer of them.
        self.updateGeometries()

    def text(self, row: int, col: int) -> str:
        """What a cell says."""
        return str(self._model.data(self._model.index(row, col)))

    def mark(self, row: int | None, col: int | None) -> None:
        """Select a row, a column, or the cell where both are given, alone, and bring it in sight; nothing for None.

        Whatever keys are held: Qt's own `selectRow` would add to what is selected under Shift.
        """
        chosen, flag = self.selectionModel(), QItemSelectionModel.SelectionFlag
        if row is None and col is None:
            chosen.clearSelection()
            return
        index = self._model.index(row or 0, col or 0)
        whole = flag.Rows if col is None else flag.Columns if row is None else flag.NoUpdate
        chosen.setCurrentIndex(index, flag.ClearAndSelect | whole)
        self.scrollTo(index)

    def copy(self) -> None:
        """Put the selected cells, or all if none is selected, on the clipboard as tab-separated values.

        Every digit of the array's own precision is kept, and the labels come along.
        """
        chosen = self.selectionModel().selectedIndexes()
        rows = sorted({index.row() for index in chosen}) or list(range(self._model.rowCount()))
        cols = sorted({index.column() for index in chosen}) or list(range(self._model.columnCount()))
        QGuiApplication.clipboard().setText(self._model.tab_separated(rows, cols))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)

    def _click(self, index: QModelIndex) -> None:
        self.cell_clicked.emit(index.row(), index.column())


class _ArrayModel(QAbstractTableModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._values: NDArray[Any] = np.zeros((0, 0), np.float32)
        self._rows: list[str] = []
        self._cols: list[str] = []

    def set_array(self, values: NDArray[Any], rows: list[str], cols: list[str]) -> None:
        if values.shape != (len(rows), len(cols)):
            raise ValueError(f"an array of {values.shape} has {len(rows)} row and {len(cols)} column labels")
        self.beginResetModel()
        self._values, self._rows, self._cols = values, rows, cols
        self.endResetModel()

    def tab_separated(self, rows: list[int], cols: list[int]) -> str:
        lines = ["\t".join(["", *(self._cols[col] for col in cols)])]
        for row in rows:
            lines.append("\t".join([self._rows[row], *(str(self._values[row, col]) for col in cols)]))
        return "\n".join(lines) + "\n"

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else int(self._values.shape[0])

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else int(self._values.shape[1])

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(float(self._values[index.row(), index.column()]))
        if role == Qt.ItemDataRole.ToolTipRole:
            row, col = index.row(), index.column()
            return tip(f"{self._rows[row]}, {self._cols[col]}: {self._values[row, col]}")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        name = (self._cols if orientation == Qt.Orientation.Horizontal else self._rows)[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(name)
        return name if role == Qt.ItemDataRole.DisplayRole else None
