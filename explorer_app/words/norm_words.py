"""What the norms panel says and which norm it shows, as plain functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from model_core.api.queries.answer import Answer
from numpy.typing import NDArray

from explorer_app.state.focus import block_at, block_of
from explorer_app.state.selection import Selection
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


def formula_words(norm: Answer) -> str:
    """What a norm computes, with its real eps and width."""
    width = len(norm["gain"])
    words = tr(norm["formula"]).format(eps=f"{norm['eps']:g}", width=width, one_less=width - 1)
    return f"{norm['kind']}:  {words}"


def statistics_words(norm: Answer, token: int) -> str:
    """What was measured at one token, and what the norm divided by there."""
    at = {name: short_number(float(norm[name][token]), 5) for name in (*norm["measures"], "divisor")}
    return tr(norm["sentence"]).format(**at)


def largest(values: NDArray[Any], count: int = 3) -> list[int]:
    """The dimensions of the largest magnitudes, largest first."""
    return [int(i) for i in np.argsort(-np.abs(values), kind="stable")[:count]]


def largest_words(values: NDArray[Any], count: int = 3) -> str:
    """The largest dimensions by name: "largest: dimension 37: 2.31, 5: −1.2"."""
    if values.size and (np.isnan(values).all() or (values == values[0]).all()):
        return tr("all {value}").format(value=short_number(float(values[0])))
    pairs = [f"{i}: {short_number(float(values[i]))}" for i in largest(values, count)]
    return tr("largest: dimension {list}").format(list=", ".join(pairs))
