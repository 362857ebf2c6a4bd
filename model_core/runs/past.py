"""What was read before a run: its last text goes on after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model_core.api.edits import Edit
from model_core.api.errors import InputError
from model_core.parts.cache import Cache
from model_core.parts.model import Model
from model_core.runs.stages import Call, Changes


@dataclass(frozen=True)
class Past:
    """The first `length` positions of the last text, as keys and values of every layer.

    Several runs may go on after one past, and a past stays what it is: who comes first takes what is free in the
    memory behind it, others copy.

    others   the other texts that were read with it, none before anything was
    calls    how those were read, so that they are not read again
    changes  what was edited meanwhile
    """

    cache: Cache
    length: int
    others: Sequence[Sequence[int]] = ()
    calls: Mapping[str, Call] = field(default_factory=dict)
    changes: Changes = field(default_factory=lambda: Changes((), {}))

    @classmethod
    def nothing(cls, model: Model, capacity: int) -> "Past":
        """Where a text begins that others are to go on after, with room for so many positions."""
        return cls(model.empty_cache(1, capacity), 0)

    def check(self, edits: Sequence[Edit]) -> None:
        """InputError where an edit would have changed what is past."""
        for edit in edits:
            if self.length and edit.needs_whole_text:
                raise InputError(
                    f"{edit}: it lets tokens see later ones, so the whole text has to be read at once"
                )
