"""The three maps that attention passes through, and what is said of their cells and heads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from model_core.api.edits import AblateHead, Edit, MaskOff
from model_core.api.names import AttentionKind
from numpy.typing import NDArray

from explorer_app.widgets.maps.colours import Colours, Floats
from explorer_app.words.attention_text import (
    Sides,
    has_mask,
    mask_is_off,
)
from explorer_app.words.numbers import percent, short_number
from explorer_app.words.text import tr


@dataclass(frozen=True)
class Stage:
    """One of the T x S maps that attention passes through, in the model's own word for it."""

    word: str
    title: str
    about: str
    colours: Colours


def stages() -> dict[str, Stage]:
    """The stages in the order of computation, by their word."""
    found = (
        Stage(
            "scores",
            tr("Scores"),
            tr("Query · key / √width of a head: how well each key answers each query, before the mask"),
            "diverging",
        ),
        Stage(
            "masked",
            tr("Masked scores"),
            tr("The scores after the mask was added: a hidden key has −∞ and can get no attention"),
            "diverging",
        ),
        Stage(
            "pattern",
            tr("Pattern"),
            tr("Softmax of the masked scores: each row shares out 100 % of one token's attention"),
            "sequential",
        ),
    )
    return {stage.word: stage for stage in found}


def cell_sentence(word: str, value: float, tokens: Sides, row: int, col: int) -> str:
    """What one cell says: “it” attends 62.1 % to “cat”."""
    looks, at = tokens.row(row), tokens.col(col)
    later = tr(", which comes later") if tokens.later(row, col) else ""
    if np.isnan(value):
        return tr("{query} to {key}: not a number").format(query=looks, key=at)
    if word == "pattern":
        text = tr("{query} attends {share} to {key}").format(
            query=looks, share=percent(value), key=tr("itself") if tokens.itself(row, col) else at
        )
        return text + later
    pair = tr("{query} · {key}").format(query=looks, key=at) + later
    if np.isneginf(value):
        return tr("{pair}: hidden by the mask").format(pair=pair)
    return tr("{pair}: score {score}").format(pair=pair, score=short_number(value, 4))


def without_partners_hidden(values: Floats) -> Floats:
    """What differs, hatched where one of the two has no such token."""
    return np.where(np.isnan(values), np.float32(-np.inf), values)


def difference_sentence(value: float, tokens: Sides, row: int, col: int) -> str:
    """What a cell has more in B than in A."""
    pair = tr("{query} · {key}").format(query=tokens.row(row), key=tokens.col(col))
    if np.isnan(value):
        return tr("{pair}: one of them has no such token, or no number there").format(pair=pair)
    return tr("{pair}: B − A = {value}").format(pair=pair, value=short_number(value, 4))


def scale_words(limits: tuple[float, float] | NDArray[np.float64]) -> str:
    """What the colours of the overview stand for: one scale, or one for each head [L H 2], about zero."""
    if isinstance(limits, tuple):
        low, high = map(short_number, limits)
        return tr("One scale: {low} to {high}").format(low=low, high=high)
    least, most = (short_number(float(reach)) for reach in (limits[..., 1].min(), limits[..., 1].max()))
    return tr("Own scales: ±{least} to ±{most}").format(least=least, most=most)


def head_marks(
    edits: Sequence[Edit], kind: AttentionKind
) -> tuple[dict[tuple[int, int], str], dict[tuple[int, int], str]]:
    """Signs and words for the heads that edits change; a mask that is off everywhere marks none of them."""
    signs: dict[tuple[int, int], str] = {}
    notes: dict[tuple[int, int], str] = {}
    everywhere = MaskOff() in edits
    for layer, head in np.ndindex(kind.layers, kind.heads):
        ablated = AblateHead(layer, head, kind.name) in edits
        unmasked = has_mask(kind) and mask_is_off(edits, layer, head, kind.name)
        words = [tr("ablated")] * ablated + [tr("mask off")] * unmasked
        if ablated or (unmasked and not everywhere):
            signs[layer, head] = "✕" if ablated else "M"
        if words:
            notes[layer, head] = ", ".join(words)
    return signs, notes
