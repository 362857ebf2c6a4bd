"""Where a run leaves the finite numbers: the first value that holds NaN or infinity though what it is made of does not.

Minus infinity in a mask, and in scores that a mask was added to, is how attention hides a key: it is no such value.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from model_core.api.names import Site
from model_core.runs.run import Run

MASKS = ("mask", "masked")


@dataclass(frozen=True)
class NotFinite:
    """The first site, in order of computation, whose values are not finite.

    nan      whether it holds NaN; else infinity
    inputs   the largest magnitude among the values that it is computed from, None where there are none
    weights  the largest magnitude among the weights that come in there, None where there are none
    """

    site: Site
    nan: bool
    inputs: float | None
    weights: float | None

    def __str__(self) -> str:
        what = "NaN (not a number)" if self.nan else "infinite"
        largest = {"input": self.inputs, "weight": self.weights}
        told = [f"its largest {of} is {number:.3g}" for of, number in largest.items() if number is not None]
        most = torch.finfo(getattr(torch, self.site.dtype)).max
        room = f"{self.site.dtype} holds up to {most:.3g}"
        return f"from {self.site.key} on, values are {what}: {'; '.join([', '.join(told), room])}"


def is_sound(key: str, value: Tensor) -> bool:
    """Whether the value of a site has finite numbers only, or minus infinity as well where a mask hides keys."""
    if not value.is_floating_point() or not value.numel():
        return True
    low, high = value.aminmax()
    hides = key.rpartition(".")[2] in MASKS and bool(low.isneginf())
    return bool(high.isfinite()) and (bool(low.isfinite()) or hides)


def is_sound_run(run: Run) -> bool:
    """Whether all that a run has kept is sound: the logits, and what goes into each block. Nothing is replayed."""
    return all(is_sound(key, run.trace[key]) for key in run.trace)


def first_not_finite(run: Run, cancelled: Callable[[], bool] = lambda: False) -> NotFinite | None:
    """Where it began, found by replaying the blocks up to there; None where every value is sound. Raises Cancelled."""
    for key, site in run.sites.items():
        value = run.value(key, cancelled)
        if not is_sound(key, value):
            return NotFinite(site, bool(value.isnan().any()), *largest_before(run, key))
    return None


def largest_before(run: Run, key: str) -> tuple[float | None, float | None]:
    """The largest magnitudes among the values, and among the weights, that a site is computed from.

    A mask's hidden keys do not count.
    """
    inputs = (run.value(source) for source in run.graph.predecessors(key) if source in run.sites)
    weights = map(run.model.get_parameter, run.graph.nodes[key]["weights"])
    return largest(value.masked_fill(value.isneginf(), 0) for value in inputs), largest(weights)


def largest(values: Iterable[Tensor]) -> float | None:
    """The largest magnitude, NaN where there is one."""
    ends = [end for value in values for end in value.detach().aminmax()]
    return float(torch.stack([end.abs().double() for end in ends]).max()) if ends else None
