"""mean L3H5: one head writes the same at every position."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from model_core.api.edits.edit import HEAD, LAYER, STACK, At, Edit, HeadEdit, Index
from model_core.api.edits.registry import register
from model_core.api.names import AttentionKind, Site

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class MeanHead(HeadEdit):
    """One head's weighted values z set to their mean over all positions of the text, at every position.

    What it writes on average stays, and what it tells the positions apart by goes. Earlier tokens see later ones.
    """

    name: ClassVar[str] = "mean"
    words: ClassVar[str] = "mean L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(rf"mean{STACK} {LAYER}{HEAD}", re.I | re.A)

    layer: Index
    head: Index
    stack: str = ""

    @property
    def title(self) -> str:
        return "mean over the text"

    @property
    def sites(self) -> tuple[str, ...]:
        return (self.site("z"),)

    @property
    def needs_whole_text(self) -> bool:
        return self.stack != "encoder"  # whose text is read whole in any case, and does not grow

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value [B H T D]"""
        if (heads := self.heads(at)) is None:
            return value
        value = value.clone()
        value[:, heads] = value[:, heads].mean(-2, keepdim=True)
        return value

    @classmethod
    def offers(cls, kind: AttentionKind | None, stack: str, layer: int, head: int) -> Iterable[Edit]:
        yield cls(layer, head, stack)

    def __str__(self) -> str:
        return f"mean{self.where}"
