"""set blocks.3.attn.pattern[2,5,1]=0.5: one number written over."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_core.api.edits.at_site import KEY, SiteEdit
from model_core.api.edits.edit import POSITION, At, Index, beyond
from model_core.api.edits.registry import register
from model_core.api.errors import InputError
from model_core.api.names import AXES, Site

if TYPE_CHECKING:
    from torch import Tensor

NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?"


@register
@dataclass(frozen=True)
class SetCell(SiteEdit):
    """One cell of a site set to a number.

    cell    where it is on the site's axes without B, in their order: H, T, S of a pattern. T and S are positions.
    """

    name: ClassVar[str] = "set"
    words: ClassVar[str] = "set blocks.3.attn.pattern[2,5,1]=0.5"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"set {KEY} ?\[ ?(?P<cell>{POSITION}(?: ?, ?{POSITION})*) ?\] ?= ?(?P<number>{NUMBER})", re.I | re.A
    )

    key: str
    cell: tuple[Index, ...]
    number: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.number):
            raise InputError("a cell is set to a number that is too large for any dtype")

    @classmethod
    def of(cls, groups: Mapping[str, Any]) -> Self:
        cell = tuple(int(place) for place in groups["cell"].split(","))
        return cls(groups["key"].lower(), cell, float(groups["number"]))

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value of any axes"""
        letters = site.dims.split()
        axes = [letter for letter in letters if letter != "B"]
        if len(axes) != len(self.cell):
            raise InputError(
                f"write {len(axes)} numbers in the brackets ({', '.join(axes)}), not {len(self.cell)}"
            )
        places: dict[str, int | slice | None] = {"B": slice(None)}
        for letter, number in zip(axes, self.cell, strict=True):
            counted = letter not in "TS" and letter not in at.told.alone
            if counted and (
                wrong := beyond(number, value.shape[letters.index(letter)], AXES[letter], "site")
            ):
                raise InputError(wrong)
            places[letter] = at.index(letter, number)
        if None in places.values():
            return value
        value = value.clone()
        value[tuple(places[letter] for letter in letters)] = self.number
        return value

    def __str__(self) -> str:
        return f"set {self.key}[{','.join(map(str, self.cell))}]={repr(self.number).removesuffix('.0')}"
