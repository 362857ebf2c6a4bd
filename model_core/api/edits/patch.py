"""patch blocks.4.resid_post[7] from run.safetensors: a value of another run, from a file that `trace` wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_core.api.edits.at_site import KEY, SiteEdit
from model_core.api.edits.edit import POSITION, At, Index, Reference
from model_core.api.edits.registry import register
from model_core.api.errors import InputError
from model_core.api.names import Site

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class Patch(SiteEdit):
    """The value of a site taken from a file of another run, of the same shape: at one position, or at every one.

    position  of the axis T (of keys and values S, which are those of tokens as well)
    """

    name: ClassVar[str] = "patch"
    words: ClassVar[str] = "patch blocks.4.resid_post[7] from run.safetensors"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"patch {KEY}(?: ?\[ ?(?P<position>{POSITION}) ?\])?", re.I | re.A
    )

    key: str
    file: str
    position: Index | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file or self.file != self.file.strip() or not self.file.isprintable():
            raise InputError(f"{self.file!r} is no name of a file that an edit can have")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        # Blanks within the name of a file are part of it.
        what, *file = re.split(r"\sfrom\s", text.strip(), maxsplit=1, flags=re.I)
        found = cls.form.fullmatch(" ".join(what.split()))
        return cls.of({**found.groupdict(), "file": file[0].strip()}) if found and file else None

    @classmethod
    def of(cls, groups: Mapping[str, Any]) -> Self:
        position = groups["position"]
        return cls(groups["key"].lower(), groups["file"], None if position is None else int(position))

    @property
    def refers(self) -> tuple[Reference, ...]:
        return ((self.file, self.key),)

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value of any axes"""
        given, letters = at.told.tensors[self.file, self.key], site.dims.split()
        along = next((letter for letter in "TS" if letter in letters), None)
        if self.position is not None and along is None:
            raise InputError(f"{self.key} has no positions: leave out the brackets")
        for letter, number in at.told.alone.items():
            if letter in letters:
                given = given.narrow(letters.index(letter), number, 1)
        self.check_shape(tuple(given.shape), tuple(value.shape), letters, at)
        here: list[slice | int] = [slice(None)] * value.ndim
        there = here.copy()
        for axis, letter in enumerate(letters):
            if letter == along and self.position is not None:
                if (place := at.index(letter, self.position)) is None or self.position >= given.shape[axis]:
                    return value
                here[axis], there[axis] = place, self.position
            elif letter in "TS":
                positions = at.positions(letter)
                shared = max(0, given.shape[axis] - positions.start)
                here[axis], there[axis] = slice(shared), slice(positions.start, None)
        value = value.clone()
        value[tuple(here)] = given[tuple(there)].to(value)
        return value

    def check_shape(self, there: tuple[int, ...], here: tuple[int, ...], letters: list[str], at: At) -> None:
        """InputError unless the shapes agree; a text that goes on may have more positions than the file."""
        longer = at.told.growing or at.queries.start > 0
        expected = tuple(
            at.positions(letter).stop if letter in "TS" else size
            for letter, size in zip(letters, here, strict=True)
        )
        fits = len(there) == len(here) and all(
            theirs == ours or (letter in "TS" and longer and theirs < ours)
            for letter, theirs, ours in zip(letters, there, expected, strict=True)
        )
        if not fits:
            raise InputError(
                f"in {self.file} it is {shape_words(there)}, in this run {shape_words(expected)}"
            )

    def __str__(self) -> str:
        return f"patch {self.key}{'' if self.position is None else f'[{self.position}]'} from {self.file}"


def shape_words(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one number"
