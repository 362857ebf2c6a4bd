"""Edits as people read them; what they type is in model_core.edits."""

from model_core.edits import AblateHead, MaskOff, parse
from model_core.errors import InputError

from explorer_app.text import tr


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
    return f"{what} · {where}"


def suggestions(layer: int, head: int) -> list[str]:
    """The edits that can be made where the selection is."""
    return [str(e) for e in (MaskOff(), MaskOff(layer), MaskOff(layer, head), AblateHead(layer, head))]
