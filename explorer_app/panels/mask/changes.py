"""What a change of the edits did: to the next token, and to whom the heads attend."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.values import HeadMaps
from numpy.typing import NDArray

from explorer_app.panel.head_panel import Floats
from explorer_app.words.attention_text import (
    OVERVIEW_SIDE,
    map_size,
    overview_query,
)
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.numbers import percent
from explorer_app.words.text import tr

COMPARED_CELLS = 4 << 20


@dataclass(frozen=True)
class Change:
    """A next token, its probability before and now; None where it was not among the likeliest that are listed."""

    text: str
    before: float | None
    now: float | None
    climbed: int | None


def token_changes(before: Answer, now: Answer) -> list[Change]:
    """Every token that is listed before or now: those of now first, likeliest first."""
    old = {id: rank for rank, id in enumerate(before["ids"])}
    changes = [
        Change(
            visible_blanks(text),
            float(before["probabilities"][old[id]]) if id in old else None,
            float(now["probabilities"][rank]),
            old[id] - rank if id in old else None,
        )
        for rank, (id, text) in enumerate(zip(now["ids"], now["strings"], strict=True))
    ]
    gone = [
        Change(visible_blanks(text), float(before["probabilities"][rank]), None, None)
        for rank, (id, text) in enumerate(zip(before["ids"], before["strings"], strict=True))
        if id not in now["ids"]
    ]
    return changes + gone


def most_changed(changes: Sequence[Change], floor_before: float, floor_now: float) -> str:
    """“·the” 12.0 % → 31.0 %. The floors are the least probabilities listed: what is not listed is below them."""

    def size(change: Change) -> float:
        was = floor_before if change.before is None else change.before
        is_ = floor_now if change.now is None else change.now
        return abs(is_ - was)

    def say(share: float | None, floor: float) -> str:
        return tr("under {share}").format(share=percent(floor)) if share is None else percent(share)

    sizes = [size(change) for change in changes]
    if not np.isfinite(sizes).all():
        return tr("The probabilities cannot be compared: some are not numbers (NaN).")
    change = changes[int(np.argmax(sizes))]
    if size(change) == 0:
        return tr("The likeliest next tokens stayed exactly as they were.")
    return tr("Most changed: “{token}” {before} → {now}").format(
        token=change.text, before=say(change.before, floor_before), now=say(change.now, floor_now)
    )


def compared_side(kind: AttentionKind) -> int:
    """How long a text may be so that the patterns of all heads, before and now, are compared cell by cell."""
    return math.isqrt(COMPARED_CELLS // (kind.layers * kind.heads))


def comparable(run: Answer, kind: AttentionKind) -> bool:
    """Whether the texts are short enough for that."""
    return max(map_size(run, kind)) <= compared_side(kind)


def patterns_query(run: Answer, kind: AttentionKind) -> Query:
    """All patterns, whole where possible; short prompts share the answer with the attention panel."""
    if max(map_size(run, kind)) <= OVERVIEW_SIDE:
        return overview_query("pattern", kind)
    return HeadMaps(word="pattern", stack=kind.name, side=compared_side(kind))


def moved_attention(before: Floats, now: Floats) -> NDArray[np.float64]:
    """[L H]: the share of a token's attention that went elsewhere, the mean over all tokens; maps [L H T S].

    Half the sum of absolute differences along a row: the total variation distance of two distributions.
    """
    moved: NDArray[np.float64] = np.abs(now - before).sum(-1, dtype=np.float64).mean(-1) / 2
    return moved


def what_changed(before: Iterable[str], now: Iterable[str]) -> str:
    """The title of the comparison: which edit came, or went."""
    before, now = set(before), set(now)
    come, gone = sorted(now - before), sorted(before - now)
    if come and not gone:
        return tr("What “{edits}” changed").format(edits=", ".join(come))
    if gone and not come:
        return tr("What taking back “{edits}” changed").format(edits=", ".join(gone))
    return tr("What the last change of the edits did")
