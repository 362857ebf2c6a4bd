"""What the engine has answered, as long as there is room for it."""

from collections import OrderedDict
from collections.abc import Iterable

from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.run import RunSummary, SiteList
from model_core.api.scene import Scene

STORE_BYTES = 512 << 20

RUN = RunSummary()
SITES = SiteList()


class Store:
    """Answers by query and what they depend on; the least recently used make room beyond `limit` bytes.

    pinned  scenes whose answers stay
    """

    def __init__(self, limit: int = STORE_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self.pinned: frozenset[Scene] = frozenset()
        self.answers: OrderedDict[tuple[Scene, Query], Answer] = OrderedDict()
        self._stored: set[tuple[Scene, Query]] = set()

    def get(self, scene: Scene, asked: Query) -> Answer | None:
        key = scene.asked_by(asked), asked
        if key in self.answers:
            self.answers.move_to_end(key)
        return self.answers.get(key)

    def put(self, scene: Scene, asked: Query, answer: Answer, *, stored: bool = False) -> None:
        """`stored`: from a file and no engine; it is shown, and still asked for."""
        key = scene.asked_by(asked), asked
        self._forget(key)
        self.size += answer.nbytes
        self.answers[key] = answer
        if stored:
            self._stored.add(key)
        for old in [one for one in self.answers if one[0] not in self.pinned and one != key]:
            if self.size <= self.limit:
                break
            self._forget(old)

    def pin(self, scenes: Iterable[Scene]) -> None:
        """The answers of these scenes make no room for others."""
        self.pinned = frozenset(scenes)

    def is_stored(self, scene: Scene, asked: Query) -> bool:
        """Whether what is known comes from a file and no engine."""
        return (scene.asked_by(asked), asked) in self._stored

    def _forget(self, key: tuple[Scene, Query]) -> None:
        if (old := self.answers.pop(key, None)) is not None:
            self.size -= old.nbytes
        self._stored.discard(key)
