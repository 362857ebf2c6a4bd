"""Who may look at whom: the mask as the model used it, a switch for it, and what switching it changed."""

import numpy as np
from model_core.api.edits import MaskOff
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.query import Query
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from explorer_app.panel.base import Answers
from explorer_app.panel.head_panel import Floats, HeadPanel, beside, column, line, rich_line
from explorer_app.panel.registry import panel
from explorer_app.panels.mask.changes import (
    comparable,
    most_changed,
    moved_attention,
    patterns_query,
    token_changes,
    what_changed,
)
from explorer_app.panels.mask.switching import causal_state, switched, wider_edit
from explorer_app.panels.mask.words import cell_sentence, cells_words, rule_words, switch_words
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.lists.bars import Bar, BarList
from explorer_app.widgets.plain import rich, tip
from explorer_app.words.attention_text import (
    has_mask,
    head_title,
    known_edits,
    map_query,
    mask_is_off,
    side_titles,
    sides,
)
from explorer_app.words.numbers import percent
from explorer_app.words.text import tr

NEXT_TOKEN = NextTokens(k=40)


@panel("mask", "Mask", area="centre", order=20)
class Mask(HeadPanel):
    """Point to read a cell, click to lock it, Escape to unlock; the switches run the model again."""

    no_difference = "What an edit changed is compared here already: look at A or B."

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._drawn_changes: tuple[Answer | str | None, ...] | None = None

        self._title = rich_line()
        self.rule = rich_line(wrap=True)
        self.switches = [QCheckBox() for _ in range(3)]
        for switch, slot in zip(
            self.switches, (self._switch_all, self._switch_layer, self._switch_head), strict=True
        ):
            switch.clicked.connect(slot)
        self.in_force = line(wrap=True)
        self.changed_title = rich_line(wrap=True)
        self.changed = line(wrap=True)
        self.bars = BarList("output")
        self.heads_title = line(wrap=True)
        self.heads = BarList("query")
        self.heads.clicked.connect(self._focus_ranked)
        self._ranked: list[tuple[int, int]] = []

        self._rest = QWidget()
        side = column(
            self.rule,
            *self.switches,
            self.in_force,
            self.changed_title,
            self.changed,
            self.bars,
            self.heads_title,
            self.heads,
            self._rest,
        )
        stacked = side.layout()
        assert isinstance(stacked, QVBoxLayout)
        stacked.setStretchFactor(self.bars, 3)
        stacked.setStretchFactor(self.heads, 2)
        layout = QVBoxLayout(self)
        layout.addWidget(self.kinds)
        layout.addWidget(beside(column(self._title, self.heatmap), side, 60), 1)

    # Asking and drawing

    def needs(self) -> list[Query]:
        return [map_query(self.session, "mask")]

    def besides(self) -> list[Query]:
        """What a switch will be compared with."""
        run, kind = self.session.run, self.session.attention
        if run is None or kind is None:
            return []
        return [NEXT_TOKEN, *([patterns_query(run, kind)] if comparable(run, kind) else [])]

    def draw(self, answers: Answers) -> None:
        run, answer, kind = answers[RUN], answers[map_query(self.session, "mask")], self.session.attention
        assert kind is not None
        self.draw_map(run, answer)
        self._say_switches(kind)
        self._draw_changes(run, kind)

    def draw_head(self, run: Answer, values: Floats) -> None:
        kind, selection = self.session.attention, self.session.selection
        assert kind is not None
        tokens = sides(run, kind)
        row_title, col_title = side_titles(run, kind)

        def describe(row: int, col: int) -> str:
            return cell_sentence(not np.isneginf(values[row, col]), tokens, row, col)

        self.heatmap.show_matrix(
            values,
            tokens.rows,
            tokens.cols,
            row_title=row_title,
            col_title=col_title,
            limits=(-0.12, 1.0),  # a light tint for what is allowed: its 0 is the one value here
            describe=describe,
            bar=False,
        )
        title = head_title(kind, selection.layer, selection.head)
        self._title.setText(rich("<b>{title}</b> &nbsp; {cells}", title=title, cells=cells_words(values)))

    # The switch

    def _scopes(self) -> tuple[MaskOff, MaskOff, MaskOff]:
        at = self.session.selection
        # Where there are several kinds of attention, one of them has a mask: the widest words mean that one.
        return MaskOff(), MaskOff(at.layer, stack=at.stack), MaskOff(at.layer, at.head, at.stack)

    def _say_switches(self, kind: AttentionKind) -> None:
        edits, scopes = self.session.scene.edits, self._scopes()
        self.rule.setText(rule_words(kind))
        for part in (*self.switches, self.in_force):
            part.setVisible(has_mask(kind))
        texts = (
            tr("in all layers"),
            tr("in layer {layer}").format(layer=scopes[1].layer),
            tr("in head {head} of layer {layer}").format(layer=scopes[2].layer, head=scopes[2].head),
        )
        for switch, scope, text in zip(self.switches, scopes, texts, strict=True):
            wider = wider_edit(edits, scope)
            switch.setText(text)
            switch.setCheckState(causal_state(edits, scope, kind))
            switch.setEnabled(wider is None)
            switch.setToolTip(
                tip(
                    tr("“{edit}” already switches this off: remove it first").format(edit=wider)
                    if wider
                    else switch_words(kind, scope)
                )
            )
        known = known_edits(edits)
        heads = kind.layers * kind.heads
        off = sum(
            mask_is_off(known, layer, head, kind.name) for layer, head in np.ndindex(kind.layers, kind.heads)
        )
        by = ", ".join(f"“{edit}”" for edit in known if isinstance(edit, MaskOff))
        self.in_force.setText(
            tr("In force in all {all} heads.").format(all=heads)
            if off == 0
            else tr("Off in {off} of {all} heads, by {edits}.").format(off=off, all=heads, edits=by)
        )

    def _switch(self, scope: MaskOff) -> None:
        kind = self.session.attention
        if kind is None:
            return
        on = causal_state(self.session.scene.edits, scope, kind) != Qt.CheckState.Checked
        self.session.change(edits=switched(self.session.edits, scope, on))
        self._say_switches(kind)

    def _switch_all(self) -> None:
        self._switch(self._scopes()[0])

    def _switch_layer(self) -> None:
        self._switch(self._scopes()[1])

    def _switch_head(self) -> None:
        self._switch(self._scopes()[2])

    # What it changed

    def _draw_changes(self, run: Answer, kind: AttentionKind) -> None:
        patterns = patterns_query(run, kind)
        tokens_before, tokens_now, maps_before, maps_now = (
            answer(asked)
            for asked in (NEXT_TOKEN, patterns)
            for answer in (self.session.answer_before, self.session.answer)
        )
        state = (kind.name, tokens_before, tokens_now, maps_before, maps_now)
        if self._drawn_changes is not None and all(
            new is old for new, old in zip(state, self._drawn_changes, strict=True)
        ):
            return
        self._drawn_changes = state
        for part in (self.changed_title, self.changed):
            part.setVisible(has_mask(kind) or self.session.before is not None)
        self._draw_tokens(tokens_before, tokens_now)
        self._draw_heads(run, kind, maps_before, maps_now)
        self._rest.setVisible(self.bars.isHidden() and self.heads.isHidden())

    def _draw_tokens(self, before: Answer | None, now: Answer | None) -> None:
        scene = self.session.before
        self.bars.setVisible(before is not None and now is not None)
        if scene is None:
            self.changed_title.setText(rich("<b>{title}</b>", title=tr("What a switch changes")))
            self.changed.setText(
                tr(
                    "Turn a switch: the next-token probabilities before and after, and the heads whose attention "
                    "moved most, will be listed here."
                )
            )
            return
        self.changed_title.setText(
            rich("<b>{title}</b>", title=what_changed(scene.edits, self.session.shown.edits))
        )
        if before is None or now is None:
            self.changed.setText(
                tr(
                    "The probabilities before the change were not on screen; turn the switch again to compare."
                )
            )
            return
        changes = token_changes(before, now)
        self.changed.setText(
            most_changed(changes, float(before["probabilities"][-1]), float(now["probabilities"][-1]))
        )
        count = len(before["ids"])
        self.bars.show_bars(
            [
                Bar(
                    label=change.text,
                    value=change.now,
                    text=percent(change.now),
                    before=change.before,
                    climbed=change.climbed,
                    tip=""
                    if change.before is not None
                    else tr("was not among the {count} likeliest").format(count=count),
                )
                for change in changes
                if change.now is not None
            ]
        )

    def _draw_heads(
        self, run: Answer, kind: AttentionKind, before: Answer | None, now: Answer | None
    ) -> None:
        compared = self.session.before is not None and before is not None and now is not None
        self.heads.setVisible(compared)
        self.heads_title.setVisible(self.session.before is not None)
        if before is None or now is None:
            self.heads_title.setText(
                tr("This prompt is too long to compare the attention of every head.")
                if not comparable(run, kind)
                else tr(
                    "The patterns before the change were not on screen; turn the switch again to compare."
                )
            )
            return
        moved = moved_attention(before["maps"], now["maps"])
        if not np.isfinite(moved).all():
            self.heads_title.setText(tr("The patterns cannot be compared: some are not numbers (NaN)."))
            self.heads.hide()
            return
        order = np.argsort(-moved, axis=None, kind="stable")
        self._ranked = [(int(n) // moved.shape[1], int(n) % moved.shape[1]) for n in order]
        self.heads_title.setText(
            tr("Heads by the share of a token's attention that moved, on average over the tokens")
            if moved.any()
            else tr("The attention of no head moved.")
        )
        self.heads.setVisible(bool(moved.any()))
        self.heads.show_bars(
            [
                Bar(
                    f"L{layer} H{head}",
                    float(moved[layer, head]),
                    percent(float(moved[layer, head])),
                    tip=tr("layer {layer}, head {head}: click to see it").format(layer=layer, head=head),
                )
                for layer, head in self._ranked
            ]
        )

    def _focus_ranked(self, row: int) -> None:
        layer, head = self._ranked[row]
        self.session.select(layer=layer, head=head)
