"""What both pictures of attention say and ask in the same words: whose head, which cell, what the mask does."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from model_core.edits import AnyEdit, MaskOff, parse
from model_core.errors import InputError
from model_core.queries import Answer, Query, query
from numpy.typing import NDArray

from explorer_app.session import Session
from explorer_app.text import tr
from explorer_app.widgets.blanks import visible_blanks

OVERVIEW_SIDE = 48
LAYER_BYTES = 16 << 20

Floats = NDArray[np.float32]


def map_query(session: Session, word: str, layer: int | None = None) -> Query:
    """The [T S] maps of a layer (the focused one), all heads in one answer, so that the next head asks for nothing.

    Where those would be more than LAYER_BYTES, the focused head alone.
    """
    head, run = session.selection.head, session.run
    site = f"blocks.{session.selection.layer if layer is None else layer}.attn.{word}"
    if run is not None and run["heads"] * len(run["tokens"]) ** 2 * 4 > LAYER_BYTES:
        return query("value", site=site, at={"H": head})
    return query("value", site=site)


def head_map(answer: Answer, head: int) -> Floats:
    """[T S] of one head, from an answer to `map_query`."""
    values: Floats = answer["values"]
    return values if values.ndim == 2 else values[head]


def overview_query(word: str) -> Query:
    """Small maps of every layer and head."""
    return query("overview", word=word, side=OVERVIEW_SIDE)


def token_labels(run: Answer) -> list[str]:
    """The prompt's tokens with their blanks drawn."""
    return [visible_blanks(text) for text in run["strings"]]


def token_name(labels: Sequence[str], position: int) -> str:
    """“·cat”, or “·cat” (7) where the same token stands more than once; positions count from 0."""
    quoted = f"“{labels[position]}”"
    return quoted if labels.count(labels[position]) == 1 else f"{quoted} ({position})"


def sharing(head: int, heads: int, kv_heads: int) -> str:
    """Which key/value head a query head reads, and with whom; "" where every head has its own.

    Grouped-query attention (Ainslie et al. 2023): heads / kv_heads neighbours share one.
    """
    times = heads // kv_heads
    if times == 1:
        return ""
    group = head // times
    if kv_heads == 1:
        return tr("all heads share one key/value head")
    others = [other for other in range(group * times, (group + 1) * times) if other != head]
    text = (
        tr("shares key/value head {group} with head {others}")
        if len(others) == 1
        else tr("shares key/value head {group} with heads {others}")
    )
    return text.format(group=group, others=", ".join(map(str, others)))


def known_edits(edits: Iterable[str]) -> list[AnyEdit]:
    """The edits that can be read; the engine says what is wrong with the others."""
    known = []
    for edit in edits:
        try:
            known.append(parse(edit))
        except InputError:
            continue
    return known


def mask_is_off(edits: Iterable[Any], layer: int, head: int) -> bool:
    """Whether any of the (parsed) edits takes the mask from this head."""
    return any(
        isinstance(edit, MaskOff) and edit.layer in (None, layer) and edit.head in (None, head)
        for edit in edits
    )
