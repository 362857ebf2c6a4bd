"""What is said of a mask: of its cells, its rule and its switches."""

import numpy as np
from model_core.api.edits import MaskOff
from model_core.api.names import AttentionKind

from explorer_app.panel.head_panel import Floats
from explorer_app.words.attention_text import (
    Sides,
    has_mask,
)
from explorer_app.words.text import tr


def cell_sentence(allowed: bool, tokens: Sides, row: int, col: int) -> str:
    """“·cat” may not look at “·sat”, which comes later."""
    at = tr("itself") if tokens.itself(row, col) else tokens.col(col)
    text = tr("{query} may look at {key}") if allowed else tr("{query} may not look at {key}")
    later = tr(", which comes later") if tokens.later(row, col) else ""
    return text.format(query=tokens.row(row), key=at) + later


def cells_words(values: Floats) -> str:
    """How many of a head's cells are allowed."""
    allowed, every = int((~np.isneginf(values)).sum()), values.size
    return (
        tr("all {all} cells allowed")
        if allowed == every
        else tr("{allowed} of {all} cells allowed, the hatched ones hidden")
    ).format(allowed=f"{allowed:,}", all=f"{every:,}")


def rule_words(kind: AttentionKind) -> str:
    """What the mask of a kind of attention hides, with its name in bold."""
    if not has_mask(kind):
        return {
            "encoder": tr(
                "<b>No mask</b>: the encoder reads the whole source at once, so each of its tokens may look at all "
                "others, later ones too. There is nothing to switch."
            ),
            "cross": tr(
                "<b>No mask</b>: the source is known to its end before the first token of the target is written, so "
                "each target token may look at all of it. There is nothing to switch."
            ),
        }.get(kind.name, tr("<b>No mask</b>: each token may look at all others. There is nothing to switch."))
    causal = tr("<b>Causal mask</b>: no token looks at later ones")
    if kind.window is None:
        return causal
    window = tr(
        "<b>Sliding window</b>: where a layer has one, a token sees the last {count}, itself among them"
    )
    return f"{causal}.<br>{window.format(count=kind.window)}"


def switch_words(kind: AttentionKind, scope: MaskOff) -> str:
    """What a switch takes away."""
    if kind.window is None:
        text = tr("Off: every token looks at all others (“{edit}”)")
    else:
        text = tr(
            "Off: every token looks at all others; the causal mask goes, and with it the window of {count} tokens "
            "(“{edit}”)"
        )
    return text.format(edit=scope, count=kind.window)
