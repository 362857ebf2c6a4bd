"""cut L1H0 5->2, cut L1H0 5->2 renormalise: one query no longer looks at one key."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_core.api.edits.edit import HEAD, LAYER, POSITION, STACK, At, HeadEdit, Index
from model_core.api.edits.registry import register
from model_core.api.names import Site

if TYPE_CHECKING:
    from torch import Tensor


@register
@dataclass(frozen=True)
class CutEdge(HeadEdit):
    """One cell of a head's pattern set to 0 after the softmax: what the query got from this key is missing.

    renormalise  hide the key before the softmax instead, in the mask: the other keys share what it had
    """

    name: ClassVar[str] = "cut"
    words: ClassVar[str] = "cut L1H0 5->2, cut L1H0 5->2 renormalise"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"cut{STACK} {LAYER}{HEAD} (?P<query>{POSITION}) ?-> ?(?P<key>{POSITION})(?P<renormalise> renormalise)?",
        re.I | re.A,
    )

    layer: Index
    head: Index
    query: Index
    key: Index
    renormalise: bool = False
    stack: str = ""

    @classmethod
    def of(cls, groups: Mapping[str, Any]) -> Self:
        after = groups["renormalise"] is None
        return replace(super().of({**groups, "renormalise": None}), renormalise=not after)

    @property
    def title(self) -> str:
        return "cut {query} → {key}, renormalised" if self.renormalise else "cut {query} → {key}"

    @property
    def sites(self) -> tuple[str, ...]:
        return (self.site("mask" if self.renormalise else "pattern"),)

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value [B H T S]: the additive mask, or the pattern"""
        heads, query, key = self.heads(at), at.index("T", self.query), at.index("S", self.key)
        if heads is None or query is None or key is None:
            return value
        value = value.clone()
        value[:, heads, query, key] = -math.inf if self.renormalise else 0
        return value

    def __str__(self) -> str:
        return f"cut{self.where} {self.query}->{self.key}{' renormalise' if self.renormalise else ''}"
