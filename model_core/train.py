"""Training, kept apart from the models: batches, the loop, and the measure of what was learned."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from model_core.errors import Cancelled, InputError
from model_core.loss import IGNORED, next_token_loss
from model_core.model import Model
from model_core.tap import record
from model_core.tokenizer import END_OF_TEXT, Tokenizer

GUIDANCE = 0.3  # weight of the further loss at the first step

Tokens = np.ndarray[Any, np.dtype[np.integer[Any]]]


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Lengths are in tokens.

    repeats   share of the rows that are a chunk repeated to fill the row, half of them of random tokens: what came
              before is then the only clue, which is what induction heads learn from (Olsson et al. 2022)
    guided    first steps in which a further loss, fading to nothing, asks two heads to look where `guidance` says:
              so small a model sees too few tokens to find that out by itself
    held_out  documents (counted from 0) that are never trained on
    autocast  dtype of the matrix products, "float32" for none
    """

    steps: int
    batch: int = 32
    length: int = 256
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0
    repeats: float = 0.1
    guided: int = 0
    held_out: tuple[int, ...] = ()
    autocast: str = "float32"
    seed: int = 0

    @property
    def repeated_rows(self) -> int:
        """Rows of a batch that are a chunk repeated."""
        return round(self.repeats * self.batch)


