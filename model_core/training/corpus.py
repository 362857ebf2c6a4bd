"""Text to learn from: documents, those held out, the batch of a step, and how well a text is foreseen."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from model_core.api.errors import InputError
from model_core.api.files.text_file import read_text
from model_core.api.recipe import Recipe
from model_core.parts.loss import IGNORED
from model_core.parts.model import Model
from model_core.taps.trace import wide
from model_core.text.tokenizer import END_OF_TEXT, Tokenizer
from model_core.training.task import Batch

Tokens = np.ndarray[Any, np.dtype[np.integer[Any]]]

VALIDATED = 64  # windows of held-out text that are looked at on the way


@dataclass(frozen=True)
class Corpus:
    """Token ids of the documents learned from, and of those held out; each ends with the end-of-text id."""

    train: Tokens
    held_out: Tokens
    held_out_bytes: int


class NoSuchDocument(InputError):
    """A document that is to be held out is not in the text, which has `documents` of them."""

    def __init__(self, wanted: int, documents: int) -> None:
        self.documents = documents
        super().__init__(f"document {wanted} cannot be held out: the text has {in_words(documents)}")


def in_words(documents: int) -> str:
    return "1 document" if documents == 1 else f"{documents} documents"


def read_corpus(text: str, tokenizer: Tokenizer, held_out: tuple[int, ...], share: float = 0.0) -> Corpus:
    """Split a text at <|endoftext|> into documents and encode them; hold out those named, or the end of the text.

    NoSuchDocument where a held-out document does not exist.
    """
    documents = [document.strip("\n") for document in text.split(END_OF_TEXT)]
    documents = [document for document in documents if document]
    absent = [n for n in held_out if n >= len(documents)]
    if absent:
        raise NoSuchDocument(absent[0], len(documents))
    learned = [document for n, document in enumerate(documents) if n not in held_out]
    kept = [document for n, document in enumerate(documents) if n in held_out]
    if share:
        learned, kept = divided(learned, share)

    def ids(chosen: list[str]) -> Tokens:
        ends = [] if tokenizer.eos is None else [tokenizer.eos]
        parts = [np.array(tokenizer.encode(document) + ends, dtype=np.int32) for document in chosen]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    return Corpus(ids(learned), ids(kept), sum(len(document.encode()) for document in kept))


def corpus_in(paths: Sequence[Path], tokenizer: Tokenizer, held_out: tuple[int, ...], share: float) -> Corpus:
    """The documents of all files, in their order. InputError where a file cannot be read, or as `read_corpus` says."""
    return read_corpus(END_OF_TEXT.join(map(read_text, paths)), tokenizer, held_out, share)


def divided(documents: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """The documents but for the last `share` of their characters, and the rest; cut at the end of a line or word."""
    left = round(sum(map(len, documents)) * (1 - share))
    first: list[str] = []
    for n, document in enumerate(documents):
        if len(document) > left:
            cut = document.rfind("\n", 0, left) + 1 or document.rfind(" ", 0, left) + 1 or left
            second = [document[cut:], *documents[n + 1 :]]
            return [*first, *filter(None, [document[:cut]])], second
        first.append(document)
        left -= len(document)
    return first, []


def batch_at(step: int, tokens: Tokens, vocab_size: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Inputs and targets [B T] of one step; the same step gives the same batch."""
    rng = np.random.default_rng((recipe.seed, step))
    length = recipe.length + 1
    starts = rng.integers(0, len(tokens) - length + 1, recipe.batch)
    rows = np.stack([tokens[start : start + length] for start in starts]).astype(np.int64)
    targets = rows.copy()
    for row in range(recipe.repeated_rows):
        period = int(rng.integers(recipe.length // 16, recipe.length // 2))
        if recipe.is_random(row):
            rows[row, :period] = rng.integers(0, vocab_size, period)
        rows[row] = np.resize(rows[row, :period], length)
        targets[row] = rows[row]
        targets[row, : period + 1] = IGNORED
    return torch.from_numpy(rows[:, :-1]), torch.from_numpy(targets[:, 1:])


class TextTask:
    """Going on with text: each token of a row is foreseen from those before it."""

    def __init__(self, corpus: Corpus, vocab_size: int, recipe: Recipe) -> None:
        if len(corpus.train) <= recipe.length:
            raise InputError(
                f"the text has {len(corpus.train)} tokens: training needs more than {recipe.length}"
            )
        self.corpus = corpus
        self.vocab_size = vocab_size
        self.recipe = recipe

    def batch(self, step: int) -> Batch:
        inputs, targets = batch_at(step, self.corpus.train, self.vocab_size, self.recipe)
        return Batch((inputs,), targets)

    def held_out_loss(self, model: Model) -> float | None:
        part = self.corpus.held_out[: VALIDATED * model.context + 1]
        return nats(model, part) / (len(part) - 1) if len(part) > 1 else None


def windows(tokens: Tokens, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets [1 T] that cover the tokens once, in windows of the given length."""
    for start in range(0, len(tokens) - 1, length):
        row = torch.from_numpy(tokens[start : start + length + 1].astype(np.int64))[None]
        yield row[:, :-1], row[:, 1:]


@torch.no_grad()
def nats(model: Model, tokens: Tokens) -> float:
    """The sum of what the model is surprised by, each window of a context's length read on its own."""
    device = next(model.parameters()).device
    total = 0.0
    for inputs, targets in windows(tokens, model.context):
        logits = wide(model.reader()(inputs.to(device), None))
        total += cross_entropy(logits.flatten(0, 1), targets.to(device).flatten(), reduction="sum").item()
    return total


def bits_per_byte(model: Model, tokens: Tokens, text_bytes: int) -> float:
    """Bits that the model needs for a byte of the text, each window of a context's length read on its own."""
    return nats(model, tokens) / math.log(2) / text_bytes
