"""What a person looks at: the layer, head, step and tokens in focus, and what the pointer rests on."""

from dataclasses import replace
from typing import Any

from model_core.api.names import AttentionKind, layer_of
from model_core.api.scene import Scene
from psygnal import Signal

from explorer_app.state.focus import (
    Cursor,
    Role,
    block_at,
    cursor_at,
    kind_named,
    kinds_of,
    place_of,
    seen_from,
    stack_at,
    token_of,
)
from explorer_app.state.known import Compared, Known
from explorer_app.state.selection import Selection


class Looking(Known):
    """Which scene is on screen, the selection, which stays within its run, and the tokens under the pointer."""

    selection_changed = Signal(Selection)
    hovered_changed = Signal(object)
    compared_changed = Signal(str)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.selection = Selection()
        self.pointed = Cursor()

    def pin_baseline(self) -> None:
        """Compare with the scene on screen from now on; nothing where no run of it is known."""
        if self.run is not None:
            self._pin(self.shown)

    def unpin_baseline(self) -> None:
        """Compare no more."""
        self._pin(None)

    def _pin(self, scene: Scene | None) -> None:
        if scene != self.baseline:
            self.baseline, self.refused = scene, {}
            self._differences.clear()
            self.store.pin([] if scene is None else [scene])
            self.baseline_changed.emit(scene)
            if self.compared != "B":
                self._look("B")

    def compare(self, what: Compared) -> None:
        """Look at the scene that is shown (B), the baseline (A), or their difference; nothing without a baseline."""
        if self.baseline is not None and what != self.compared:
            self._look(what)

    def _look(self, what: Compared) -> None:
        self.compared = what
        self.clamp()
        self.compared_changed.emit(what)

    @property
    def attention(self) -> AttentionKind | None:
        """The kind of attention in focus, None before a run."""
        return self.kind(self.selection.stack)

    def select(self, **fields: Any) -> None:
        """Move the selection. Numbers beyond the model's are brought back to its edge.

        Another kind of attention keeps those of the locked tokens that it has as well. Where a token is locked, what
        the pointer rests on is no longer shown in its place.
        """
        kinds, stack = self.kinds, fields.get("stack", self.selection.stack)
        if kinds and stack != self.selection.stack:
            of, onto = (kind_named(kinds, name) for name in (self.selection.stack, stack))
            query, key = seen_from(self.selection.cursor, of, onto)
            fields = {"query": query, "key": key, **fields}
        before = self.selection.cursor
        self._set(self._clamped(replace(self.selection, **fields)))
        if self.selection.cursor != before:
            self.hover(None)

    def go_to(self, site: str) -> None:
        """Move every panel to a site: its step, and its layer where it lies in one."""
        keys = [s["key"] for s in self.sites]
        if site in keys:
            self.go_to_step(keys.index(site))

    def go_to_step(self, step: int) -> None:
        """Move every panel to a step of the forward pass; beyond an end is that end."""
        sites = self.sites
        if sites:
            step = min(max(step, 0), len(sites) - 1)
            key = sites[step]["key"]
            layer = layer_of(key)
            stack = stack_at(key, self.kinds, self.selection.stack)
            self.select(step=step, site=key, stack=stack, **({} if layer is None else {"layer": layer}))

    def hover(self, query: int | None, key: int | None = None, stack: str | None = None) -> None:
        """The token positions under the pointer: previewed everywhere, locked by a click."""
        self._point(Cursor(query, key, self.selection.stack if stack is None else stack))

    def _point(self, cursor: Cursor) -> None:
        """Point at the tokens of a cursor that the texts on screen have; what was pointed at may be longer gone."""
        kind = next((kind for kind in self.kinds if kind.name == cursor.stack), None)
        query = None if kind is None else self._there(cursor.query, kind.queries)
        key = None if kind is None else self._there(cursor.key, kind.keys)
        pointed = Cursor() if query is None and key is None else Cursor(query, key, cursor.stack)
        if pointed != self.pointed:
            self.pointed = pointed
            self.hovered_changed.emit(self.hovered)

    def _there(self, position: int | None, text: int) -> int | None:
        """A position that a text on screen has, else None."""
        within = position is not None and 0 <= position < len(self.texts[text]["tokens"])
        return position if within else None

    def hover_token(self, text: int, position: int | None, role: Role = "query") -> None:
        """A token of one of the texts is under the pointer."""
        at = cursor_at(self.kinds, self.selection.stack, text, position, role) if self.kinds else {}
        query, key, stack = (at.get(name) for name in ("query", "key", "stack"))
        self.hover(query, key, stack)  # type: ignore[arg-type]

    def select_token(self, text: int, position: int | None, role: Role = "query") -> None:
        """Lock a token of one of the texts."""
        if self.kinds:
            self.select(**cursor_at(self.kinds, self.selection.stack, text, position, role))

    @property
    def hovered(self) -> tuple[int | None, int | None]:
        """Query and key under the pointer, as the attention in focus shows them."""
        attention = self.attention
        if attention is None:
            return self.pointed.query, self.pointed.key
        return self.seen(self.pointed, attention)

    def seen(self, cursor: Cursor, onto: AttentionKind) -> tuple[int | None, int | None]:
        """Row and column at which a kind of attention shows the tokens of a cursor."""
        return seen_from(cursor, kind_named(self.kinds, cursor.stack), onto)

    def token(self, cursor: Cursor, text: int, role: Role = "query") -> int | None:
        """The position in a text that a cursor means, None where it means none there."""
        of = self.kind(cursor.stack)
        return None if of is None else token_of(cursor, of, text, role)

    def clamp(self) -> None:
        """Bring the selection within the run on screen; a token that is locked is free again where it has gone."""
        selection, kind = self.selection, self.attention
        if kind is not None:
            query, key = self._there(selection.query, kind.queries), self._there(selection.key, kind.keys)
            selection = replace(selection, query=query, key=key)
        self._set(self._clamped(selection))

    def _set(self, selection: Selection) -> None:
        if selection != self.selection:
            self.selection = selection
            self.selection_changed.emit(selection)

    def _clamped(self, selection: Selection) -> Selection:
        run = self.run
        if run is None:
            return selection
        kind = kind_named(kinds_of(run), selection.stack)
        lengths = [len(text["tokens"]) for text in run["texts"]]

        def token(position: int | None, text: int) -> int | None:
            return None if position is None else min(max(position, 0), lengths[text] - 1)

        sites = self.sites
        layer, step, site = min(max(selection.layer, 0), kind.layers - 1), selection.step, selection.site
        if sites and not (0 <= step < len(sites) and sites[step]["key"] == site):
            keys = [one["key"] for one in sites]
            step = place_of(keys, site, block_at(kind.name, layer), step)
            site = keys[step]
        return replace(
            selection,
            layer=layer,
            head=min(max(selection.head, 0), kind.heads - 1),
            query=token(selection.query, kind.queries),
            key=token(selection.key, kind.keys),
            step=step,
            site=site,
            stack=kind.name,
        )
