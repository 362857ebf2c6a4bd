"""What the norms panel says and which norm it shows, as plain functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer_app.state.focus import block_at, block_of
from explorer_app.state.session import Selection
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

NORM_NAMES = ("norm1", "norm2", "norm3", "norm")


def norms_of(sites: Sequence[Mapping[str, Any]]) -> list[str]:
    """The modules that are norms, in order of computation."""
    outs = [str(site["key"]).removesuffix(".out") for site in sites if str(site["key"]).endswith(".out")]
    return [module for module in outs if module.split(".")[-1] in NORM_NAMES]


def norm_at(sites: Sequence[Mapping[str, Any]], selection: Selection) -> str | None:
    """The norm that a selection means: the last one up to its step, within its block where it lies in one."""
    norms = norms_of(sites)
    places = {str(site["key"]): place for place, site in enumerate(sites)}
    passed = [norm for norm in norms if places[f"{norm}.out"] <= selection.step]
    if not block_of(selection.site):
        return passed[-1] if passed else next(iter(norms), None)
    here = [norm for norm in norms if block_of(norm) == block_at(selection.stack, selection.layer)]
    return next((norm for norm in reversed(passed) if norm in here), next(iter(here), None))


def norm_followed(
    sites: Sequence[Mapping[str, Any]], shown: str | None, before: Selection, now: Selection
) -> str | None:
    """The norm to show when the selection moved: a step is followed; another block keeps the kind of norm."""
    norms = norms_of(sites)
    if shown not in norms or now.site != before.site:
        return norm_at(sites, now)
    block = block_at(now.stack, now.layer)
    if block == block_at(before.stack, before.layer):
        return shown
    here = [norm for norm in norms if block_of(norm) == block]
    same = [norm for norm in here if norm.split(".")[-1] == shown.split(".")[-1]]
    return next(iter([*same, *here]), shown)


def formula(kind: str, eps: float, width: int) -> str:
    """What a norm computes, with its real eps and width."""
    if kind == "RMSNorm":
        words = tr(
            "y = x / rms · gain,  rms = √(mean of x² + {eps}),  over the {width} dimensions of each token"
        )
    elif kind == "StdLayerNorm":
        words = tr(
            "y = (x − mean) / (std + {eps}) · gain + bias,  std² = sum of (x − mean)² / {one_less},  "
            "over the {width} dimensions of each token"
        )
    else:
        words = tr(
            "y = (x − mean) / √(variance + {eps}) · gain + bias,  over the {width} dimensions of each token"
        )
    return words.format(eps=f"{eps:g}", width=width, one_less=width - 1)


def statistics_words(kind: str, eps: float, statistics: Mapping[str, float]) -> str:
    """What was measured at one token, and what the norm divided by there."""
    if kind == "RMSNorm":
        return tr("divided by rms {rms}").format(rms=short_number(statistics["rms"], 5))
    if kind == "StdLayerNorm":
        return tr("mean {mean} taken away, unbiased std {std}: divided by {divisor}").format(
            mean=short_number(statistics["mean"], 5),
            std=short_number(statistics["std"], 5),
            divisor=short_number(statistics["std"] + eps, 5),
        )
    divisor = (statistics["variance"] + eps) ** 0.5
    return tr("mean {mean} taken away, variance {variance}: divided by {divisor}").format(
        mean=short_number(statistics["mean"], 5),
        variance=short_number(statistics["variance"], 5),
        divisor=short_number(divisor, 5),
    )


def largest(values: NDArray[Any], count: int = 3) -> list[int]:
    """The dimensions of the largest magnitudes, largest first."""
    return [int(i) for i in np.argsort(-np.abs(values), kind="stable")[:count]]


def largest_words(values: NDArray[Any], count: int = 3) -> str:
    """The largest dimensions by name: "largest: dimension 37: 2.31, 5: −1.2"."""
    if values.size and (np.isnan(values).all() or (values == values[0]).all()):
        return tr("all {value}").format(value=short_number(float(values[0])))
    pairs = [f"{i}: {short_number(float(values[i]))}" for i in largest(values, count)]
    return tr("largest: dimension {list}").format(list=", ".join(pairs))
