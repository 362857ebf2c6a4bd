"""What every edit is: its words, its JSON, its sites, and what it makes of a value there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

from model_core.api.errors import InputError
from model_core.api.names import ATTENTION_PATHS, AttentionKind, Site
from model_core.api.schema import Within, shown

if TYPE_CHECKING:
    from torch import Tensor

Reference = tuple[str, str]
"""A file, and the key of a site in it."""

MAX_INDEX = 999_999
Index = Annotated[int, Within(lambda n: 0 <= n <= MAX_INDEX, f"a whole number from 0 to {MAX_INDEX:,}")]

LAYER, HEAD = r"L(?P<layer>\d{1,6})", r"H(?P<head>\d{1,6})"
POSITION = r"\d{1,6}"


def stack_form(*stacks: str) -> str:
    """The part of a form that reads the name of a kind of attention, where there is one."""
    return f"(?: (?P<stack>{'|'.join(stacks)}))?"


STACK = stack_form(*filter(None, ATTENTION_PATHS))


class Where(NamedTuple):
    """Where an edit is, as far as it is in one place: a kind of attention, one of its layers, one head of that."""

    stack: str
    layer: int | None
    head: int | None

    def __str__(self) -> str:
        """ " cross L3H5": each part only where it is said."""
        words = f" {self.stack}" if self.stack else ""
        words += "" if self.layer is None else f" L{self.layer}"
        return words + ("" if self.head is None else f"H{self.head}")


@dataclass(frozen=True)
class Told:
    """What edits are told of a pass, beside its values.

    tensors       what they refer to
    queries_from  the position of the first query, until the model says one itself
    growing       whether the text goes on: a position that it does not have yet may come
    alone         where an axis shows one place only, the number of that: of one head on H, of its keys and values on G
    """

    tensors: Mapping[Reference, Tensor] = field(default_factory=dict)
    queries_from: int = 0
    growing: bool = False
    alone: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class At:
    """What an edit may look at beside the value that it changes.

    queries  positions in its text of the axis T, in their order; with a past they begin later
    keys     those of the axis S
    values   values of this pass, edits included, by key: those that an edit reads
    told     the rest
    """

    queries: range
    keys: range
    values: Mapping[str, Tensor]
    told: Told

    def positions(self, letter: str) -> range:
        """Those of the axis T or S."""
        return self.queries if letter == "T" else self.keys

    def index(self, letter: str, position: int) -> int | None:
        """Where a position lies on the axis T or S, or a number on another; None where it is not in this pass.

        InputError where the text has no such position.
        """
        if letter not in "TS":
            one = self.told.alone.get(letter)
            return position if one is None else 0 if one == position else None
        positions = self.positions(letter)
        if position in positions:
            return position - positions.start
        if position < positions.start or self.told.growing:
            return None
        raise InputError(beyond(position, positions.stop, "position", "text"))


class Edit:
    """A change of a run. Each kind is a frozen dataclass in a file of its own, registered by `register`.

    name    of the kind, in JSON
    words   examples of its words, for help
    form    its words, blanks made single; groups are its fields
    """

    name: ClassVar[str]
    words: ClassVar[str]
    form: ClassVar[re.Pattern[str]]

    @property
    def sites(self) -> tuple[str, ...]:
        """Globs over the keys whose values it changes."""
        raise NotImplementedError

    @property
    def reads(self) -> tuple[str, ...]:
        """Keys of the values that it looks at: they are computed before those that it changes, in the same block."""
        return ()

    @property
    def named(self) -> tuple[str, ...]:
        """Keys that a person wrote, which a model may not have."""
        return ()

    @property
    def refers(self) -> tuple[Reference, ...]:
        """The tensors that it needs from files."""
        return ()

    @property
    def needs_whole_text(self) -> bool:
        """Whether tokens see later ones through it: keys and values of earlier steps are stale when the text grows."""
        return False

    @property
    def where(self) -> Where | None:
        """Where it is, None where its words alone can say that."""
        return None

    @property
    def title(self) -> str:
        """What it does, for people, where it has a `where`; its fields are in braces."""
        raise NotImplementedError

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """What takes the place of the value at one of its sites; the value itself stays as it is.

        InputError where the text or the value has no place for it.
        """
        raise NotImplementedError

    def misfit(self, attentions: Sequence[AttentionKind]) -> str:
        """Why a model with these kinds of attention has no place for it; "" where it has one."""
        raise NotImplementedError

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The edit from its words, None where they are of another kind."""
        found = cls.form.fullmatch(" ".join(text.split()))
        return cls.of(found.groupdict()) if found else None

    @classmethod
    def of(cls, groups: Mapping[str, Any]) -> Self:
        """The edit from the groups of its form: numbers but for the kind of attention."""
        numbers = {n: int(said) for n, said in groups.items() if said is not None and n != "stack"}
        return cls(**numbers, stack=(groups.get("stack") or "").lower())  # type: ignore[call-arg]

    @classmethod
    def offers(cls, kind: AttentionKind | None, stack: str, layer: int, head: int) -> Iterable[Edit]:
        """What may be offered to a person who looks at a head; `kind` is None before anything is known of it."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """The edit as JSON: `edit`, the name of its kind, and every field."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {
            "edit": self.name,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()},
        }


class HeadEdit(Edit):
    """An edit of attention: its fields say of which kind, which layer, which head."""

    layer: int | None
    head: int | None
    stack: str
    stacks: ClassVar[Collection[str]] = ATTENTION_PATHS.keys()

    def __post_init__(self) -> None:
        if self.stack not in self.stacks:
            raise InputError(f"{shown(self.stack)} is no attention that {self.name} can change")
        if self.layer is None and self.head is not None:
            raise InputError(f"head {self.head} of no layer: say which")

    @property
    def where(self) -> Where:
        return Where(self.stack, self.layer, self.head)

    def site(self, word: str) -> str:
        """The key of a value of its attention, a glob where it is in every layer."""
        return f"{ATTENTION_PATHS[self.stack].format(layer='*' if self.layer is None else self.layer)}.{word}"

    def heads(self, at: At) -> int | slice | None:
        """What picks its head, or all, from the axis H; None where its head is not there."""
        return slice(None) if self.head is None else at.index("H", self.head)

    def misfit(self, attentions: Sequence[AttentionKind]) -> str:
        kinds = {kind.name: kind for kind in attentions}
        if self.stack not in kinds:
            return elsewhere(self, self.stack, [replace(self, stack=name) for name in kinds], attentions)  # type: ignore[type-var]
        kind = kinds[self.stack]
        return beyond(self.layer, kind.layers, "layer") or beyond(self.head, kind.heads, "head")


def elsewhere(edit: Edit, stack: str, others: Sequence[Edit], attentions: Sequence[AttentionKind]) -> str:
    """What to say of an edit whose kind of attention the model does not have: which of the others to write instead."""
    fitting = [str(other) for other in others if not other.misfit(attentions)]
    if not fitting:
        return others[0].misfit(attentions)
    count = len(attentions)
    has = f"{count} kinds of attention" if count > 1 else f"no {stack} attention"
    return f"this model has {has}: write {' or '.join(fitting)}"


def beyond(number: int | None, count: int, what: str, whose: str = "model") -> str:
    """What is wrong with a number that does not count one of `count` things from 0; "" for one that does, and None."""
    if number is None or 0 <= number < count:
        return ""
    return f"there is no {what} {number}; this {whose} has {what}s 0 to {count - 1}"
