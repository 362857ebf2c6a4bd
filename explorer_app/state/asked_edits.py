"""The edits that a person asked for; those that the model has no place for wait until one is open that has. No Qt."""

from collections.abc import Iterable, Mapping, Sequence

from model_core.api.edits import misfit, parse
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind

Shape = tuple[str, tuple[str, ...]]
"""What decides how many layers and heads there are: `Scene.shape`."""


class AskedEdits:
    """asked      every edit, in the order in which they were added
    suspended  those of them that are left out of the run of the model at hand, and why
    """

    def __init__(self, asked: Iterable[str]) -> None:
        self.asked = tuple(asked)
        self.suspended: dict[str, str] = {}
        self._kinds: dict[Shape, Sequence[AttentionKind]] = {}
        self._refused: dict[Shape, Mapping[str, str]] = {}

    def why_not(self, edit: str, shape: Shape) -> str:
        """Why a model has no place for an edit; "" where it has one, and where nobody knows yet."""
        if shape not in self._kinds:
            return self._refused.get(shape, {}).get(edit, "")
        try:
            return misfit(parse(edit), self._kinds[shape])
        except InputError as error:
            return str(error)

    def learn(self, shape: Shape, kinds: Sequence[AttentionKind]) -> None:
        """A model was run: these are its kinds of attention."""
        self._kinds[shape] = kinds
        self._refused.pop(shape, None)

    def refuse(self, shape: Shape, edits: Mapping[str, str]) -> None:
        """The engine has refused edits, and said why: that counts more than what was known of the model before."""
        self._kinds.pop(shape, None)
        self._refused[shape] = {**self._refused.get(shape, {}), **edits}

    def fitting(self, shape: Shape) -> tuple[str, ...]:
        """Those that go into a run of the model; the others are suspended."""
        self.suspended = {edit: why for edit in self.asked if (why := self.why_not(edit, shape))}
        return tuple(edit for edit in self.asked if edit not in self.suspended)
