"""Learning to answer: an encoder-decoder reads a date as somebody wrote it, and writes it in ISO 8601.

All rows of a batch have sources of one length, and the answers are equally long anyhow, so nothing is ever padded: a
text is read in training exactly as it is read later.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from model_core.api.names import AttentionKind
from model_core.api.recipe import Recipe
from model_core.parts.loss import next_token_loss
from model_core.parts.model import Model
from model_core.taps.tap import record
from model_core.text.tokenizer import Tokenizer
from model_core.training.dates import ANSWER, Written, written
from model_core.training.task import Batch

TRAINED = 65_536  # pairs that are learned from, over and over
UNSEEN = 2_000  # pairs of an evaluation
VALIDATED = 200  # of those, how many are looked at on the way
UNSEEN_SEED = 1

ASKED = [position for positions in ANSWER.values() for position in positions]


def rows_of(pairs: Sequence[Written], tokenizer: Tokenizer) -> Batch:
    """Pairs whose texts are equally long, as a batch: source [B S], target [B T], what follows it [B T].

    Both texts begin with the tokenizer's prefix; the answer ends with its end token, to be learned as well.
    """
    prefix, end = list(tokenizer.prefix), [] if tokenizer.eos is None else [tokenizer.eos]
    sources = torch.tensor([prefix + tokenizer.encode(pair.text) for pair in pairs])
    answers = torch.tensor([prefix + tokenizer.encode(pair.iso) + end for pair in pairs])
    spots = torch.zeros(len(pairs), len(ASKED), sources.shape[1])
    for row, pair in enumerate(pairs):
        for at, field in enumerate(field for field, positions in ANSWER.items() for _ in positions):
            first, last = pair.spans[field]
            spots[row, at, len(prefix) + first : len(prefix) + last] = 1
    return Batch((sources, answers[:, :-1]), answers[:, 1:], spots)


def by_length(pairs: Sequence[Written]) -> dict[int, list[int]]:
    """Which pairs have a text of each length."""
    found: dict[int, list[int]] = defaultdict(list)
    for n, pair in enumerate(pairs):
        found[len(pair.text)].append(n)
    return found


class DatesTask:
    """Dates to learn from, and others that are held out."""

    def __init__(self, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.pairs = list(islice(written(recipe.seed, held_out=False), TRAINED))
        self.of_length = {length: np.array(rows) for length, rows in by_length(self.pairs).items()}
        self.unseen = list(islice(written(UNSEEN_SEED, held_out=True), VALIDATED))

    def batch(self, step: int) -> Batch:
        """Rows of the length of one that is drawn, so that every length is as frequent as it is among the pairs."""
        rng = np.random.default_rng((self.recipe.seed, step))
        length = len(self.pairs[int(rng.integers(len(self.pairs)))].text)
        rows = rng.choice(self.of_length[length], self.recipe.batch)
        return rows_of([self.pairs[row] for row in rows], self.tokenizer)

    @torch.no_grad()
    def held_out_loss(self, model: Model) -> float | None:
        device, total, count = next(model.parameters()).device, 0.0, 0
        for rows in by_length(self.unseen).values():
            batch = rows_of([self.unseen[row] for row in rows], self.tokenizer).to(device)
            *others, last = batch.inputs
            loss = next_token_loss(model.reader(*others)(last, None), batch.targets)
            total, count = total + loss.item() * batch.counted, count + batch.counted
        return total / count


def cross(model: Model) -> AttentionKind:
    return next(kind for kind in model.attentions if kind.name == "cross")


@dataclass(frozen=True)
class Answers:
    """How well dates that were never trained on are answered.

    loss       nats a token of the right answers
    exact      share of the answers that are right to the last character
    alignment  [L H], share of the digits for which the most attended token of the source is of what they come from
    """

    pairs: int
    loss: float
    exact: float
    alignment: Tensor

    def __str__(self) -> str:
        layers, heads = self.alignment.shape
        layer, head = divmod(int(self.alignment.argmax()), heads)
        lines = [
            f"held out: {self.pairs:,} dates, of days that were never trained on",
            f"loss               {self.loss:.4f} nats a character",
            f"exact match        {self.exact:.2%}",
            f"cross-attention    {float(self.alignment.max()):.2%} of the digits, by L{layer}H{head}",
            "",
            "head     digits for which it looks most at what they come from",
        ]
        for n in range(layers):
            lines += [f"{f'L{n}H{h}':<9}{float(self.alignment[n, h]):.2%}" for h in range(heads)]
        return "\n".join(lines)


@torch.no_grad()
def answers(model: Model, tokenizer: Tokenizer, pairs: Sequence[Written]) -> Answers:
    """Greedy answers, and where cross-attention looks while each digit of the right answer is written.

    A head is right about a digit of year, month or day where the largest weight of the position that writes it lies
    on a character that says year, month or day: of "March" any letter, of "24" either digit.
    """
    device, kind = next(model.parameters()).device, cross(model)
    sites = [kind.site(n, "pattern") for n in range(kind.layers)]
    loss, exact, right = 0.0, 0, torch.zeros(kind.layers, kind.heads)
    counted = 0
    for rows in by_length(pairs).values():
        batch = rows_of([pairs[row] for row in rows], tokenizer).to(device)
        source, target = batch.inputs
        assert batch.spots is not None
        with record(model, sites) as trace:
            logits = model.reader(source)(target, None)
        loss += next_token_loss(logits, batch.targets).item() * batch.counted
        counted += batch.counted
        for layer, site in enumerate(sites):
            looks = trace[site][:, :, ASKED].argmax(-1)  # [B H asked]
            there = batch.spots[:, None].expand(-1, kind.heads, -1, -1).gather(-1, looks[..., None])
            right[layer] += there.sum((0, 2, 3)).cpu()
        read, said = model.reader(source), target[:, : len(tokenizer.prefix)]
        for _ in range(batch.targets.shape[1]):
            said = torch.cat([said, read(said, None)[:, -1:].argmax(-1)], 1)
        exact += int((said[:, len(tokenizer.prefix) :] == batch.targets).all(1).sum())
    return Answers(len(pairs), loss / counted, exact / len(pairs), right / (len(pairs) * len(ASKED)))
