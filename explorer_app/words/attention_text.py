"""What both pictures of attention say and ask in the same words: whose head, which cell, what the mask does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from model_core.api.edits import Edit, MaskOff, parse
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.values import HeadMaps, SiteValue
from numpy.typing import NDArray

from explorer_app.state.session import Session
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.text import tr

OVERVIEW_SIDE = 48
LAYER_BYTES = 16 << 20

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sides:
    """The tokens along both sides of a map, their blanks drawn; `same`: both sides are one text."""

    rows: list[str]
    cols: list[str]
    same: bool = True

    def row(self, position: int) -> str:
        return token_name(self.rows, position)

    def col(self, position: int) -> str:
        return token_name(self.cols, position)

    def itself(self, row: int, col: int) -> bool:
        return self.same and row == col

    def later(self, row: int, col: int) -> bool:
        """Whether the token that is looked at comes after the one that looks."""
        return self.same and col > row


def sides(run: Answer, kind: AttentionKind) -> Sides:
    """Who looks and at whom, in one kind of attention."""
    rows, cols = (
        [visible_blanks(text) for text in run["texts"][n]["strings"]] for n in (kind.queries, kind.keys)
    )
    return Sides(rows, cols, kind.queries == kind.keys)


def side_titles(run: Answer, kind: AttentionKind) -> tuple[str, str]:
    """The titles of both sides: who looks at whom, and in which text where there are several."""
    looks, at = tr("who looks (query)"), tr("at whom (key)")
    if len(run["texts"]) == 1:
        return looks, at
    names = (text_words(run["texts"][n]["name"]) for n in (kind.queries, kind.keys))
    return tuple(f"{title}: {name}" for title, name in zip((looks, at), names, strict=True))  # type: ignore[return-value]


def text_words(name: str) -> str:
    """What a text is called: "source" is what the encoder reads, "target" what the decoder reads."""
    return {"source": tr("source"), "target": tr("target")}.get(name, name)


def kind_words(kind: AttentionKind) -> str:
    """What a kind of attention is called where there are several."""
    return {
        "encoder": tr("Encoder self"),
        "decoder": tr("Decoder self (masked)"),
        "cross": tr("Cross: target looks at source"),
    }.get(kind.name, kind.name)


def kind_about(kind: AttentionKind) -> str:
    """What a kind of attention does, in a sentence."""
    return {
        "encoder": tr(
            "In the encoder each token of the source looks at all of the source; nothing is masked."
        ),
        "decoder": tr(
            "In the decoder each token of the target looks at the target, but not at what comes later."
        ),
        "cross": tr(
            "In each decoder block every token of the target looks at what the encoder made of the source."
        ),
    }.get(kind.name, "")


def has_mask(kind: AttentionKind) -> bool:
    """Whether anything is hidden from anybody."""
    return kind.causal or kind.window is not None


def head_title(kind: AttentionKind, layer: int, head: int) -> str:
    """ "layer 1 · head 2", after the kind of attention where there are several."""
    place = tr("layer {layer} · head {head}").format(layer=layer, head=head)
    return f"{kind_words(kind)} · {place}" if kind.name else place


def map_query(
    session: Session, word: str, layer: int | None = None, kind: AttentionKind | None = None
) -> Query:
    """The [T S] maps of a layer (the focused one), all heads in one answer, so that the next head asks for nothing.

    Where those would be more than LAYER_BYTES, the focused head alone. The session's run is known.
    """
    kind, run, selection = kind or session.attention, session.run, session.selection
    assert kind is not None
    assert run is not None
    layer = min(selection.layer, kind.layers - 1) if layer is None else layer
    rows, cols = map_size(run, kind)
    if kind.heads * rows * cols * 4 > LAYER_BYTES:
        return SiteValue(site=kind.site(layer, word), at={"H": min(selection.head, kind.heads - 1)})
    return SiteValue(site=kind.site(layer, word))


def map_size(run: Answer, kind: AttentionKind) -> tuple[int, int]:
    """Rows and columns of the maps of a kind of attention."""
    rows, cols = (len(run["texts"][n]["tokens"]) for n in (kind.queries, kind.keys))
    return rows, cols


def head_map(answer: Answer, head: int) -> Floats:
    """[T S] of one head, from an answer to `map_query`."""
    values: Floats = answer["values"]
    return values if values.ndim == 2 else values[head]


def overview_query(word: str, kind: AttentionKind) -> Query:
    """Small maps of every layer and head."""
    return HeadMaps(word=word, stack=kind.name, side=OVERVIEW_SIDE)


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


def known_edits(edits: Iterable[str]) -> list[Edit]:
    """The edits that can be read; the engine says what is wrong with the others."""
    known = []
    for edit in edits:
        try:
            known.append(parse(edit))
        except InputError:
            continue
    return known


def mask_is_off(edits: Iterable[Any], layer: int, head: int, stack: str = "") -> bool:
    """Whether any of the (parsed) edits takes the mask from this head."""
    return any(isinstance(edit, MaskOff) and covers(edit, MaskOff(layer, head, stack)) for edit in edits)


def covers(edit: MaskOff, scope: MaskOff) -> bool:
    """Whether an edit takes the mask from all heads of a scope."""
    if edit.layer is None and not edit.stack:
        return True
    return edit.stack == scope.stack and edit.layer in (None, scope.layer) and edit.head in (None, scope.head)
