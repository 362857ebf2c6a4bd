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


def changed_words(now: Answer, before: Answer) -> str:
    """What an edit changed, in one sentence about the likeliest token."""
    first, leader = now["ids"][0], before["ids"][0]
    probability = percent(float(now["probabilities"][0]))
    rank = rank_before(first, before)
    word = visible_blanks(now["strings"][0])
    if first == leader:
        was = percent(float(before["probabilities"][0]))
        if was == probability:
            return tr("Still “{word}” first: {now} before and after.").format(word=word, now=probability)
        return tr("Still “{word}” first: {before} → {now}.").format(word=word, before=was, now=probability)
    if rank is None:
        was = tr("not among the {count} likeliest").format(count=len(before["ids"]))
    else:
        was = tr("number {rank} at {before}").format(
            rank=rank + 1, before=percent(float(before["probabilities"][rank]))
        )
    return tr("“{word}” is first at {now}; before it was {was}, and “{leader}” was first.").format(
        word=word, now=probability, was=was, leader=visible_blanks(before["strings"][0])
    )


def sees_ahead(edits: Sequence[str]) -> bool:
    """Whether an edit lets tokens see those that they are to foresee."""
    return any(parse(edit).needs_whole_text for edit in edits)
