"""How well a text was foreseen, and what an edit changed in what comes next, as plain functions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from model_core.api.edits import parse
from model_core.api.queries.answer import Answer
from numpy.typing import NDArray

from explorer_app.words.blanks import visible_blanks
from explorer_app.words.numbers import percent, short_number
from explorer_app.words.text import tr


@dataclass(frozen=True)
class Total:
    """mean  of the log-probabilities, nats a token; perplexity  e^-mean; count  of the tokens that were foreseen"""

    mean: float
    perplexity: float
    count: int


def total(log_probs: NDArray[np.float32]) -> Total | None:
    """Of the log-probabilities [T-1] of a prompt; None where it has one token and so nothing to foresee."""
    if not log_probs.size:
        return None
    mean = float(log_probs.astype(np.float64).mean())
    return Total(mean, float(np.exp(min(-mean, 700.0))), log_probs.size)


def total_words(log_probs: NDArray[np.float32]) -> str:
    """The whole prompt in one sentence."""
    whole = total(log_probs)
    if whole is None:
        return tr("One token has nothing before it to be predicted from: type a longer prompt.")
    if none := int(np.isnan(log_probs).sum()):
        return tr("No total: {none} of {count} log-probabilities are not numbers (NaN).").format(
            none=none, count=whole.count
        )
    return tr("mean {mean} nats a token, perplexity {perplexity}; {count} predicted").format(
        mean=short_number(whole.mean, 4), perplexity=short_number(whole.perplexity, 4), count=whole.count
    )


def rank_before(id: int, before: Answer | None) -> int | None:
    """The place of a token in an earlier answer; None where it was not among those."""
    return before["ids"].index(id) if before is not None and id in before["ids"] else None


def changed_words(now: Answer, before: Answer, *, baseline: bool = False) -> str:
    """What an edit changed, or how B differs from the baseline A, in one sentence about the likeliest token."""
    first, leader = now["ids"][0], before["ids"][0]
    probability = percent(float(now["probabilities"][0]))
    rank = rank_before(first, before)
    word = visible_blanks(now["strings"][0])
    if first == leader:
        was = percent(float(before["probabilities"][0]))
        if baseline:
            still = tr("“{word}” is first in both: {before} in A, {now} in B.")
        elif was == probability:
            still = tr("Still “{word}” first: {now} before and after.")
        else:
            still = tr("Still “{word}” first: {before} → {now}.")
        return still.format(word=word, before=was, now=probability)
    if rank is None:
        was = tr("not among the {count} likeliest").format(count=len(before["ids"]))
    else:
        was = tr("number {rank} at {before}").format(
            rank=rank + 1, before=percent(float(before["probabilities"][rank]))
        )
    other = (
        tr("“{word}” is first in B at {now}; in A it is {was}, and “{leader}” is first.")
        if baseline
        else tr("“{word}” is first at {now}; before it was {was}, and “{leader}” was first.")
    )
    return other.format(word=word, now=probability, was=was, leader=visible_blanks(before["strings"][0]))


def sees_ahead(edits: Sequence[str]) -> bool:
    """Whether an edit lets tokens see those that they are to foresee."""
    return any(parse(edit).needs_whole_text for edit in edits)
