"""The kinds of edits that there are, and what is done with edits of any kind."""

from collections.abc import Iterable, Mapping, Sequence
from reprlib import repr as short
from typing import TypeVar

from model_core.api.edits.edit import Edit
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind
from model_core.api.schema import record, shown

KINDS: list[type[Edit]] = []

Kind = TypeVar("Kind", bound=type[Edit])


def register(kind: Kind) -> Kind:
    """Decorates the frozen dataclass in each kind's file."""
    KINDS.append(kind)
    return kind


def parse(text: str) -> Edit:
    """An edit from its words. InputError, with its `edits`, says which words there are."""
    try:
        for kind in KINDS:
            if (edit := kind.parse(text)) is not None:
                return edit
        raise InputError(f"no edit reads {short(text)}: try {'; '.join(kind.words for kind in KINDS)}")
    except InputError as error:
        error.edits = {text: str(error)}
        raise


def from_json(said: object) -> Edit:
    """An edit from its JSON. InputError where it is none."""
    if not isinstance(said, Mapping):
        raise InputError(f"an edit is {shown(said)}, not an object")
    kinds = {kind.name: kind for kind in KINDS}
    name = said.get("edit")
    if not isinstance(name, str) or name not in kinds:
        raise InputError(f"there is no edit {shown(name)}: try {', '.join(kinds)}")
    return record(
        kinds[name], {field: value for field, value in said.items() if field != "edit"}, f"the edit {name}"
    )


def check(edits: Sequence[Edit], attentions: Sequence[AttentionKind]) -> None:
    """InputError, with its `edits`, where some name an attention, a layer or a head that the model does not have."""
    wrong = {str(edit): why for edit in edits if (why := misfit(edit, attentions))}
    if wrong:
        error = InputError("; ".join(f"{edit}: {why}" for edit, why in wrong.items()))
        error.edits = wrong
        raise error


def misfit(edit: Edit, attentions: Sequence[AttentionKind]) -> str:
    """Why a model with these kinds of attention has no place for an edit; "" where it has one."""
    return edit.misfit(attentions)


def toggled(edits: Iterable[str], edit: str) -> tuple[str, ...]:
    """The edits with one more, or with that one removed where it was there."""
    edits = tuple(edits)
    return tuple(e for e in edits if e != edit) if edit in edits else (*edits, edit)
