"""Numbers that are derived from a run and never stored. Each says exactly what it computes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_core.taps.trace import wide

HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class NextToken:
    """The likeliest tokens after the prompt, and how well each token of the prompt was foreseen."""

    ids: Tensor  # [k]
    probabilities: Tensor  # [k]
    log_probs: Tensor  # [T-1], nats, of tokens 1..T-1 given those before
    ranks: Tensor  # [T-1], 0 where the token was the likeliest


def next_token(logits: Tensor, tokens: list[int], k: int) -> NextToken:
    """logits [T V] of a prompt and its T tokens."""
    top = wide(logits[-1]).softmax(-1).topk(min(k, logits.shape[-1]))
    ahead, actual = wide(logits[:-1]), torch.tensor(tokens[1:], device=logits.device)[:, None]
    chosen = ahead.gather(-1, actual)
    return NextToken(
        ids=top.indices,
        probabilities=top.values,
        log_probs=(chosen - ahead.logsumexp(-1, keepdim=True))[:, 0],
        ranks=(ahead > chosen).sum(-1),
    )


def cosines(rows: Tensor) -> Tensor:
    """rows [T C] -> cosine of the angle between every two of them [T T]; rounding beyond 1 is taken off."""
    rows = wide(rows)
    # Squares of very large and very small numbers are no numbers that can be held.
    rows = rows / rows.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    units = torch.nn.functional.normalize(rows, dim=-1)
    return (units @ units.T).clamp(-1, 1)


def statistics(values: np.ndarray[Any, Any]) -> dict[str, float | int]:
    """Of the finite values: smallest, largest, mean, standard deviation; and how many are -inf, +inf and NaN."""
    finite = values[np.isfinite(values)].astype(np.float64)
    counts: dict[str, float | int] = {
        "count": int(values.size),
        "minus_infinite": int(np.isneginf(values).sum()),
        "plus_infinite": int(np.isposinf(values).sum()),
        "nan": int(np.isnan(values).sum()),
    }
    if not finite.size:
        return counts
    unit = unit_of(finite)
    return counts | {
        "min": float(finite.min()),
        "max": float(finite.max()),
        "mean": float((finite / unit).mean() * unit),
        "std": float((finite / unit).std() * unit),
    }


def unit_of(finite: np.ndarray[Any, Any]) -> float:
    """What to divide float64 values by so that sums of their squares stay finite; 1 for all but gigantic ones."""
    return max(1.0, float(np.abs(finite).max(initial=0)) / 1e100)


def histogram(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Counts [40] of the finite values, and the 41 edges between the smallest and the largest; around one alone."""
    finite = values[np.isfinite(values)].astype(np.float64)
    unit = unit_of(finite)
    finite = finite / unit
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    # Values of which some are the next number to others leave no room for edges between them.
    narrow = high - low < 4 * HISTOGRAM_BINS * np.spacing(max(abs(low), abs(high)))
    # A half to each side vanishes beside a value as large as float32 can hold.
    margin = max(0.5, abs(low) / 2) if narrow else 0.0
    counts, edges = np.histogram(finite, HISTOGRAM_BINS, (low - margin, high + margin))
    return counts, edges * unit


def shrink(maps: Tensor, side: int) -> Tensor:
    """maps [... T S] no larger than side x side: each cell the largest of those it covers, so that no peak is lost."""
    rows, columns = (min(side, n) for n in maps.shape[-2:])
    if (rows, columns) == tuple(maps.shape[-2:]):
        return maps
    return torch.nn.functional.adaptive_max_pool2d(maps.float(), (rows, columns))
