"""Who looks at whom: every head small, the focused head large, and the three stages of its making."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from model_core.api.edits import AblateHead, Edit, MaskOff
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from numpy.typing import NDArray
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
from explorer_app.panel.head_roles import Heads, RoleBar, arranged, head_name, role_title, score_words
from explorer_app.panel.registry import panel
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.arrows import ARROWS, stepped
from explorer_app.widgets.lists.bars import Bar, BarList
from explorer_app.widgets.maps.colours import Colours, colour_limits
from explorer_app.widgets.maps.thumbnails import ThumbnailGrid
from explorer_app.widgets.plain import rich, tip
from explorer_app.widgets.veil import Veil
from explorer_app.words.attention_text import (
    Sides,
    covers,
    has_mask,
    head_map,
    head_title,
    known_edits,
    map_query,
    mask_is_off,
    overview_query,
    sharing,
    side_titles,
    sides,
)
from explorer_app.words.engine_words import late_words
from explorer_app.words.numbers import percent, short_number
from explorer_app.words.text import tr

ROW_LENGTH = 20


@dataclass(frozen=True)
class Stage:
    """One of the T x S maps that attention passes through, in the model's own word for it."""

    word: str
    title: str
    about: str
    colours: Colours


def stages() -> dict[str, Stage]:
    """The stages in the order of computation, by their word."""
    found = (
        Stage(
            "scores",
            tr("Scores"),
            tr("Query · key / √width of a head: how well each key answers each query, before the mask"),
            "diverging",
        ),
        Stage(
            "masked",
            tr("Masked scores"),
            tr("The scores after the mask was added: a hidden key has −∞ and can get no attention"),
            "diverging",
        ),
        Stage(
            "pattern",
            tr("Pattern"),
            tr("Softmax of the masked scores: each row shares out 100 % of one token's attention"),
            "sequential",
        ),
    )
    return {stage.word: stage for stage in found}


def cell_sentence(word: str, value: float, tokens: Sides, row: int, col: int) -> str:
    """What one cell says: “it” attends 62.1 % to “cat”."""
    looks, at = tokens.row(row), tokens.col(col)
    later = tr(", which comes later") if tokens.later(row, col) else ""
    if np.isnan(value):
        return tr("{query} to {key}: not a number").format(query=looks, key=at)
    if word == "pattern":
        text = tr("{query} attends {share} to {key}").format(
            query=looks, share=percent(value), key=tr("itself") if tokens.itself(row, col) else at
        )
        return text + later
    pair = tr("{query} · {key}").format(query=looks, key=at) + later
    if np.isneginf(value):
        return tr("{pair}: hidden by the mask").format(pair=pair)
    return tr("{pair}: score {score}").format(pair=pair, score=short_number(value, 4))


def without_partners_hidden(values: Floats) -> Floats:
    """What differs, hatched where one of the two has no such token."""
    return np.where(np.isnan(values), np.float32(-np.inf), values)


def difference_sentence(value: float, tokens: Sides, row: int, col: int) -> str:
    """What a cell has more in B than in A."""
    pair = tr("{query} · {key}").format(query=tokens.row(row), key=tokens.col(col))
    if np.isnan(value):
        return tr("{pair}: one of them has no such token, or no number there").format(pair=pair)
    return tr("{pair}: B − A = {value}").format(pair=pair, value=short_number(value, 4))


def scale_words(limits: tuple[float, float] | NDArray[np.float64]) -> str:
    """What the colours of the overview stand for: one scale, or one for each head [L H 2], about zero."""
    if isinstance(limits, tuple):
        low, high = map(short_number, limits)
        return tr("One scale: {low} to {high}").format(low=low, high=high)
    least, most = (short_number(float(reach)) for reach in (limits[..., 1].min(), limits[..., 1].max()))
    return tr("Own scales: ±{least} to ±{most}").format(least=least, most=most)


