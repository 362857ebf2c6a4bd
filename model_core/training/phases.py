"""A training of several phases: each is a recipe of its own with a new optimiser, and the model and its state go on."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from model_core.api.recipe import Recipe
from model_core.checkpoint.formats import native
from model_core.parts.model import Model
from model_core.training.task import Task
from model_core.training.train import Progress, State, train


def begins(phases: Sequence[Recipe]) -> tuple[int, ...]:
    """The step at which each phase begins, and that at which the last one ends."""
    return tuple(accumulate((phase.steps for phase in phases), initial=0))


def train_phases(
    model: Model,
    phases: Sequence[Recipe],
    tasks: Sequence[Task],
    report: Callable[[Progress], None],
    state: State,
    **watched: Any,
) -> None:
    """Train in place from where the state stands to the end of the last phase; errors and `watched` as `train`'s."""
    *first, last = begins(phases)
    for number, (phase, task, begin) in enumerate(zip(phases, tasks, first, strict=True), 1):
        end = begin + phase.steps
        if state.step >= end < last:
            continue  # done before
        if 0 < begin == state.step:
            # It begins from the model that the phase before has left, as anybody would open it.
            native.round_as_saved(model)
        train(model, task, phase, report, before=begin, after=phases[number:], state=state, **watched)
