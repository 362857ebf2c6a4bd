"""Which edits switch a mask off, and what a switch makes of them."""

from collections.abc import Iterable

from model_core.api.edits import MaskOff
from model_core.api.names import AttentionKind
from PySide6.QtCore import Qt

from explorer_app.words.attention_text import (
    covers,
    known_edits,
    mask_is_off,
)


def within_scope(edit: MaskOff, scope: MaskOff) -> bool:
    """Whether an edit takes the mask from heads of this scope only."""
    return covers(scope, edit)


def causal_state(edits: Iterable[str], scope: MaskOff, kind: AttentionKind) -> Qt.CheckState:
    """Whether the mask is in force for all heads of the scope in this kind of attention, for some, or for none."""
    known = known_edits(edits)
    cells = [
        (layer, head)
        for layer in (range(kind.layers) if scope.layer is None else [scope.layer])
        for head in (range(kind.heads) if scope.head is None else [scope.head])
    ]
    off = sum(mask_is_off(known, *cell, kind.name) for cell in cells)
    if off == 0:
        return Qt.CheckState.Checked
    return Qt.CheckState.Unchecked if off == len(cells) else Qt.CheckState.PartiallyChecked


def switched(edits: Iterable[str], scope: MaskOff, on: bool) -> tuple[str, ...]:
    """The edits with the mask on or off in a scope; what took it off in parts of the scope goes either way."""
    kept = tuple(
        text
        for text in edits
        if not any(isinstance(e, MaskOff) and within_scope(e, scope) for e in known_edits([text]))
    )
    return kept if on else (*kept, str(scope))


def wider_edit(edits: Iterable[str], scope: MaskOff) -> MaskOff | None:
    """The edit that takes the mask off in more than this scope, and so decides over it."""
    for edit in known_edits(edits):
        if isinstance(edit, MaskOff) and edit != scope and covers(edit, scope):
            return edit
    return None
