"""mask off, mask off L3, mask off L3H5: every token sees every other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from model_core.api.edits.edit import HEAD, LAYER, STACK, At, Edit, HeadEdit, Index
from model_core.api.edits.registry import register
from model_core.api.names import AttentionKind, Site

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class MaskOff(HeadEdit):
    """The whole mask replaced by zeros, causal and sliding window alike: in all layers, one layer, or one head."""

    name: ClassVar[str] = "mask off"
    words: ClassVar[str] = "mask off, mask off L3, mask off L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(rf"mask off{STACK}(?: {LAYER}(?:{HEAD})?)?", re.I | re.A)

    layer: Index | None = None
    head: Index | None = None
    stack: str = ""

    @property
    def everywhere(self) -> bool:
        return self.layer is None and not self.stack

    @property
    def title(self) -> str:
        return "mask off"

    @property
    def sites(self) -> tuple[str, ...]:
        return ("*.mask",) if self.everywhere else (self.site("mask"),)

    @property
    def needs_whole_text(self) -> bool:
        return True

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value [B H T S], additive"""
        if (heads := self.heads(at)) is None:
            return value
        value = value.clone()
        value[:, heads] = 0
        return value

    def misfit(self, attentions: Sequence[AttentionKind]) -> str:
        return "" if self == MaskOff() else super().misfit(attentions)

    @classmethod
    def offers(cls, kind: AttentionKind | None, stack: str, layer: int, head: int) -> Iterable[Edit]:
        if kind is None or kind.causal or kind.window is not None:
            yield from (cls(), cls(layer, stack=stack), cls(layer, head, stack))

    def __str__(self) -> str:
        return f"mask off{self.where}"
