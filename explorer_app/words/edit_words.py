"""Edits as people read them; what they type is in model_core.api.edits."""

from model_core.api.edits import AblateHead, MaskOff, parse
from model_core.api.errors import InputError

from explorer_app.words.text import tr


def in_words(edit: str) -> str:
    """ "mask off L3H5" as "mask off · layer 3 head 5"; what is no edit stays as it is."""
    try:
        parsed = parse(edit)
    except InputError:
        return edit
    what = {MaskOff: tr("mask off"), AblateHead: tr("ablate")}[type(parsed)]
    if parsed.layer is None:
        where = tr("every layer")
    elif parsed.head is None:
        where = tr("layer {layer}").format(layer=parsed.layer)
    else:
        where = tr("layer {layer} head {head}").format(layer=parsed.layer, head=parsed.head)
    return " · ".join(part for part in (what, stack_words(parsed.stack), where) if part)


def stack_words(stack: str) -> str:
    """The name of a kind of attention within a sentence."""
    return {
        "encoder": tr("encoder"),
        "decoder": tr("decoder"),
        "cross": tr("cross"),
    }.get(stack, stack)


def suggestions(layer: int, head: int, stack: str = "", masked: bool = True) -> list[str]:
    """The edits that can be made where the selection is; `masked`: whether there is a mask to take off."""
    masks = (MaskOff(), MaskOff(layer, stack=stack), MaskOff(layer, head, stack)) if masked else ()
    return [str(edit) for edit in (*masks, AblateHead(layer, head, stack))]
