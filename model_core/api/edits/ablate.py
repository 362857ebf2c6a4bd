"""ablate L3H5: one head writes nothing."""

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
class AblateHead(HeadEdit):
    """One head's weighted values z set to zero: it writes nothing (but the output bias) to the residual stream."""

    name: ClassVar[str] = "ablate"
    words: ClassVar[str] = "ablate L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(rf"ablate{STACK} {LAYER}{HEAD}", re.I | re.A)

    layer: Index
    head: Index
    stack: str = ""

    @property
    def title(self) -> str:
        return "ablate"

    @property
    def sites(self) -> tuple[str, ...]:
        return (self.site("z"),)

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value [B H T D]"""
        if (heads := self.heads(at)) is None:
            return value
        value = value.clone()
        value[:, heads] = 0
        return value

    @classmethod
    def offers(cls, kind: AttentionKind | None, stack: str, layer: int, head: int) -> Iterable[Edit]:
        yield cls(layer, head, stack)

    def __str__(self) -> str:
        return f"ablate{self.where}"
