"""What is known of the scenes: the one that was asked for, the one on screen, and the one that it is compared with."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from model_core.api.steps import unpack
from psygnal import Signal

from explorer_app.state.alignment import Alignment, align
from explorer_app.state.difference import Incomparable, difference
from explorer_app.state.focus import kind_named, kinds_of
from explorer_app.state.store import RUN, SITES, Store

Compared = Literal["A", "B", "B−A"]


class Known:
    """Answers by scene, and what the run on screen says of its model.

    scene     what the person asked for, but for the edits that the model has no place for
    shown     the newest scene whose run has been answered: what every picture on screen shows
    baseline  a scene that is pinned, for all others to be compared with; None where there is none
    refused   why the baseline has no answer to a query; the engine says it once
    compared  what is on screen: the scene that is shown (B), the baseline (A), or what differs
    """

    baseline_changed = Signal(object)

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.shown = scene
        self.before: Scene | None = None
        self.baseline: Scene | None = None
        self.refused: dict[Query | None, str] = {}
        self.compared: Compared = "B"
        self._differences: dict[Query, tuple[Answer, Answer, tuple[Answer | None, str]]] = {}
        self.store = Store()
        self._unpacked: tuple[Answer | None, list[int], list[dict[str, Any]]] = None, [], []

    def answer(self, asked: Query) -> Answer | None:
        """What is known for the scene on screen; while differences are on screen, B − A, None where there is none."""
        b = self.answer_of(self.viewed, asked)
        if self.compared != "B−A" or asked.of_the_model or asked == RUN:
            return b
        a = self.answer_of_baseline(asked)
        return None if a is None or b is None else self._difference(asked, b, a)[0]

    def answer_of(self, scene: Scene, asked: Query) -> Answer | None:
        """What is known for a scene."""
        return self.store.get(scene, asked)

    def _difference(self, asked: Query, b: Answer, a: Answer) -> tuple[Answer | None, str]:
        known = self._differences.get(asked)
        if known is None or known[0] is not b or known[1] is not a:
            try:
                found: tuple[Answer | None, str] = difference(asked, b, a, partial(self._along, asked)), ""
            except Incomparable as why:
                found = None, why.sentence.format(**dict(why.fields))
            known = self._differences[asked] = b, a, found
        return known[2]

    def _along(self, asked: Query, axis: str) -> Alignment:
        """How the text that an axis of an answer runs along is aligned with that of the baseline."""
        b, a = (
            [text["tokens"] for text in texts_of(run)] for run in (self.run, self.answer_of_baseline(RUN))
        )
        text = self.text_along(asked, axis)
        if not (text < len(a) and text < len(b)):
            raise Incomparable("The other model reads no such text.")
        return align(a[text], b[text])

    def text_along(self, asked: Query, axis: str) -> int:
        """Which of the texts an axis ("T" or "S") of an answer runs along; the last where its query does not say."""
        said = asked.to_json()["arguments"]
        if "site" in said:
            return self.text_of(said["site"], axis)
        if "module" in said:
            return self.text_of(f"{said['module']}.out", axis)
        kind = self.kind(said["stack"]) if "stack" in said else None
        if kind is None:
            return max(len(self.texts) - 1, 0)
        return kind.queries if axis == "T" else kind.keys

    def why_none(self, asked: Iterable[Query]) -> str:
        """Why what is compared with has no picture for these queries; "" where nothing speaks against it."""
        if self.baseline is None or self.compared == "B":
            return ""
        if None in self.refused:
            return self.refused[None]
        for one in asked:
            if one in self.refused:
                return self.refused[one]
            b, a = self.store.get(self.shown, one), self.answer_of_baseline(one)
            differs = self.compared == "B−A" and not one.of_the_model and one != RUN
            if differs and b is not None and a is not None and (why := self._difference(one, b, a)[1]):
                return why
        return ""

    @property
    def viewed(self) -> Scene:
        """The scene whose picture is on screen: B, or A where a person looks at the baseline."""
        return self.baseline if self.baseline is not None and self.compared == "A" else self.shown

    def answer_before(self, asked: Query) -> Answer | None:
        """The same for the scene that was shown before an edit, None where the last change was no edit."""
        return self.store.get(self.before, asked) if self.before else None

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
        return texts_of(self.run)

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


def texts_of(run: Answer | None) -> list[dict[str, Any]]:
    """What a model read: name, tokens and strings of each text; nothing before its run is known."""
    return [] if run is None else list(run["texts"])
