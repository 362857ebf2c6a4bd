"""What the engine says of a norm, without a model around it."""

import torch

from model_core.api.queries.answer import Answer
from model_core.parts.norm import Norm
from model_core.taps.trace import to_array


def told_of(norm: Norm, x: int | list[list[float]]) -> Answer:
    """Facts, gain and statistics of a norm of x [T C], or of one token of zeros so wide."""
    before = torch.zeros(1, x) if isinstance(x, int) else torch.tensor(x)
    facts = {name: getattr(norm, name) for name in ("eps", "formula", "measures", "title", "sentence")}
    arrays = {"gain": norm.weight, **norm.statistics(before)}
    return Answer(
        {"kind": type(norm).__name__, **facts}, {name: to_array(array) for name, array in arrays.items()}
    )
