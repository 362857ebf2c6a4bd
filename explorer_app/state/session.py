"""The state of the window, without Qt: what is run, what is selected, what the engine answered.

Panels write to it and read from it, never to each other:

    session.change(prompt="...")          a new scene; its answers are asked for by whoever listens to `scene_changed`
    session.select(layer=3, head=2)       the one selection that every panel follows
    session.answer(query)                 what is known for the scene that is shown, or None
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from model_core.api.edits import toggled
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from model_core.api.stamp import stamp
from psygnal import Signal

from explorer_app.state.asked_edits import AskedEdits
from explorer_app.state.focus import (
    block_at,
    kinds_of,
    moved,
)
from explorer_app.state.looking import Looking
from explorer_app.state.own_texts import FIELDS, OwnTexts, Texts, task_of, texts_of
from explorer_app.state.store import RUN
from explorer_app.state.training import Training


class Session(Looking):
    """One window's state. Every change of it is told by a signal; an equal value tells nothing.

    stale   why `shown` is not `scene`: the message that stands, or what the engine has been busy with for a while;
            "" where they are one, and while an answer may still come at once
    engine  "starting", "ready", "running" or "stopped"
    training  the one that runs beside the window
    """

    scene_changed = Signal(Scene)
    shown_changed = Signal(Scene)
    stale_changed = Signal(str)
    edits_changed = Signal(tuple)
    answered = Signal(Query)
    message_changed = Signal(str)
    engine_changed = Signal(str)
    progress_changed = Signal(str, float)
    greeted = Signal(dict)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.stale = ""
        self.own = OwnTexts(texts_of(scene))
        self._edits = AskedEdits(scene.edits)
        self._tasks: dict[tuple[str, tuple[str, ...]], str] = {}
        self._focus: tuple[str, dict[str, Any]] = ("", {})
        self.message = ""
        self.fix: dict[str, Any] = {}
        self.asks: list[dict[str, Any]] = []
        self.engine = "starting"
        self.progress: tuple[str, float] = ("", 1.0)
        self.needs = ""
        self.greeting: dict[str, Any] = {}
        self.training = Training()

    def change(self, **fields: Any) -> None:
        """Ask for another scene: `change(prompt="...")`; `change(edits=("mask off",))`, all that there are to be."""
        self.own.typed(fields)
        self._edits.asked = tuple(fields.pop("edits", self._edits.asked))
        if "prompt" in fields:
            fields["ids"] = ()  # a text is typed
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

        Nothing where another scene is asked for already, or the baseline looked at: the text was predicted for another.
        """
        run, shown = self.run, self.shown
        if run is None or shown != self.scene or self.compared == "A":
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

    # Tokens: positions are those of the attention in focus, unless a text or another kind is named.

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
