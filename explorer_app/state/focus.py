"""One focus for every view: which block and which attention a site means, and the same tokens seen from each attention.

An encoder-decoder reads two texts and has three kinds of attention. A cursor is two token positions, of the texts along
which the queries and the keys of one kind run; another kind shows those of its tokens that it has as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model_core.api.names import ATTENTION_PATHS, AttentionKind
from model_core.api.queries.answer import Answer

Role = Literal["query", "key"]
ROLES: tuple[Role, Role] = ("query", "key")


@dataclass(frozen=True)
class Cursor:
    """query, key  token positions, None where there is none
    stack       the name of the kind of attention whose queries and keys they are
    """

    query: int | None = None
    key: int | None = None
    stack: str = ""


def kinds_of(run: Answer) -> list[AttentionKind]:
    """The kinds of attention of a run's model, in the order of computation."""
    return [AttentionKind(**fields) for fields in run["attentions"]]


def kind_named(kinds: Sequence[AttentionKind], name: str) -> AttentionKind:
    """The kind of that name, the first where there is none such."""
    return next((kind for kind in kinds if kind.name == name), kinds[0])


def seen_from(cursor: Cursor, of: AttentionKind, onto: AttentionKind) -> tuple[int | None, int | None]:
    """The row and the column at which one kind of attention shows the tokens of a cursor in another.

    A row is a token of the text whose tokens look there, a column one of those looked at; a token keeps its role where
    it can: of a cursor (target 3, source 5) in cross-attention the encoder shows row and column 5, the decoder 3.
    """
    if of.name == onto.name:
        return cursor.query, cursor.key
    places = ((of.queries, cursor.query), (of.keys, cursor.key))

    def place(text: int, first: int) -> int | None:
        of_text = (at for whose, at in (places[first], places[1 - first]) if whose == text)
        return next((at for at in of_text if at is not None), None)

    return place(onto.queries, 0), place(onto.keys, 1)


def token_of(cursor: Cursor, of: AttentionKind, text: int, role: Role = "query") -> int | None:
    """The position in a text that a cursor means, preferably in that role; None where it means none there."""
    places: dict[Role, tuple[int, int | None]] = {
        "query": (of.queries, cursor.query),
        "key": (of.keys, cursor.key),
    }
    other: Role = "key" if role == "query" else "query"
    whose, at = places[role] if places[role][0] == text else places[other]
    return at if whose == text else None


def cursor_at(
    kinds: Sequence[AttentionKind], stack: str, text: int, position: int | None, role: Role = "query"
) -> dict[str, int | str | None]:
    """The fields of the selection that point at a token of a text.

    They stay within the kind of attention in focus where that has the text, in the role where it can be had.
    """
    kind = kind_named(kinds, stack)
    roles: dict[Role, int] = {"query": kind.queries, "key": kind.keys}
    other: Role = "key" if role == "query" else "query"
    for found in (role, other):
        if roles[found] == text:
            return {found: position}
    elsewhere = next((kind.name for kind in kinds if kind.queries == text), kind.name)
    return {"stack": elsewhere, "query": position, "key": None}


def block_of(path: str) -> str:
    """The block that a site or module lies in: "decoder.blocks.3" of "decoder.blocks.3.cross.q"; "" outside of all."""
    parts = path.split(".")
    for n in range(1, len(parts)):
        if parts[n - 1] == "blocks" and parts[n].isdigit():
            return ".".join(parts[: n + 1])
    return ""


def block_at(stack: str, layer: int) -> str:
    """The block in which a layer of a kind of attention lies: "decoder.blocks.3"."""
    return ATTENTION_PATHS[stack].format(layer=layer).rpartition(".")[0]


def stack_at(path: str, kinds: Sequence[AttentionKind], present: str) -> str:
    """The kind of attention that a site or module belongs to: its own, or one of the same stack of blocks."""
    block = block_of(path)
    if block:
        layer = int(block.rpartition(".")[2])
        part = path.removeprefix(block + ".").partition(".")[0]
        for kind in kinds:
            if ATTENTION_PATHS[kind.name].format(layer=layer) == f"{block}.{part}":
                return kind.name
    top = path.partition(".")[0]
    near = [kind.name for kind in kinds if ATTENTION_PATHS[kind.name].partition(".")[0] == top]
    return present if present in near or not near else near[0]


def place_of(keys: Sequence[str], site: str, block: str, otherwise: int) -> int:
    """Where among the sites of a model the one lies that was chosen in another: the site of that name.

    Else the one of that name in the block that is chosen now, else the first of that block, else `otherwise`.
    """
    places = {key: place for place, key in enumerate(keys)}
    found = [places.get(site)]
    if block_of(site):
        found += [places.get(moved(site, block))]
        found += [place for key, place in places.items() if block_of(key) == block][:1]
    return next((place for place in found if place is not None), min(max(otherwise, 0), len(keys) - 1))


ATTENTIONS = {path.rpartition(".")[2] for path in ATTENTION_PATHS.values()}
"""What attention is called in a block."""


def moved(site: str, block: str, stack: str | None = None) -> str:
    """The site of the same name in another block, and of an attention in the one of that kind.

    One outside of all blocks stays where it is.
    """
    own = block_of(site)
    part, dot, name = site.removeprefix(own + ".").partition(".")
    if stack is not None and part in ATTENTIONS:
        part = ATTENTION_PATHS[stack].rpartition(".")[2]
    return f"{block}.{part}{dot}{name}" if own else site
