"""window 8, window 8 L2, window 8 L2H1: each query sees its own token and the 7 before."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from model_core.api.edits.edit import HEAD, LAYER, At, HeadEdit, Index, elsewhere, stack_form
from model_core.api.edits.registry import register
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind, Site

if TYPE_CHECKING:
    from torch import Tensor

OF_ONE_TEXT = ("", "encoder", "decoder")  # the kinds of attention whose queries and keys are the same tokens


@register
@dataclass(frozen=True)
class SlidingWindow(HeadEdit):
    """A sliding window on self-attention, on top of the mask that there is (Beltagy et al. 2020, section 3.1).

    A query sees no token but its own and the `size` - 1 before it, in an encoder as well.
    """

    name: ClassVar[str] = "window"
    words: ClassVar[str] = "window 8, window 8 L2, window 8 L2H1"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"window (?P<size>\d{{1,6}}){stack_form(*filter(None, OF_ONE_TEXT))}(?: {LAYER}(?:{HEAD})?)?",
        re.I | re.A,
    )

    stacks: ClassVar[Collection[str]] = OF_ONE_TEXT

    size: Index
    layer: Index | None = None
    head: Index | None = None
    stack: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise InputError("a window of 0 tokens hides all of them: use 1 or more")

    @property
    def everywhere(self) -> bool:
        return self.layer is None and not self.stack

    @property
    def title(self) -> str:
        return "window of {size}"

    @property
    def sites(self) -> tuple[str, ...]:
        return ("*.attn.mask",) if self.everywhere else (self.site("mask"),)

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value [B H T S], additive"""
        if (heads := self.heads(at)) is None:
            return value
        queries, keys = at.queries, at.keys
        # Key s of query t, counted along the axes: the newest that it sees, and the first that is too old.
        newest = queries.start - keys.start
        hidden = value.new_full(value.shape[-2:], -math.inf)
        hidden = hidden.triu(newest + 1) + hidden.tril(newest - self.size)
        value = value.clone()
        value[:, heads] += hidden
        return value

    def misfit(self, attentions: Sequence[AttentionKind]) -> str:
        if self == SlidingWindow(self.size):
            return ""
        if self.stack not in (names := [kind.name for kind in attentions]):
            others = [
                SlidingWindow(self.size, self.layer, self.head, name) for name in names if name in OF_ONE_TEXT
            ]
            return elsewhere(self, self.stack, others, attentions)
        return super().misfit(attentions)

    def __str__(self) -> str:
        return f"window {self.size}{self.where}"
