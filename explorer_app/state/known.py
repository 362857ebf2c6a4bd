"""What is known of the scenes: the one that was asked for, the one on screen, and the one that it is compared with."""

from collections.abc import Iterable
from typing import Any

from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from model_core.api.steps import unpack
from psygnal import Signal

from explorer_app.state.focus import kind_named, kinds_of
from explorer_app.state.store import RUN, SITES, Store


class Known:
    """Answers by scene, and what the run on screen says of its model.

    scene     what the person asked for, but for the edits that the model has no place for
    shown     the newest scene whose run has been answered: what every picture on screen shows
    baseline  a scene that is pinned, for all others to be compared with; None where there is none
    refused   why the baseline has no answer to a query; the engine says it once
    """

    baseline_changed = Signal(object)

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.shown = scene
        self.before: Scene | None = None
        self.baseline: Scene | None = None
        self.refused: dict[Query | None, str] = {}
        self.store = Store()
        self._unpacked: tuple[Answer | None, list[int], list[dict[str, Any]]] = None, [], []

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