@dataclass(frozen=True)
class Progress:
    """After `step` of `steps`: loss in nats a token over the steps since the last report, tokens a second."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Corpus:
    """Token ids of the documents learned from, and of those held out; each ends with the end-of-text id."""

    train: Tokens
    held_out: Tokens
    held_out_bytes: int


def read_corpus(text: str, tokenizer: Tokenizer, held_out: tuple[int, ...]) -> Corpus:
    """Split a text at <|endoftext|> into documents and encode them. InputError where a held-out one does not exist."""
    documents = [document.strip("\n") for document in text.split(END_OF_TEXT)]
    documents = [document for document in documents if document]
    absent = [n for n in held_out if n >= len(documents)]
    if absent:
        raise InputError(f"document {absent[0]} cannot be held out: the text has {len(documents)} documents")

    def ids(chosen: list[str]) -> Tokens:
        ends = [] if tokenizer.eos is None else [tokenizer.eos]
        parts = [np.array(tokenizer.encode(document) + ends, dtype=np.int32) for document in chosen]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    kept = [document for n, document in enumerate(documents) if n in held_out]
    return Corpus(
        train=ids([document for n, document in enumerate(documents) if n not in held_out]),
        held_out=ids(kept),
        held_out_bytes=sum(len(document.encode()) for document in kept),
    )


def batch_at(step: int, tokens: Tokens, vocab_size: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Inputs and targets [B T] of one step; the same step gives the same batch."""
    rng = np.random.default_rng((recipe.seed, step))
    length = recipe.length + 1
    starts = rng.integers(0, len(tokens) - length + 1, recipe.batch)
    rows = np.stack([tokens[start : start + length] for start in starts]).astype(np.int64)
    targets = rows.copy()
    for row in range(recipe.repeated_rows):
        period = int(rng.integers(recipe.length // 16, recipe.length // 2))
        if row % 2 == 0:
            rows[row, :period] = rng.integers(0, vocab_size, period)
        rows[row] = np.resize(rows[row, :period], length)
        targets[row] = rows[row]
        targets[row, : period + 1] = IGNORED
    return torch.from_numpy(rows[:, :-1]), torch.from_numpy(targets[:, 1:])


def first_weights(model: nn.Module, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Each parameter's name and float32 values as training begins, one after the other; the model's own are not read.

    normal(0, 0.02), gains 1, biases 0; of a decoder-only model the layers that write to the residual stream are scaled
    by 1/sqrt(2 N), as GPT-2's are.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = sum(name.endswith("attn.o.weight") for name, _ in model.named_parameters())
    for name, parameter in model.named_parameters():
        values = torch.zeros(parameter.shape)
        if parameter.ndim == 2:
            writes = name.startswith("blocks.") and name.endswith((".attn.o.weight", ".mlp.down.weight"))
            values.normal_(std=0.02 / math.sqrt(2 * layers) if writes else 0.02, generator=generator)
        elif name.endswith("weight"):
            values.fill_(1)
        yield name, values


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Give the model its first weights, in place."""
    for parameter, (_, values) in zip(model.parameters(), first_weights(model, seed), strict=True):
        parameter.copy_(values)


def optimizer_for(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; only matrices decay (Loshchilov & Hutter 2019; nanoGPT)."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.95))


def guided_sites(layers: int) -> tuple[str, str]:
    """The patterns whose first heads `guidance` is about: one in an early block, one in a later."""
    return f"blocks.{layers // 4}.attn.pattern", f"blocks.{layers // 2}.attn.pattern"


def guidance(previous: Tensor, induction: Tensor, tokens: Tensor) -> Tensor:
    """A loss on two patterns [B H T T] of `tokens` [B T], in nats, about the first head of each.

    The first is to look at the token before; the second, where the present token stood before, at the token that
    followed it then. Together they are the circuit of Elhage et al. (2021) and Olsson et al. (2022).
    """
    before = previous[:, 0].diagonal(-1, 1, 2)
    followed = nn.functional.pad(tokens[:, :-1], (1, 0), value=IGNORED)
    follows = (tokens[:, :, None] == followed[:, None, :]).tril()
    there = (induction[:, 0] * follows).sum(-1)[follows.any(-1)]
    loss = -before.clamp_min(1e-6).log().mean()
    return loss - there.clamp_min(1e-6).log().mean() if len(there) else loss


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.lr * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def train(
    model: Model,
    tokens: Tokens,
    recipe: Recipe,
    report: Callable[[Progress], None],
    *,
    every: int = 50,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Train in place, telling `report` after every `every` steps. Raises Cancelled between two steps."""
    if len(tokens) <= recipe.length:
        raise InputError(f"the text has {len(tokens)} tokens: training needs more than {recipe.length}")
    device = next(model.parameters()).device
    optimizer = optimizer_for(model, recipe)
    mixed = recipe.autocast != "float32"
    sites = guided_sites(model.attentions[0].layers)
    losses, since, begun = 0.0, 0, time.monotonic()
    torch.manual_seed(recipe.seed)  # what dropout draws from
    model.train()
    for step in range(recipe.steps):
        if cancelled():
            raise Cancelled
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        inputs, targets = (x.to(device) for x in batch_at(step, tokens, model.config.vocab_size, recipe))
        guided = max(0.0, 1 - step / recipe.guided) if recipe.guided else 0.0
        with (
            torch.autocast(device.type, getattr(torch, recipe.autocast)) if mixed else nullcontext(),
            record(model, sites if guided else ()) as trace,
        ):
            logits = model.reader()(inputs, None)
        loss = next_token_loss(logits, targets)
        asked = (
            GUIDANCE * guided * guidance(trace[sites[0]].float(), trace[sites[1]].float(), inputs)
            if guided
            else 0
        )
        (loss + asked).backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
        losses, since = losses + loss.item(), since + 1
        if since == every or step + 1 == recipe.steps:
            seconds = time.monotonic() - begun
            rate = recipe.batch * recipe.length * (step + 1) / seconds
            report(
                Progress(
                    step + 1,
                    recipe.steps,
                    losses / since,
                    rate,
                    seconds / (step + 1) * (recipe.steps - step - 1),
                )
            )
            losses, since = 0.0, 0
    model.eval()


def windows(tokens: Tokens, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets [1 T] that cover the tokens once, in windows of the given length."""
    for start in range(0, len(tokens) - 1, length):
        row = torch.from_numpy(tokens[start : start + length + 1].astype(np.int64))[None]
        yield row[:, :-1], row[:, 1:]


@torch.no_grad()
def bits_per_byte(model: Model, tokens: Tokens, text_bytes: int) -> float:
    """Bits that the model needs for a byte of the text, each window of a context's length read on its own."""
    device = next(model.parameters()).device
    nats = 0.0
    for inputs, targets in windows(tokens, model.context):
        logits = model.reader()(inputs.to(device), None).float()
        nats += cross_entropy(logits.flatten(0, 1), targets.to(device).flatten(), reduction="sum").item()
    return nats / math.log(2) / text_bytes
