"""What the pictures of the focused head share: its large map, whose cells the pointer reads and a click locks."""

from typing import TypeVar

import numpy as np
from model_core.api.queries.answer import Answer
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QSizePolicy,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app.panel.base import Panel
from explorer_app.state.session import Session
from explorer_app.widgets.maps.heatmap import Heatmap
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import Label, RichLabel, caption, tip
from explorer_app.words.attention_text import head_map, kind_about, kind_words

Floats = NDArray[np.float32]


class KindChooser(QWidget):
    """One button for each kind of attention; out of sight where the model has one only."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.buttons: dict[str, QToolButton] = {}
        self._group = QButtonGroup(self)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addStretch(1)
        self.hide()

    def show_kinds(self) -> None:
        """The kinds of the model on screen, the one in focus pressed."""
        kinds, attention = self.session.kinds, self.session.attention
        names = [kind.name for kind in kinds] if len(kinds) > 1 else []
        if names != list(self.buttons):
            for button in self.buttons.values():
                self._group.removeButton(button)
                self._row.removeWidget(button)
                button.deleteLater()
            self.buttons = {name: QToolButton(self) for name in names}
            for place, (name, button) in enumerate(self.buttons.items()):
                button.setCheckable(True)
                button.clicked.connect(lambda _, stack=name: self.session.select(stack=stack))
                self._group.addButton(button)
                self._row.insertWidget(place, button)
        for kind in kinds if names else []:
            self.buttons[kind.name].setText(caption(kind_words(kind)))
            self.buttons[kind.name].setToolTip(tip(kind_about(kind)))
            self.buttons[kind.name].setChecked(kind == attention)
        self.setVisible(bool(names))


class HeadPanel(Panel):
    """Point to read a cell, click to lock it, Escape to unlock. A subclass draws the map in `draw_head`."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.drawn_map: tuple[Answer, int] | None = None
        """The answer and the head that `draw_head` painted last."""
        self.kinds = KindChooser(session)
        self.heatmap = Heatmap()
        self.heatmap.hovered.connect(session.hover)
        self.heatmap.left.connect(self._leave)
        self.heatmap.clicked.connect(self.lock)
        self.listens.to(
            session.scene_changed, self.refresh
        )  # buttons and switches show what is asked for, run or not

    def draw_head(self, run: Answer, values: Floats) -> None:
        """Paint the map [T S] of the focused head."""
        raise NotImplementedError

    def draw_map(self, run: Answer, answer: Answer) -> None:
        """Paint the focused head of an answer to `map_query` if another one is painted, and the locked cell."""
        selection = self.session.selection
        self.kinds.show_kinds()
        if self.drawn_map is None or self.drawn_map[0] is not answer or self.drawn_map[1] != selection.head:
            self.drawn_map = (answer, selection.head)
            self.draw_head(run, head_map(answer, selection.head))
        self.heatmap.set_cursor(selection.query, selection.key)

    def preview(self, query: int | None, key: int | None) -> None:
        self.heatmap.preview(query, key)

    def lock(self, row: int, col: int) -> None:
        """Lock a cell, or unlock it where it is the locked one."""
        selection = self.session.selection
        locked = (selection.query, selection.key) == (row, col)
        self.session.select(query=None if locked else row, key=None if locked else col)

    def _leave(self) -> None:
        self.session.hover(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.session.select(query=None, key=None)
        else:
            super().keyPressEvent(event)


def beside(left: QWidget, right: QWidget, share: int) -> QSplitter:
    """Two widgets beside each other, the left one with `share` percent of the width, whatever it is."""
    split = QSplitter()
    split.addWidget(left)
    split.addWidget(right)
    split.setSizes([share * 10, 1000 - share * 10])
    split.setStretchFactor(0, share)
    split.setStretchFactor(1, 100 - share)
    split.setChildrenCollapsible(False)
    return split


def column(*widgets: QWidget) -> QWidget:
    """Widgets under each other, the last with the room that is left."""
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, int(widget is widgets[-1]))
    return whole


AnyLabel = TypeVar("AnyLabel", Label, RichLabel)


def line(text: str = "", wrap: bool = False) -> Label:
    """A text that does not hold its column open; it wraps, or ends in an ellipsis."""
    label = Label(text) if wrap else OneLine()
    label.setText(text)
    return _held_open_by_nothing(label, wrap)


def rich_line(wrap: bool = False) -> RichLabel:
    """The same for a sentence of ours in rich text."""
    return _held_open_by_nothing(RichLabel(), wrap)


def _held_open_by_nothing(label: AnyLabel, wrap: bool) -> AnyLabel:
    label.setWordWrap(wrap)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
