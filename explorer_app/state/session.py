"""The state of the window, without Qt: what is run, what is selected, what the engine answered.

Panels write to it and read from it, never to each other:

    session.change(prompt="...")          a new scene; its answers are asked for by whoever listens to `scene_changed`
    session.select(layer=3, head=2)       the one selection that every panel follows
    session.answer(query)                 what is known for the scene that is shown, or None
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from model_core.api.edits import toggled
from model_core.api.names import AttentionKind, layer_of
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from model_core.api.stamp import stamp
from model_core.api.steps import unpack
from psygnal import Signal

from explorer_app.state.asked_edits import AskedEdits
from explorer_app.state.focus import (
    Cursor,
    Role,
    block_at,
    cursor_at,
    kind_named,
    kinds_of,
    moved,
    place_of,
    seen_from,
    stack_at,
    token_of,
)
from explorer_app.state.own_texts import FIELDS, OwnTexts, Texts, task_of, texts_of
from explorer_app.state.selection import Selection
from explorer_app.state.store import RUN, SITES, Store
from explorer_app.state.training import Training


class Session:
    """One window's state. Every change of it is told by a signal; an equal value tells nothing.

    scene   what the person asked for, but for the edits that the model has no place for
    shown   the newest scene whose run has been answered: what every picture on screen shows
    stale   why `shown` is not `scene`: the message that stands, or what the engine has been busy with for a while;
            "" where they are one, and while an answer may still come at once
    baseline  a scene that is pinned, for all others to be compared with; None where there is none
    refused   why the baseline has no answer to a query; the engine says it once
    engine  "starting", "ready", "running" or "stopped"
    training  the one that runs beside the window
    """

    scene_changed = Signal(Scene)
    shown_changed = Signal(Scene)
    stale_changed = Signal(str)
    baseline_changed = Signal(object)
    edits_changed = Signal(tuple)
    selection_changed = Signal(Selection)
    hovered_changed = Signal(object)
    answered = Signal(Query)
    message_changed = Signal(str)
    engine_changed = Signal(str)
    progress_changed = Signal(str, float)
    greeted = Signal(dict)

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.shown = scene
        self.before: Scene | None = None
        self.baseline: Scene | None = None
        self.refused: dict[Query | None, str] = {}
        self.stale = ""
        self.own = OwnTexts(texts_of(scene))
        self._edits = AskedEdits(scene.edits)
        self._tasks: dict[tuple[str, tuple[str, ...]], str] = {}
        self._focus: tuple[str, dict[str, Any]] = ("", {})
        self.selection = Selection()
        self.pointed = Cursor()
        self.store = Store()
        self.message = ""
        self.fix: dict[str, Any] = {}
        self.asks: list[dict[str, Any]] = []
        self.engine = "starting"
        self.progress: tuple[str, float] = ("", 1.0)
        self.needs = ""
        self.greeting: dict[str, Any] = {}
        self.training = Training()
        self._unpacked: tuple[Answer | None, list[int], list[dict[str, Any]]] = None, [], []

    def change(self, **fields: Any) -> None:
        """Ask for another scene: `change(prompt="...")`; `change(edits=("mask off",))`, all that there are to be."""
        self.own.typed(fields)
        self._edits.asked = tuple(fields.pop("edits", self._edits.asked))
        self._ask_for(replace(self.scene, **fields))

    def _ask_for(self, scene: Scene) -> None:
        """Another scene, with those of the edits that its model has a place for."""
        edits, suspended = self.scene.edits, self.suspended
        scene = replace(scene, edits=self._edits.fitting(scene.shape))
        if scene != self.scene:
            self.scene = scene
            self.tell("")
            self.scene_changed.emit(scene)
            self.reveal()
        if (edits, suspended) != (self.scene.edits, self.suspended):
            self.edits_changed.emit(self.edits)
        self._age()

    def open(self, model: str, config: Sequence[str] = ()) -> None:
        """Ask for a model, as its files are now; the present one stays on screen until the new one works.

        It reads what the person typed for models of its kind, however much of it another one could read; where they
        typed nothing, the example of what it learned. When a preset comes on screen, the head that shows best what it
        learned is in focus.
        """
        facts = {} if model == self.shown.model else self.greeting.get("presets", {}).get(model, {})
        self._focus = model, dict(facts.get("focus", {}))
        self._open(replace(self.scene, model=model, config=tuple(config), version=stamp(model)))

    def _open(self, scene: Scene) -> None:
        presets, name = self.greeting.get("presets", {}), scene.shape[0]
        known = task_of(name, presets, self.training.specs)
        self.own.turn_to(self._tasks.get(scene.shape) or known or self.own.task, name, presets)
        self._ask_for(replace(scene, **self.own.for_model(scene.shape)))

    def mend(self) -> None:
        """Change what would help, as the message offers. A text is changed for this model alone."""
        if texts := {field: text for field, text in self.fix.items() if field in FIELDS}:
            self.own.cut(self.scene.shape, texts_of(self.scene) | texts)
        self._ask_for(replace(self.scene, **self.fix))

    def append(self, text: str) -> None:
        """Put a text at the end of what the run on screen goes on with: the prompt, or what the decoder reads.

        Nothing where another scene is asked for already: the text was foreseen for this one.
        """
        run, shown = self.run, self.shown
        if run is None or shown != self.scene:
            return
        if len(self.texts) == 1:
            self.change(prompt=shown.prompt + text)
        else:
            # Given nothing, a decoder reads what is put before every text, else what the encoder reads.
            self.change(target=(shown.target or ("" if run["prefix"] else shown.prompt)) + text)

    # Edits

    @property
    def edits(self) -> tuple[str, ...]:
        """Every edit that was asked for, in order, the suspended ones among them."""
        return self._edits.asked

    @property
    def suspended(self) -> dict[str, str]:
        """The edits that the model that is asked for has no place for, and why. They come back with one that has."""
        return self._edits.suspended

    def why_not(self, edit: str) -> str:
        """Why an edit cannot be added; "" where nothing is known to speak against it."""
        return self._edits.why_not(edit, self.scene.shape)

    def toggle_edit(self, edit: str) -> None:
        """Add an edit, or remove it."""
        self.change(edits=toggled(self.edits, edit))

    def refuse(self, scene: Scene, edits: Mapping[str, str]) -> bool:
        """The engine cannot make these edits of a scene: ask without them. False where nobody asked for any of them."""
        self._edits.refuse(scene.shape, edits)
        self._ask_for(self.scene)
        return bool(self.suspended.keys() & edits.keys())

    def take(self, scene: Scene, asked: Query, answer: Answer, *, stored: bool = False) -> None:
        """Keep an answer of the engine, or a `stored` one; if it is of the present scene, it is shown."""
        self.store.put(scene, asked, answer, stored=stored)
        if asked == RUN:
            self._learn(scene, answer)
        if scene == self.scene:
            self.reveal()
        # It may be of the run on screen, whatever is asked for meanwhile.
        self.clamp()
        if scene in (self.scene, self.baseline):
            self.answered.emit(asked)

    def _learn(self, scene: Scene, run: Answer) -> None:
        """Note what kinds of attention the model has that was run, and what it does with a text."""
        self._edits.learn(scene.shape, kinds_of(run))
        texts: Texts = {}
        if task := run.facts.get("task"):
            self._tasks[scene.shape] = task
            if scene == self.scene and task != self.own.task:
                self.own.turn_out(task, texts_of(scene))
                texts = self.own.for_model(scene.shape)
        self._ask_for(replace(self.scene, **texts))

    def reveal(self) -> None:
        """Show the present scene as soon as its run is known."""
        if self.shown == self.scene or self.store.get(self.scene, RUN) is None:
            return
        # What an edit changed is read against the same prompt without it.
        same_text = replace(self.shown, edits=()) == replace(self.scene, edits=())
        self.before = self.shown if same_text and self.scene.edits else None
        self.shown = self.scene
        self.clamp()
        self._age()
        model, focus = self._focus
        if model == self.shown.model:
            self._focus = "", {}
            if focus:
                block = block_at(focus["stack"], focus["layer"])
                self.select(**focus, site=moved(self.selection.site, block, focus["stack"]))
        self._point(self.pointed)
        self.shown_changed.emit(self.shown)

    @property
    def why_late(self) -> str:
        """What keeps an answer away: the message that stands, or what the engine has been busy with for a while."""
        what, share = self.progress
        return self.message or (what if share < 1.0 else "")

    def _age(self) -> None:
        """Note whether what is shown is out of date; while it is, the last reason stays until there is another."""
        why = "" if self.shown == self.scene else self.why_late or self.stale
        if why != self.stale:
            self.stale = why
            self.stale_changed.emit(why)

    def answer(self, asked: Query) -> Answer | None:
        """What is known for the scene that is shown."""
        return self.store.get(self.shown, asked)

    def answer_before(self, asked: Query) -> Answer | None:
        """The same for the scene that was shown before an edit, None where the last change was no edit."""
        return self.store.get(self.before, asked) if self.before else None

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
            self.store.pin([] if scene is None else [scene])
            self.baseline_changed.emit(scene)

    def answer_of_baseline(self, asked: Query) -> Answer | None:
        """What is known for the scene that all are compared with."""
        return None if self.baseline is None else self.store.get(self.baseline, asked)

    def refuse_to_baseline(self, asked: Query | None, why: str) -> None:
        """The baseline has no answer to a query, or (None) to any."""
        self.refused[asked] = why
        self.baseline_changed.emit(self.baseline)

    def missing(self, queries: Iterable[Query], scene: Scene | None = None) -> list[Query]:
        """Those that the engine has not answered yet, once each, in order: for a scene, or the present one."""
        scene, store = scene or self.scene, self.store
        return [q for q in dict.fromkeys(queries) if store.get(scene, q) is None or store.is_stored(scene, q)]

    def requests(self, queries: Iterable[Query]) -> list[tuple[Scene, list[Query]]]:
        """What is to be asked about each scene: of the one that is wanted and of the baseline alike."""
        wanted = list(queries)
        scenes = dict.fromkeys([self.scene, *([self.baseline] if self.baseline else [])])
        return [(scene, asked) for scene in scenes if (asked := self.missing(wanted, scene))]

    @property
    def run(self) -> Answer | None:
        """Tokens, strings and the model's shape of the scene that is shown."""
        return self.answer(RUN)

    @property
    def kinds(self) -> list[AttentionKind]:
        """The kinds of attention of the model that is shown; none before its run is known."""
        run = self.run
        return [] if run is None else kinds_of(run)

    @property
    def attention(self) -> AttentionKind | None:
        """The kind of attention in focus, None before a run."""
        return self.kind(self.selection.stack)

    def kind(self, stack: str) -> AttentionKind | None:
        """The kind of attention of that name, None before a run."""
        kinds = self.kinds
        return kind_named(kinds, stack) if kinds else None

    @property
    def texts(self) -> list[dict[str, Any]]:
        """What the model that is shown reads: name, tokens and strings of each text."""
        run = self.run
        return [] if run is None else list(run["texts"])

    @property
    def sites(self) -> list[dict[str, Any]]:
        """The steps of the forward pass, in order; empty until the engine has said. The same list until they change."""
        answer, lengths = self.answer(SITES), [len(text["tokens"]) for text in self.texts]
        if answer is None or not lengths:
            return []
        if (answer, lengths) != self._unpacked[:2]:
            self._unpacked = answer, lengths, unpack(answer, lengths)
        return self._unpacked[2]

    def text_of(self, site: str, axis: str) -> int:
        """Which of the texts an axis ("T" or "S") of a site runs along; the last where nobody knows."""
        known = next((step for step in self.sites if step["key"] == site), None)
        last = max(len(self.texts) - 1, 0)
        return last if known is None else int(known["texts"].get(axis, last))

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

    # Tokens: positions are those of the attention in focus, unless a text or another kind is named.

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

    def go_back(self, message: str) -> None:
        """The model that was asked for cannot be had: ask for the one on screen again, and say why."""
        shown = self.shown
        if self.run is not None:
            model, config, device, dtype, version = shown.opened
            self._open(
                replace(self.scene, model=model, config=config, device=device, dtype=dtype, version=version)
            )
        self.tell(message)

    def tell(
        self, message: str, fix: dict[str, Any] | None = None, asks: list[dict[str, Any]] | None = None
    ) -> None:
        """One line for the person, by the prompt; "" takes it away.

        fix   a change of the scene that would help
        asks  what the files of the model do not say: name, default, about and kind of each
        """
        if (message, fix or {}, asks or []) != (self.message, self.fix, self.asks):
            self.message = message
            self.fix = fix or {}
            self.asks = asks or []
            self.message_changed.emit(message)
            self._age()

    def set_engine(self, state: str) -> None:
        if state != self.engine:
            self.engine = state
            self.engine_changed.emit(state)

    def set_progress(self, what: str, share: float, needs: str = "") -> None:
        """What the engine is doing, how much of it is done (1.0 when it is idle), and what memory it needs for it."""
        if (what, share, needs) != (*self.progress, self.needs):
            self.progress, self.needs = (what, share), needs
            self.progress_changed.emit(what, share)
            self._age()

    def greet(self, greeting: dict[str, Any]) -> None:
        if not self.greeting:
            self.own.task = (
                greeting.get("presets", {}).get(self.scene.shape[0], {}).get("task", self.own.task)
            )
        self.greeting = greeting
        self.greeted.emit(greeting)

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
