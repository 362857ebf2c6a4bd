"""What edits have in common that name one site by its key."""

from __future__ import annotations

import re
from collections.abc import Sequence

from model_core.api.edits.edit import Edit, beyond
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind

KEY = r"(?P<key>[a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)*)"
WHOLE_KEY = re.compile(KEY, re.A)
IN_BLOCK = re.compile(r"(?:(?P<stack>encoder|decoder)\.)?blocks\.(?P<layer>\d{1,6})\.")


class SiteEdit(Edit):
    """An edit of one site, which is named by its key."""

    key: str

    def __post_init__(self) -> None:
        if not WHOLE_KEY.fullmatch(self.key):
            raise InputError(f"{self.key!r} is no key of a site such as blocks.3.attn.pattern")

    @property
    def sites(self) -> tuple[str, ...]:
        return (self.key,)

    @property
    def named(self) -> tuple[str, ...]:
        return (self.key,)

    def misfit(self, attentions: Sequence[AttentionKind]) -> str:
        if not (found := IN_BLOCK.match(self.key)):
            return ""
        layers = {kind.name: kind.layers for kind in attentions}
        if (stack := found["stack"] or "") not in layers:
            return f"there is no site '{self.key}' in this model"
        return beyond(int(found["layer"]), layers[stack], "layer")