def head_marks(
    edits: Sequence[Edit], kind: AttentionKind
) -> tuple[dict[tuple[int, int], str], dict[tuple[int, int], str]]:
    """Signs and words for the heads that edits change; a mask that is off everywhere marks none of them."""
    signs: dict[tuple[int, int], str] = {}
    notes: dict[tuple[int, int], str] = {}
    everywhere = MaskOff() in edits
    for layer, head in np.ndindex(kind.layers, kind.heads):
        ablated = AblateHead(layer, head, kind.name) in edits
        unmasked = has_mask(kind) and mask_is_off(edits, layer, head, kind.name)
        words = [tr("ablated")] * ablated + [tr("mask off")] * unmasked
        if ablated or (unmasked and not everywhere):
            signs[layer, head] = "✕" if ablated else "M"
        if words:
            notes[layer, head] = ", ".join(words)
    return signs, notes


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
        self._drawn_overview: list[object] = []
        self._heads: Heads = []
        """The heads in the order in which the overview shows them, `_across` in a row."""
        self._across = 1

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

        self._overview_title = line()
        self._overview_title.setToolTip(
            tip(
                tr(
                    "What the colours of the small maps stand for. A scale of its own, about zero, "
                    "for each head's scores; one for all of their patterns."
                )
            )
        )
        self.roles = RoleBar()
        self.roles.changed.connect(self._choose_role)
        self.grid = ThumbnailGrid()
        self._overview_veil = Veil(self.grid)
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
        self._overview = column(
            self._overview_title, self.roles, self.grid, self._row_title, self.row, self._about
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
        layout.addWidget(beside(self._overview, column(self._title, self.heatmap), 34), 1)
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
        roles = self.roles.query(attention)
        # Scores come before the maps that they colour.
        return [*([roles] if roles else []), overview_query(self.word, attention)]

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
        self.roles.offer(attention)
        overview = self.session.answer(overview_query(self.word, attention))
        asked = self.roles.query(attention)
        roles = self.session.answer(asked) if asked else None
        self._show_overviews_age(overview)
        new: list[object] = [overview, roles, self.roles.name, self.roles.sort.isChecked()]
        if overview is not None and new != self._drawn_overview:
            self._drawn_overview = new
            self._draw_overview(overview, roles, attention)
        focus = self.session.selection.layer, self.session.selection.head
        if focus in self._heads:
            self.grid.set_focus(*self._cell(*focus))
        self._say_edits()

    def _show_age(self, *_: Any) -> None:
        super()._show_age()
        if self.veil.asked:
            self._overview_veil.lift()  # one reason, for all of it

    def _show_overviews_age(self, overview: Answer | None) -> None:
        """Dim the heads of another run than that of the map until theirs have come."""
        if overview is None and self._drawn_overview:
            self._overview_veil.cover(late_words(self.session) or tr("Out of date"))
        else:
            self._overview_veil.lift()

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

    def _draw_overview(self, overview: Answer, roles: Answer | None, kind: AttentionKind) -> None:
        stage, maps = self.stages[self.word], overview["maps"]
        limits: tuple[float, float] | NDArray[np.float64] = colour_limits(maps, "sequential", None)
        differs = self.session.compared == "B−A"
        if differs:
            maps = without_partners_hidden(maps)
        if stage.word != "pattern" or differs:
            # One head's scores may reach ten times as far as another's, whose map would be blank on a scale for both.
            limits = np.array([[colour_limits(map_, "symmetric", None) for map_ in row] for row in maps])
        scores = None if roles is None else roles[self.roles.name]
        self._heads, self._across = self.roles.heads(scores, kind), kind.heads
        ordered = self._heads == sorted(self._heads)
        self.grid.show_maps(
            arranged(maps, self._heads),
            [
                tr("layer {n}").format(n=n) if ordered else f"{n * kind.heads + 1}."
                for n in range(kind.layers)
            ],
            [tr("head {n}").format(n=n) if ordered else "" for n in range(kind.heads)],
            limits=limits if isinstance(limits, tuple) else arranged(limits, self._heads),
            signed=stage.word != "pattern" or differs,
            size=(overview["size"][0], overview["size"][1]),
        )
        if roles is None or scores is None:
            self.grid.set_scores(None)
        else:
            self.roles.show_source(roles)
            names = [] if ordered else [head_name(head) for head in self._heads]
            title, placed = role_title(self.roles.name), arranged(scores, self._heads)
            self.grid.set_scores(placed, names, title, score_words)
        self._overview_title.setText(scale_words(limits))

    def _cell(self, layer: int, head: int) -> tuple[int, int]:
        """Where the overview shows a head."""
        return divmod(self._heads.index((layer, head)), self._across)

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
        layer, head = self._heads[row * self._across + col]
        self.session.select(layer=layer, head=head)

    def _lock_key(self, index: int) -> None:
        self.session.select(query=self._row_query, key=self._row_keys[index])

    def _double_click(self, row: int, col: int) -> None:
        self.lock(row, col)  # takes back what the first of the two clicks did
        self._solo.toggle()

    def _set_solo(self, alone: bool) -> None:
        self._overview.setHidden(alone)
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
            heads = self._heads if sorted(self._heads) == plain else plain
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
            signs, notes = head_marks(known_edits(self.session.viewed.edits), kind)
            self.grid.set_marks(
                *(
                    {self._cell(*head): says for head, says in marks.items() if head in self._heads}
                    for marks in (signs, notes)
                )
            )

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
