"""skip L4, skip attn L4, skip mlp L4, skip cross L4: the stream passes a part by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from model_core.api.edits.edit import LAYER, At, Edit, Index, Where, beyond, elsewhere, stack_form
from model_core.api.edits.registry import register
from model_core.api.errors import InputError
from model_core.api.names import ATTENTION_PATHS, AttentionKind, Site

if TYPE_CHECKING:
    from torch import Tensor

# What the stream is called before and after each part; before the MLP of a decoder that looks back it is resid_cross.
STREAM = {
    "": ("resid_pre", "resid_post"),
    "attn": ("resid_pre", "resid_mid"),
    "cross": ("resid_mid", "resid_cross"),
    "mlp": ("resid_mid", "resid_post"),
}


@register
@dataclass(frozen=True)
class Skip(Edit):
    """The stream before a block, or before a part of one, in place of the stream after it, whatever norms stand there.

    part   "attn", "cross" (the cross-attention of a decoder), "mlp", or "" for the whole block
    stack  "encoder" or "decoder" of a model that has both; "" of the others, and for "cross"
    """

    name: ClassVar[str] = "skip"
    words: ClassVar[str] = "skip L4, skip attn L4, skip mlp L4"
    form: ClassVar[re.Pattern[str]] = re.compile(
        rf"skip(?! cross [ed])(?: (?P<part>attn|cross|mlp))?{stack_form('encoder', 'decoder')} {LAYER}",
        re.I | re.A,
    )

    layer: Index
    part: Literal["", "attn", "cross", "mlp"] = ""
    stack: Literal["", "encoder", "decoder"] = ""

    def __post_init__(self) -> None:
        if self.part == "cross" and self.stack:
            raise InputError(f"cross-attention is in the decoder alone: write skip cross L{self.layer}")

    @classmethod
    def of(cls, groups: Mapping[str, Any]) -> Self:
        part, stack = ((groups[name] or "").lower() for name in ("part", "stack"))
        return cls(int(groups["layer"]), part, stack)  # type: ignore[arg-type]

    @property
    def attention(self) -> str:
        """The kind of attention that counts its layers."""
        return self.part if self.part == "cross" else self.stack

    @property
    def where(self) -> Where:
        return Where(self.attention, self.layer, None)

    @property
    def block(self) -> str:
        return ATTENTION_PATHS[self.attention].format(layer=self.layer).rpartition(".")[0]

    @property
    def title(self) -> str:
        return {"": "skip", "attn": "skip attention", "cross": "skip attention", "mlp": "skip MLP"}[self.part]

    @property
    def sites(self) -> tuple[str, ...]:
        return (f"{self.block}.{STREAM[self.part][1]}",)

    @property
    def reads(self) -> tuple[str, ...]:
        before = STREAM[self.part][0]
        if (self.part, self.stack) == ("mlp", "decoder"):
            before = "resid_cross"
        return (f"{self.block}.{before}",)

    def apply(self, value: Tensor, site: Site, at: At) -> Tensor:
        """value [B T C]"""
        return at.values[self.reads[0]]

    def misfit(self, attentions: Sequence[AttentionKind]) -> str:
        kinds = {kind.name: kind for kind in attentions}
        if self.attention in kinds:
            return beyond(self.layer, kinds[self.attention].layers, "layer")
        part = "attn" if self.part == "cross" else self.part
        others = [
            replace(self, part=part, stack=name)  # type: ignore[arg-type]
            for name in kinds
            if name != "cross"
        ]
        return elsewhere(self, self.attention, others, attentions)

    @classmethod
    def offers(cls, kind: AttentionKind | None, stack: str, layer: int, head: int) -> Iterable[Edit]:
        if stack == "cross":
            yield cls(layer, "cross")
        else:
            yield cls(layer, "attn", stack)  # type: ignore[arg-type]

    def __str__(self) -> str:
        part = " " + self.part if self.part in ("attn", "mlp") else ""
        return f"skip{part}{self.where}"
