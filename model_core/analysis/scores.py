"""What each attention head does on a text that repeats itself (probe.py): three scores between 0 and 1.

Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (previous-token and induction heads);
Olsson et al. 2022, "In-context Learning and Induction Heads" (scores on repeated random tokens).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_core.analysis.probe import probes, stacked
from model_core.api.errors import InputError
from model_core.parts.model import Model
from model_core.taps.trace import to_array

Scores = dict[str, np.ndarray[Any, np.dtype[np.float32]]]


def scores_of(patterns: Tensor, period: int) -> dict[str, Tensor]:
    """Scores [H] of attention patterns [B H T S] on rows that repeat after `period` tokens, T = S = 2 period.

    previous   mean weight from t to t - 1, over all t but the first (Elhage et al. 2021)
    induction  mean weight from t in the second half to t - period + 1, the token that came after the same token the
               last time (Olsson et al. 2022, "prefix matching")
    duplicate  mean weight from t in the second half to t - period, the same token itself (Wang et al. 2022)
    """

    def mean_weight(back: int, first: int) -> Tensor:
        """From every t >= first to t - back."""
        return patterns.diagonal(-back, dim1=-2, dim2=-1)[..., first - back :].float().mean((0, -1))

    return {
        "previous": mean_weight(1, 1),
        "induction": mean_weight(period - 1, period),
        "duplicate": mean_weight(period, period),
    }


def head_scores(model: Model, *, length: int = 64, rows: int = 8, seed: int = 0) -> Scores:
    """Each of the scores of `scores_of` for every head, [L H], averaged over `rows` probes of `length` tokens twice.

    A context that is too short for that has the probe shortened to half of it. InputError where that leaves less than
    two tokens, and for a model that reads two texts.
    """
    if len(model.inputs) > 1:
        raise InputError("heads are scored on one text that repeats itself; this model reads two")

    def draw(count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(model.config.vocab_size, (count,), generator=generator)

    found = [
        stacked([scores_of(trace[key], len(tokens) // 2) for key in trace])
        for tokens, trace in probes(model, ["pattern"], draw=draw, length=length, rows=rows, seed=seed)
    ]
    return {name: to_array(torch.stack([row[name] for row in found]).mean(0)) for name in found[0]}


def describe(scores: Scores) -> str:
    """The best head of each score, and a table of all heads, as plain text."""
    layers, heads = scores["previous"].shape
    lines = []
    for name, values in scores.items():
        layer, head = divmod(int(values.argmax()), heads)
        lines.append(f"best {name:<9}  {f'L{layer}H{head}':<8} {values[layer, head]:.3f}")
    lines += ["", "head     " + "".join(f"{name:>11}" for name in scores)]
    for layer in range(layers):
        for head in range(heads):
            cells = "".join(f"{values[layer, head]:>11.3f}" for values in scores.values())
            lines.append(f"{f'L{layer}H{head}':<9}{cells}")
    return "\n".join(lines)
