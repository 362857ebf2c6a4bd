"""Every head of a kind of attention, small."""

from collections.abc import Sequence

import numpy as np
from model_core.api.edits import Edit
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from numpy.typing import NDArray

from explorer_app.panel.head_panel import line
from explorer_app.panel.head_roles import Heads, RoleBar, arranged, head_name, role_title, score_words
from explorer_app.panels.attention.stages import Stage, head_marks, scale_words, without_partners_hidden
from explorer_app.state.session import Session
from explorer_app.widgets.maps.colours import colour_limits
from explorer_app.widgets.maps.thumbnails import ThumbnailGrid
from explorer_app.widgets.plain import tip
from explorer_app.widgets.veil import Veil
from explorer_app.words.attention_text import (
    overview_query,
)
from explorer_app.words.engine_words import late_words
from explorer_app.words.text import tr


class Overview:
    """The grid of heads, in the order of their layers or of a role's scores, with a title that says their scale."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._drawn: list[object] = []
        self.heads: Heads = []
        """The heads in the order in which they are shown, `_across` in a row."""
        self._across = 1
        self.title = line()
        self.title.setToolTip(
            tip(
                tr(
                    "What the colours of the small maps stand for. A scale of its own, about zero, "
                    "for each head's scores; one for all of their patterns."
                )
            )
        )
        self.roles = RoleBar()
        self.grid = ThumbnailGrid()
        self.veil = Veil(self.grid)

    def queries(self, word: str, kind: AttentionKind) -> list[Query]:
        """What it draws for a stage's word."""
        roles = self.roles.query(kind)
        # Scores come before the maps that they colour.
        return [*([roles] if roles else []), overview_query(word, kind)]

    def draw(self, stage: Stage, kind: AttentionKind) -> None:
        """Draw what is answered, if that is new, and frame the head in focus."""
        session = self._session
        self.roles.offer(kind)
        overview = session.answer(overview_query(stage.word, kind))
        asked = self.roles.query(kind)
        roles = session.answer(asked) if asked else None
        self._show_age(overview)
        new: list[object] = [overview, roles, self.roles.name, self.roles.sort.isChecked()]
        if overview is not None and new != self._drawn:
            self._drawn = new
            self._draw_maps(stage, overview, roles, kind)
        focus = session.selection.layer, session.selection.head
        if focus in self.heads:
            self.grid.set_focus(*self.cell(*focus))

    def mark(self, edits: Sequence[Edit], kind: AttentionKind) -> None:
        """Mark the heads that edits changed."""
        signs, notes = head_marks(edits, kind)
        self.grid.set_marks(
            *(
                {self.cell(*head): says for head, says in marks.items() if head in self.heads}
                for marks in (signs, notes)
            )
        )

    def cell(self, layer: int, head: int) -> tuple[int, int]:
        """Where a head is shown."""
        return divmod(self.heads.index((layer, head)), self._across)

    def head_at(self, row: int, col: int) -> tuple[int, int]:
        """The (layer, head) that is shown there."""
        return self.heads[row * self._across + col]

    def _show_age(self, overview: Answer | None) -> None:
        """Dim the heads of another run than that of the map until theirs have come."""
        if overview is None and self._drawn:
            self.veil.cover(late_words(self._session) or tr("Out of date"))
        else:
            self.veil.lift()

    def _draw_maps(self, stage: Stage, overview: Answer, roles: Answer | None, kind: AttentionKind) -> None:
        maps = overview["maps"]
        limits: tuple[float, float] | NDArray[np.float64] = colour_limits(maps, "sequential", None)
        differs = self._session.compared == "B−A"
        if differs:
            maps = without_partners_hidden(maps)
        if stage.word != "pattern" or differs:
            # One head's scores may reach ten times as far as another's, whose map would be blank on a scale for both.
            limits = np.array([[colour_limits(map_, "symmetric", None) for map_ in row] for row in maps])
        scores = None if roles is None else roles[self.roles.name]
        self.heads, self._across = self.roles.heads(scores, kind), kind.heads
        ordered = self.heads == sorted(self.heads)
        self.grid.show_maps(
            arranged(maps, self.heads),
            [
                tr("layer {n}").format(n=n) if ordered else f"{n * kind.heads + 1}."
                for n in range(kind.layers)
            ],
            [tr("head {n}").format(n=n) if ordered else "" for n in range(kind.heads)],
            limits=limits if isinstance(limits, tuple) else arranged(limits, self.heads),
            signed=stage.word != "pattern" or differs,
            size=(overview["size"][0], overview["size"][1]),
        )
        if roles is None or scores is None:
            self.grid.set_scores(None)
        else:
            self.roles.show_source(roles)
            names = [] if ordered else [head_name(head) for head in self.heads]
            title, placed = role_title(self.roles.name), arranged(scores, self.heads)
            self.grid.set_scores(placed, names, title, score_words)
        self.title.setText(scale_words(limits))
