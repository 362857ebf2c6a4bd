"""Edits as people read them; what they type is in model_core.api.edits."""

from model_core.api.edits import KINDS, parse
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind

from explorer_app.words.text import tr


def in_words(edit: str) -> str:
    """ "mask off L3H5" as "mask off · layer 3 head 5"; what is no edit stays as it is."""
    try:
        parsed = parse(edit)
    except InputError:
        return edit
    at = parsed.where
    if at is None:
        return edit
    what = tr(parsed.title).format_map(vars(parsed))
    if at.layer is None:
        where = tr("every layer")
    elif at.head is None:
        where = tr("layer {layer}").format(layer=at.layer)
    else:
        where = tr("layer {layer} head {head}").format(layer=at.layer, head=at.head)
    return " · ".join(part for part in (what, stack_words(at.stack), where) if part)


def stack_words(stack: str) -> str:
    """The name of a kind of attention within a sentence."""
    return {
        "encoder": tr("encoder"),
        "decoder": tr("decoder"),
        "cross": tr("cross"),
    }.get(stack, stack)


def suggestions(layer: int, head: int, stack: str = "", kind: AttentionKind | None = None) -> list[str]:
    """The edits that can be made where the selection is; `kind`: of its attention, where it is known."""
    return [str(edit) for made in KINDS for edit in made.offers(kind, stack, layer, head)]


def examples() -> list[str]:
    """How each kind of edit is written."""
    return [kind.words for kind in KINDS]
