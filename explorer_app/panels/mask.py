"""Who may look at whom: the mask as the model used it, a switch for it, and what switching it changed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from model_core.edits import MaskOff
from model_core.queries import Answer, Query, query
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from explorer_app.attention_text import (
    OVERVIEW_SIDE,
    known_edits,
    map_query,
    mask_is_off,
    overview_query,
    token_labels,
    token_name,
)
from explorer_app.foreseen import percent
from explorer_app.head_panel import Floats, HeadPanel, beside, column, line
from explorer_app.panels import Answers, panel
from explorer_app.session import RUN, Session
from explorer_app.text import tr
from explorer_app.widgets.bars import Bar, BarList
from explorer_app.widgets.blanks import visible_blanks

NEXT_TOKEN = query("next_token", k=40)
COMPARED_CELLS = 4 << 20


# What the cells say


def cell_sentence(allowed: bool, labels: Sequence[str], row: int, col: int) -> str:
    """“·cat” may not look at “·sat”, which comes later."""
    looks = token_name(labels, row)
    at = tr("itself") if row == col else token_name(labels, col)
    text = tr("{query} may look at {key}") if allowed else tr("{query} may not look at {key}")
    return text.format(query=looks, key=at) + (tr(", which comes later") if col > row else "")


def mask_title(values: Floats, layer: int, head: int) -> tuple[str, str]:
    """The head, and how many of its cells are allowed."""
    allowed, every = int((~np.isneginf(values)).sum()), values.size
    text = (
        tr("all {all} cells allowed")
        if allowed == every
        else tr("{allowed} of {all} cells allowed, the hatched ones hidden")
    ).format(allowed=f"{allowed:,}", all=f"{every:,}")
    return tr("layer {layer} · head {head}").format(layer=layer, head=head), text


# The switch


def within_scope(edit: MaskOff, scope: MaskOff) -> bool:
    """Whether an edit takes the mask from heads of this scope only."""
    return scope.layer in (None, edit.layer) and scope.head in (None, edit.head)


def causal_state(edits: Iterable[str], scope: MaskOff, layers: int, heads: int) -> Qt.CheckState:
    """Whether the mask is in force for all heads of the scope, for some, or for none."""
    known = known_edits(edits)
    cells = [
        (layer, head)
        for layer in (range(layers) if scope.layer is None else [scope.layer])
        for head in (range(heads) if scope.head is None else [scope.head])
    ]
    off = sum(mask_is_off(known, *cell) for cell in cells)
    if off == 0:
        return Qt.CheckState.Checked
    return Qt.CheckState.Unchecked if off == len(cells) else Qt.CheckState.PartiallyChecked


def switched(edits: Iterable[str], scope: MaskOff, on: bool) -> tuple[str, ...]:
    """The edits with the mask on or off in a scope; what took it off in parts of the scope goes either way."""
    kept = tuple(
        text
        for text in edits
        if not any(isinstance(e, MaskOff) and within_scope(e, scope) for e in known_edits([text]))
    )
    return kept if on else (*kept, str(scope))


def wider_edit(edits: Iterable[str], scope: MaskOff) -> MaskOff | None:
    """The edit that takes the mask off in more than this scope, and so decides over it."""
    for edit in known_edits(edits):
        if isinstance(edit, MaskOff) and edit != scope and within_scope(scope, edit):
            return edit
    return None


# What it changed


@dataclass(frozen=True)
class Change:
    """A next token, its probability before and now; None where it was not among the likeliest that are listed."""

    text: str
    before: float | None
    now: float | None
    climbed: int | None


def token_changes(before: Answer, now: Answer) -> list[Change]:
    """Every token that is listed before or now: those of now first, likeliest first."""
    old = {id: rank for rank, id in enumerate(before["ids"])}
    changes = [
        Change(
            visible_blanks(text),
            float(before["probabilities"][old[id]]) if id in old else None,
            float(now["probabilities"][rank]),
            old[id] - rank if id in old else None,
        )
        for rank, (id, text) in enumerate(zip(now["ids"], now["strings"], strict=True))
    ]
    gone = [
        Change(visible_blanks(text), float(before["probabilities"][rank]), None, None)
        for rank, (id, text) in enumerate(zip(before["ids"], before["strings"], strict=True))
        if id not in now["ids"]
    ]
    return changes + gone


def most_changed(changes: Sequence[Change], floor_before: float, floor_now: float) -> str:
    """“·the” 12.0 % → 31.0 %. The floors are the least probabilities listed: what is not listed is below them."""

    def size(change: Change) -> float:
        was = floor_before if change.before is None else change.before
        is_ = floor_now if change.now is None else change.now
        return abs(is_ - was)

    def say(share: float | None, floor: float) -> str:
        return tr("under {share}").format(share=percent(floor)) if share is None else percent(share)

    change = max(changes, key=size)
    if size(change) == 0:
        return tr("The likeliest next tokens stayed exactly as they were.")
    return tr("Most changed: “{token}” {before} → {now}").format(
        token=change.text, before=say(change.before, floor_before), now=say(change.now, floor_now)
    )


def compared_side(layers: int, heads: int) -> int:
    """How long a prompt may be so that the patterns of all heads, before and now, are compared cell by cell."""
    return math.isqrt(COMPARED_CELLS // (layers * heads))


def patterns_query(run: Answer) -> Query:
    """All patterns, whole where possible; short prompts share the answer with the attention panel."""
    if len(run["tokens"]) <= OVERVIEW_SIDE:
        return overview_query("pattern")
    return query("overview", word="pattern", side=compared_side(run["layers"], run["heads"]))


def moved_attention(before: Floats, now: Floats) -> NDArray[np.float64]:
    """[L H]: the share of a token's attention that went elsewhere, the mean over all tokens; maps [L H T S].

    Half the sum of absolute differences along a row: the total variation distance of two distributions.
    """
    moved: NDArray[np.float64] = np.abs(now - before).sum(-1, dtype=np.float64).mean(-1) / 2
    return moved


def what_changed(before: Iterable[str], now: Iterable[str]) -> str:
    """The title of the comparison: which edit came, or went."""
    before, now = set(before), set(now)
    come, gone = sorted(now - before), sorted(before - now)
    if come and not gone:
        return tr("What “{edits}” changed").format(edits=", ".join(come))
    if gone and not come:
        return tr("What taking back “{edits}” changed").format(edits=", ".join(gone))
    return tr("What the last change of the edits did")


@panel("mask", "Mask", area="centre", order=20)
class Mask(HeadPanel):
    """Point to read a cell, click to lock it, Escape to unlock; the switches run the model again."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._drawn_changes: tuple[Answer | None, ...] | None = None

        self._title = line()
        self.switches = [QCheckBox() for _ in range(3)]
        for switch, slot in zip(
            self.switches, (self._switch_all, self._switch_layer, self._switch_head), strict=True
        ):
            switch.clicked.connect(slot)
        self.in_force = line(wrap=True)
        self.changed_title = line(wrap=True)
        self.changed = line(wrap=True)
        self.bars = BarList("output")
        self.heads_title = line(wrap=True)
        self.heads = BarList("query")
        self.heads.clicked.connect(self._focus_ranked)
        self._ranked: list[tuple[int, int]] = []

        self._rest = QWidget()
        side = column(
            line(tr("<b>Causal mask</b>: no token looks at later ones")),
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
        layout.addWidget(beside(column(self._title, self.heatmap), side, 60))

    # Asking and drawing

    def needs(self) -> list[Query]:
        return [map_query(self.session, "mask")]

    def wanted(self) -> list[Query]:
        """The mask at once; what a switch will be compared with may come a moment later."""
        wanted, run = super().wanted(), self.session.run
        if not wanted:
            return []
        if run is None:
            return [*wanted, NEXT_TOKEN, overview_query("pattern")]
        comparable = len(run["tokens"]) <= compared_side(run["layers"], run["heads"])
        return [*wanted, NEXT_TOKEN, *([patterns_query(run)] if comparable else [])]

    def draw(self, answers: Answers) -> None:
        run, answer = answers[RUN], answers[map_query(self.session, "mask")]
        self.draw_map(run, answer)
        self._say_switches(run)
        self._draw_changes(run)

    def draw_head(self, run: Answer, values: Floats) -> None:
        labels = token_labels(run)

        def describe(row: int, col: int) -> str:
            return cell_sentence(not np.isneginf(values[row, col]), labels, row, col)

        self.heatmap.show_matrix(
            values,
            labels,
            labels,
            row_title=tr("who looks (query)"),
            col_title=tr("at whom (key)"),
            limits=(-0.12, 1.0),  # a light tint for what is allowed: its 0 is the one value here
            describe=describe,
            bar=False,
        )
        name, count = mask_title(values, self.session.selection.layer, self.session.selection.head)
        self._title.setText(f"<b>{name}</b> &nbsp; {count}")

    # The switch

    def _scopes(self) -> tuple[MaskOff, MaskOff, MaskOff]:
        selection = self.session.selection
        return MaskOff(), MaskOff(selection.layer), MaskOff(selection.layer, selection.head)

    def _say_switches(self, run: Answer) -> None:
        edits, layers, heads = self.session.scene.edits, run["layers"], run["heads"]
        scopes = self._scopes()
        texts = (
            tr("in all layers"),
            tr("in layer {layer}").format(layer=scopes[1].layer),
            tr("in head {head} of layer {layer}").format(layer=scopes[2].layer, head=scopes[2].head),
        )
        for switch, scope, text in zip(self.switches, scopes, texts, strict=True):
            wider = wider_edit(edits, scope)
            switch.setText(text)
            switch.setCheckState(causal_state(edits, scope, layers, heads))
            switch.setEnabled(wider is None)
            switch.setToolTip(
                tr("“{edit}” decides over this one: turn the mask on there first").format(edit=wider)
                if wider
                else tr("Off: every token looks at all others (“{edit}”)").format(edit=scope)
            )
        known = known_edits(edits)
        off = sum(mask_is_off(known, *cell) for cell in np.ndindex(layers, heads))
        by = ", ".join(f"“{edit}”" for edit in known if isinstance(edit, MaskOff))
        self.in_force.setText(
            tr("In force in all {all} heads.").format(all=layers * heads)
            if off == 0
            else tr("Off in {off} of {all} heads, by {edits}.").format(off=off, all=layers * heads, edits=by)
        )

    def _switch(self, scope: MaskOff) -> None:
        run = self.session.run
        if run is None:
            return
        edits = self.session.scene.edits
        on = causal_state(edits, scope, run["layers"], run["heads"]) != Qt.CheckState.Checked
        self.session.change(edits=switched(edits, scope, on))
        self._say_switches(run)

    def _switch_all(self) -> None:
        self._switch(self._scopes()[0])

    def _switch_layer(self) -> None:
        self._switch(self._scopes()[1])

    def _switch_head(self) -> None:
        self._switch(self._scopes()[2])

    # What it changed

    def _draw_changes(self, run: Answer) -> None:
        patterns = patterns_query(run)
        state = tuple(
            answer(asked)
            for asked in (NEXT_TOKEN, patterns)
            for answer in (self.session.answer_before, self.session.answer)
        )
        if self._drawn_changes is not None and all(
            new is old for new, old in zip(state, self._drawn_changes, strict=True)
        ):
            return
        self._drawn_changes = state
        tokens_before, tokens_now, maps_before, maps_now = state
        self._draw_tokens(tokens_before, tokens_now)
        self._draw_heads(run, maps_before, maps_now)
        self._rest.setVisible(self.bars.isHidden() and self.heads.isHidden())

    def _draw_tokens(self, before: Answer | None, now: Answer | None) -> None:
        scene = self.session.before
        self.bars.setVisible(before is not None and now is not None)
        if scene is None:
            self.changed_title.setText("<b>" + tr("What a switch changes") + "</b>")
            self.changed.setText(
                tr(
                    "Turn a switch: the next-token probabilities before and after, and the heads whose attention "
                    "moved most, will be listed here."
                )
            )
            return
        self.changed_title.setText(f"<b>{what_changed(scene.edits, self.session.shown.edits)}</b>")
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

    def _draw_heads(self, run: Answer, before: Answer | None, now: Answer | None) -> None:
        compared = self.session.before is not None and before is not None and now is not None
        self.heads.setVisible(compared)
        self.heads_title.setVisible(self.session.before is not None)
        if before is None or now is None:
            self.heads_title.setText(
                tr("This prompt is too long to compare the attention of every head.")
                if len(run["tokens"]) > compared_side(run["layers"], run["heads"])
                else tr(
                    "The patterns before the change were not on screen; turn the switch again to compare."
                )
            )
            return
        moved = moved_attention(before["maps"], now["maps"])
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
