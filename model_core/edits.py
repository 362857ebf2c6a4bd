"""Edits are values: each says in words what it changes, names the sites, and changes them at their taps.

    mask off            every head of every layer sees the future
    mask off L3         the heads of layer 3
    mask off L3H5       one head
    ablate L3H5         the head's output z is set to zero

Layers and heads count from 0. No torch here: the window reads and writes the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from reprlib import repr as short
from typing import TYPE_CHECKING, ClassVar

from model_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MaskOff:
    """The whole mask replaced by zeros, causal and sliding window alike: in all layers, one layer, or one head."""

    words: ClassVar[str] = "mask off, mask off L3, mask off L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(
        r"mask off(?: L(?P<layer>\d{1,6})(?:H(?P<head>\d{1,6}))?)?", re.I | re.A
    )
    # A token that sees the future changes when the text grows: keys and values of earlier steps are stale then.
    needs_whole_text: ClassVar[bool] = True

    layer: int | None = None
    head: int | None = None

    @property
    def sites(self) -> str:
        return "*.attn.mask" if self.layer is None else f"blocks.{self.layer}.attn.mask"

    def apply(self, value: Tensor, dims: str) -> Tensor:
        """value [B H T S], additive"""
        value = value.clone()
        value[:, slice(None) if self.head is None else self.head] = 0
        return value

    def __str__(self) -> str:
        where = (
            "" if self.layer is None else f" L{self.layer}" + ("" if self.head is None else f"H{self.head}")
        )
        return "mask off" + where


@dataclass(frozen=True)
class AblateHead:
    """One head's weighted values z set to zero: it writes nothing (but the output bias) to the residual stream."""

    words: ClassVar[str] = "ablate L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(r"ablate L(?P<layer>\d{1,6})H(?P<head>\d{1,6})", re.I | re.A)
    needs_whole_text: ClassVar[bool] = False

    layer: int
    head: int

    @property
    def sites(self) -> str:
        return f"blocks.{self.layer}.attn.z"

    def apply(self, value: Tensor, dims: str) -> Tensor:
        """value [B H T D]"""
        value = value.clone()
        value[:, self.head] = 0
        return value

    def __str__(self) -> str:
        return f"ablate L{self.layer}H{self.head}"


AnyEdit = MaskOff | AblateHead
KINDS: tuple[type[MaskOff] | type[AblateHead], ...] = (MaskOff, AblateHead)


def parse(text: str) -> AnyEdit:
    """An edit from its words. InputError says which words there are."""
    plain = " ".join(text.split())
    for kind in KINDS:
        if found := kind.form.fullmatch(plain):
            return kind(
                **{name: int(number) for name, number in found.groupdict().items() if number is not None}
            )
    raise InputError(f"no edit reads {short(text)}: try {' or '.join(kind.words for kind in KINDS)}")


def check(edits: Sequence[AnyEdit], layers: int, heads: int) -> None:
    """InputError where an edit names a layer or a head that the model does not have."""
    for edit in edits:
        within(edit.layer, layers, "layer", str(edit))
        within(edit.head, heads, "head", str(edit))


def within(number: int | None, count: int, what: str, where: str) -> None:
    """InputError where a number does not count one of `count` things from 0. None is none of them."""
    if number is not None and not 0 <= number < count:
        raise InputError(f"{where}: there is no {what} {number}; this model has {what}s 0 to {count - 1}")


def toggled(edits: Iterable[str], edit: str) -> tuple[str, ...]:
    """The edits with one more, or with that one removed where it was there."""
    edits = tuple(edits)
    return tuple(e for e in edits if e != edit) if edit in edits else (*edits, edit)
