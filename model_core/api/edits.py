"""Edits are values: each says in words what it changes, names the sites, and changes them at their taps.

    mask off            every head of every layer sees the future
    mask off L3         the heads of layer 3
    mask off L3H5       one head
    ablate L3H5         the head's output z is set to zero

Of a model with several kinds of attention, their name stands before the layer: ablate cross L3H5, mask off decoder.
Layers and heads count from 0. No torch here: the window reads and writes the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import TYPE_CHECKING, ClassVar

from model_core.api.errors import InputError
from model_core.api.names import ATTENTION_PATHS, AttentionKind

if TYPE_CHECKING:
    from torch import Tensor

STACK = f"(?: (?P<stack>{'|'.join(filter(None, ATTENTION_PATHS))}))?"


@dataclass(frozen=True)
class MaskOff:
    """The whole mask replaced by zeros, causal and sliding window alike: in all layers, one layer, or one head."""

    words: ClassVar[str] = "mask off, mask off L3, mask off L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"mask off{STACK}(?: L(?P<layer>\d{{1,6}})(?:H(?P<head>\d{{1,6}}))?)?", re.I | re.A
    )
    # A token that sees the future changes when the text grows: keys and values of earlier steps are stale then.
    needs_whole_text: ClassVar[bool] = True

    layer: int | None = None
    head: int | None = None
    stack: str = ""

    @property
    def sites(self) -> str:
        if self.layer is None and not self.stack:
            return "*.mask"
        return f"{ATTENTION_PATHS[self.stack].format(layer='*' if self.layer is None else self.layer)}.mask"

    def apply(self, value: Tensor, dims: str) -> Tensor:
        """value [B H T S], additive"""
        value = value.clone()
        value[:, slice(None) if self.head is None else self.head] = 0
        return value

    def __str__(self) -> str:
        return "mask off" + place(self.stack, self.layer, self.head)


@dataclass(frozen=True)
class AblateHead:
    """One head's weighted values z set to zero: it writes nothing (but the output bias) to the residual stream."""

    words: ClassVar[str] = "ablate L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"ablate{STACK} L(?P<layer>\d{{1,6}})H(?P<head>\d{{1,6}})", re.I | re.A
    )
    needs_whole_text: ClassVar[bool] = False

    layer: int
    head: int
    stack: str = ""

    @property
    def sites(self) -> str:
        return f"{ATTENTION_PATHS[self.stack].format(layer=self.layer)}.z"

    def apply(self, value: Tensor, dims: str) -> Tensor:
        """value [B H T D]"""
        value = value.clone()
        value[:, self.head] = 0
        return value

    def __str__(self) -> str:
        return "ablate" + place(self.stack, self.layer, self.head)


AnyEdit = MaskOff | AblateHead
KINDS: tuple[type[MaskOff] | type[AblateHead], ...] = (MaskOff, AblateHead)


def parse(text: str) -> AnyEdit:
    """An edit from its words. InputError, with its `edits`, says which words there are."""
    plain = " ".join(text.split())
    for kind in KINDS:
        if found := kind.form.fullmatch(plain):
            numbers = {
                name: int(number)
                for name, number in found.groupdict().items()
                if number is not None and name != "stack"
            }
            return kind(**numbers, stack=(found["stack"] or "").lower())
    error = InputError(f"no edit reads {short(text)}: try {' or '.join(kind.words for kind in KINDS)}")
    error.edits = {text: str(error)}
    raise error


def check(edits: Sequence[AnyEdit], attentions: Sequence[AttentionKind]) -> None:
    """InputError, with its `edits`, where some name an attention, a layer or a head that the model does not have."""
    wrong = {str(edit): why for edit in edits if (why := misfit(edit, attentions))}
    if wrong:
        error = InputError("; ".join(f"{edit}: {why}" for edit, why in wrong.items()))
        error.edits = wrong
        raise error


def misfit(edit: AnyEdit, attentions: Sequence[AttentionKind]) -> str:
    """Why a model with these kinds of attention has no place for an edit; "" where it has one."""
    kinds = {kind.name: kind for kind in attentions}
    if edit == MaskOff():
        return ""  # everywhere, whatever kinds there are
    if edit.stack not in kinds:
        return unknown_stack(edit, attentions)
    kind = kinds[edit.stack]
    return beyond(edit.layer, kind.layers, "layer") or beyond(edit.head, kind.heads, "head")


def unknown_stack(edit: AnyEdit, attentions: Sequence[AttentionKind]) -> str:
    """What to say instead of an edit whose kind of attention the model does not have."""
    others = [replace(edit, stack=kind.name) for kind in attentions]
    fitting = [str(other) for other in others if not misfit(other, attentions)]
    if not fitting:
        return misfit(others[0], attentions)
    count = len(attentions)
    has = f"{count} kinds of attention" if count > 1 else f"no {edit.stack} attention"
    return f"this model has {has}: write {' or '.join(fitting)}"


def place(stack: str, layer: int | None, head: int | None) -> str:
    """ " cross L3H5": the words for where an edit is, each part only where it is said."""
    words = f" {stack}" if stack else ""
    words += "" if layer is None else f" L{layer}"
    return words + ("" if head is None else f"H{head}")


def beyond(number: int | None, count: int, what: str) -> str:
    """What is wrong with a number that does not count one of `count` things from 0; "" for one that does, and None."""
    if number is None or 0 <= number < count:
        return ""
    return f"there is no {what} {number}; this model has {what}s 0 to {count - 1}"


def toggled(edits: Iterable[str], edit: str) -> tuple[str, ...]:
    """The edits with one more, or with that one removed where it was there."""
    edits = tuple(edits)
    return tuple(e for e in edits if e != edit) if edit in edits else (*edits, edit)
