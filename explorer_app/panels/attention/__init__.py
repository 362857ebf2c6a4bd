"""Who looks at whom: every head small, the focused head large, and the three stages of its making."""

from typing import Any

import numpy as np
from model_core.api.edits import AblateHead, MaskOff
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QHBoxLayout,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app.panel.base import Answers
from explorer_app.panel.head_panel import Floats, HeadPanel, beside, column, line, rich_line
from explorer_app.panel.registry import panel
from explorer_app.panels.attention.overview import Overview
from explorer_app.panels.attention.stages import (
    cell_sentence,
    difference_sentence,
    stages,
    without_partners_hidden,
)
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.arrows import ARROWS, stepped
from explorer_app.widgets.lists.bars import Bar, BarList
from explorer_app.widgets.maps.thumbnails import ThumbnailGrid
from explorer_app.widgets.plain import rich, tip
from explorer_app.words.attention_text import (
    Sides,
    covers,
    has_mask,
    head_map,
    head_title,
    known_edits,
    map_query,
    sharing,
    side_titles,
    sides,
)
from explorer_app.words.numbers import percent
from explorer_app.words.text import tr

ROW_LENGTH = 20


@panel("attention", "Attention", area="centre", order=10)
class Attention(HeadPanel):
    """Point to read a cell, click to lock it, Escape to unlock; arrows walk the heads, with Shift the locked cell."""

    own_keys = frozenset(ARROWS)
    subtracts = True

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.stages = stages()
        self.word = "pattern"
        self._followed = session.selection.site
        self._sides = Sides([], [])

        self._stages = QButtonGroup(self)
        row = QHBoxLayout()
        for stage in self.stages.values():
            button = _button(stage.title, stage.about)
            button.setProperty("word", stage.word)
            self._stages.addButton(button)
            row.addWidget(button)
        self._stages.buttonClicked.connect(self._choose_stage)
        row.addStretch(1)
        self._mask_off = _button(tr("Mask off"), "")
        self._mask_off.clicked.connect(self._toggle_mask)
        self._ablate = _button(tr("Ablate"), "")
        self._ablate.clicked.connect(self._toggle_ablation)
        self._solo = _button(
            tr("Solo"),
            tr("Hide the other heads and give this one all the room; a double click on a head does the same"),
        )
        self._solo.toggled.connect(self._set_solo)
        for button in (self._mask_off, self._ablate, self._solo):
            row.addWidget(button)

        self.overview = Overview(session)
        self.roles, self.grid = self.overview.roles, self.overview.grid
        self.roles.changed.connect(self._choose_role)
        self.grid.clicked.connect(self._focus_cell)
        self.grid.double_clicked.connect(self._solo.toggle)
        self._row_title = line()
        self._row_title.setTextFormat(Qt.TextFormat.PlainText)
        self.row = BarList("key")
        self.row.clicked.connect(self._lock_key)
        self._row_query = 0
        self._row_keys: list[int] = []
        self._about = line(wrap=True)
        self._about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._side = column(
            self.overview.title, self.roles, self.grid, self._row_title, self.row, self._about
        )
        self._title = rich_line()
        self.heatmap.double_clicked.connect(self._double_click)
        self.heatmap.installEventFilter(self)
        for view in (self.heatmap, self.grid):
            view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            view.customContextMenuRequested.connect(self._open_menu)

        layout = QVBoxLayout(self)
        layout.addWidget(self.kinds)
        layout.addLayout(row)
        layout.addWidget(beside(self._side, column(self._title, self.heatmap), 34), 1)
        self._set_word(self.word)

    # Asking and drawing

    def needs(self) -> list[Query]:
        self._follow_step()
        return [map_query(self.session, self.word)]

    def besides(self) -> list[Query]:
        """The overview, which takes long of a deep model."""
        attention = self.session.attention
        if attention is None or self._solo.isChecked():
            return []
        return self.overview.queries(self.word, attention)

    def ahead(self) -> list[Query]:
        """The layers above and below, where an arrow key leads."""
        attention, layer = self.session.attention, self.session.selection.layer
        if attention is None or not self.seen:
            return []
        near = [n for n in (layer - 1, layer + 1) if 0 <= n < attention.layers]
        return [map_query(self.session, self.word, n) for n in near]

    def draw(self, answers: Answers) -> None:
        run, answer = answers[RUN], answers[map_query(self.session, self.word)]
        attention = self.session.attention
        assert attention is not None
        self.draw_map(run, answer)
        self._say_about()
        self._draw_row()
        self.overview.draw(self.stages[self.word], attention)
        self._say_edits()

    def _show_age(self, *_: Any) -> None:
        super()._show_age()
        if self.veil.asked:
            self.overview.veil.lift()  # one reason, for all of it

    def preview(self, query: int | None, key: int | None) -> None:
        super().preview(query, key)
        self._draw_row()

    def draw_head(self, run: Answer, values: Floats) -> None:
        stage, kind, selection = self.stages[self.word], self.session.attention, self.session.selection
        assert kind is not None
        self._sides = tokens = sides(run, kind)
        row_title, col_title = side_titles(run, kind)

        differs = self.session.compared == "B−A"

        def describe(row: int, col: int) -> str:
            value = float(values[row, col])
            if differs:
                return difference_sentence(value, tokens, row, col)
            return cell_sentence(stage.word, value, tokens, row, col)

        self.heatmap.show_matrix(
            without_partners_hidden(values) if differs else values,
            tokens.rows,
            tokens.cols,
            colours="symmetric" if differs else stage.colours,
            row_title=row_title,
            col_title=col_title,
            describe=describe,
        )
        shared = sharing(selection.head, kind.heads, kind.kv_heads)
        self._title.setText(
            rich("<b>{title}</b>", title=head_title(kind, selection.layer, selection.head))
            + (" &nbsp; <b>B − A</b>" if differs else "")
            + (rich(" &nbsp; {shared}", shared=shared) if shared else "")
        )

    def _draw_row(self) -> None:
        """Where the attention of one token goes: the hovered, else the locked, else the last one."""
        differs = self.session.compared == "B−A"
        if self.word != "pattern" or differs or self.drawn_map is None:
            return
        values, tokens = head_map(*self.drawn_map), self._sides
        last = len(tokens.rows) - 1
        wanted = (self.session.hovered[0], self.session.selection.query, last)
        position = next(p for p in wanted if p is not None)
        if position >= len(values):
            return  # pointed at in a longer prompt, whose map is not there yet
        shares = values[position]
        self._row_query = position
        self._row_keys = [
            int(key) for key in np.argsort(-shares, kind="stable")[:ROW_LENGTH] if shares[key] > 0
        ]
        text = tr("{query}, the last token, attends to") if position == last else tr("{query} attends to")
        self._row_title.setText(text.format(query=tokens.row(position)))
        self.row.show_bars(
            [
                Bar(f"{tokens.cols[key]} ({key})", float(shares[key]), percent(float(shares[key])))
                for key in self._row_keys
            ],
            tr("Nowhere: its weights are not numbers (NaN).") if np.isnan(shares).any() else tr("Nowhere."),
        )

    # Following and leading the selection

    def _follow_step(self) -> None:
        """Show the stage that the stepper stands on, from the moment it moves there."""
        site = self.session.selection.site
        if site != self._followed:
            self._followed = site
            module, _, word = site.rpartition(".")
            if module.endswith((".attn", ".cross")) and word in self.stages and word != self.word:
                self._set_word(word)

    def _say_about(self) -> None:
        """Under the overview: where one token's attention goes, or what the stage or the difference is."""
        differs = self.session.compared == "B−A"
        shares = self.word == "pattern" and not differs
        self._row_title.setVisible(shares)
        self.row.setVisible(shares)
        self._about.setHidden(shares)
        difference = tr(
            "Blue cells have more in B, brown ones more in A. Hatched: a token that the other text does not have, or "
            "a key that is hidden in B alone."
        )
        self._about.setText(difference if differs else self.stages[self.word].about)

    def _set_word(self, word: str) -> None:
        self.word = word
        self._say_about()
        for button in self._stages.buttons():
            button.setChecked(button.property("word") == word)

    def _choose_stage(self, button: QAbstractButton) -> None:
        self._set_word(button.property("word"))
        self.asks.emit()
        self.refresh()

    def _choose_role(self) -> None:
        self.asks.emit()
        self.refresh()

    def _focus_cell(self, row: int, col: int) -> None:
        """Choose the head that the overview shows there."""
        layer, head = self.overview.head_at(row, col)
        self.session.select(layer=layer, head=head)

    def _lock_key(self, index: int) -> None:
        self.session.select(query=self._row_query, key=self._row_keys[index])

    def _double_click(self, row: int, col: int) -> None:
        self.lock(row, col)  # takes back what the first of the two clicks did
        self._solo.toggle()

    def _set_solo(self, alone: bool) -> None:
        self._side.setHidden(alone)
        if alone:
            self.heatmap.setFocus()
        self.asks.emit()

    # Keys

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows on the large map walk the heads; with Shift they are the map's own and walk its cells."""
        if (
            watched is self.heatmap
            and isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            and Qt.Key(event.key()) in ARROWS
        ):
            self._walk(event)
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if Qt.Key(event.key()) in ARROWS:
            self._walk(event)
        else:
            super().keyPressEvent(event)

    def _walk(self, event: QKeyEvent) -> None:
        """To the next head, in the order in which the overview shows them."""
        kind, selection = self.session.attention, self.session.selection
        if kind is not None:
            plain = list(np.ndindex(kind.layers, kind.heads))
            heads = self.overview.heads if sorted(self.overview.heads) == plain else plain
            cell = divmod(heads.index((selection.layer, selection.head)), kind.heads)
            if there := stepped(event, cell, (kind.layers, kind.heads)):
                layer, head = heads[there[0] * kind.heads + there[1]]
                self.session.select(layer=layer, head=head)

    # Edits of the focused head

    def _edits(self) -> tuple[MaskOff, AblateHead]:
        at = self.session.selection
        return MaskOff(at.layer, at.head, at.stack), AblateHead(at.layer, at.head, at.stack)

    def _toggle_mask(self) -> None:
        self.session.toggle_edit(str(self._edits()[0]))
        self._say_edits()

    def _toggle_ablation(self) -> None:
        self.session.toggle_edit(str(self._edits()[1]))
        self._say_edits()

    def _say_edits(self) -> None:
        """Buttons show what is asked for; marks on the overview show what was run."""
        mask_off, ablation = self._edits()
        asked = known_edits(self.session.scene.edits)
        wider = [e for e in asked if isinstance(e, MaskOff) and e != mask_off and covers(e, mask_off)]
        kind = self.session.attention
        masked = kind is None or has_mask(kind)
        self._mask_off.setChecked(masked and (mask_off in asked or bool(wider)))
        self._mask_off.setEnabled(masked and not wider)
        self._mask_off.setToolTip(
            tip(
                tr("There is no mask here: every token looks at all others already")
                if not masked
                else tr("The mask of this head is off already, by “{edit}”").format(edit=wider[0])
                if wider
                else tr("Let every token of this head look at later ones too (“{edit}”)").format(
                    edit=mask_off
                )
            )
        )
        self._ablate.setChecked(ablation in asked)
        self._ablate.setToolTip(
            tip(
                tr("Set what this head writes to zero (“{edit}”); its pattern stays as it is").format(
                    edit=ablation
                )
            )
        )
        if kind is not None:
            self.overview.mark(known_edits(self.session.viewed.edits), kind)

    def _open_menu(self, place: QPoint) -> None:
        view = self.sender()
        if isinstance(view, ThumbnailGrid) and (cell := view.map_at(place.toPointF())) is not None:
            self._focus_cell(*cell)
        self._say_edits()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for button, text in (
            (self._mask_off, tr("Mask off for this head")),
            (self._ablate, tr("Ablate this head")),
            (self._solo, tr("This head alone")),
        ):
            action = QAction(
                text, menu, checkable=True, checked=button.isChecked(), enabled=button.isEnabled()
            )
            action.triggered.connect(button.click)
            menu.addAction(action)
        if isinstance(view, QWidget):
            menu.popup(view.mapToGlobal(place))


def _button(text: str, about: str) -> QToolButton:
    """A button that stays pressed."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip(about))
    button.setCheckable(True)
    return button
