"""What edits need before a run: a place in the model, and the tensors that they refer to."""

from collections.abc import Callable, Sequence

from torch import Tensor

from model_core.api.edits import Edit, check
from model_core.api.edits.edit import Reference
from model_core.api.errors import InputError
from model_core.api.names import select
from model_core.parts.model import Model
from model_core.runs.graph import measured

ReadSite = Callable[[str, str], Tensor]
"""(file, key): the value of a site in a file that `trace` wrote. InputError, in one line, where there is none."""


def no_files(file: str, key: str) -> Tensor:
    """Of a run that reads no files."""
    raise InputError(f"{file} cannot be read by this run")


def prepare(
    model: Model, edits: Sequence[Edit], read: ReadSite, *, cached: bool = False
) -> dict[Reference, Tensor]:
    """The tensors that the edits refer to. InputError where the model has no place for an edit.

    cached  whether the run has a cache, and the sites that come with it
    """
    check(edits, model.attentions)
    tensors: dict[Reference, Tensor] = {}
    for edit in edits:
        try:
            select(edit.named, measured(model, cached) if edit.named else ())
            tensors |= {reference: read(*reference) for reference in edit.refers}
        except InputError as error:
            raise InputError(f"{edit}: {error}") from None
    return tensors
