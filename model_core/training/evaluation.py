"""How good a model is, in words: what `layerscope evaluate` prints, and what stands in a model card."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from model_core.analysis.scores import Scores, describe, head_scores
from model_core.checkpoint.building import Loaded
from model_core.parts.model import Model
from model_core.training.corpus import Corpus, bits_per_byte
from model_core.training.dates import written
from model_core.training.pairs import UNSEEN, UNSEEN_SEED, Answers, answers

DATES = "dates"  # the vocabulary of models that were trained on generated dates


@dataclass(frozen=True)
class HeldOut:
    """How well text that was never trained on is foreseen: loss in nats a token, and bits a byte of text."""

    documents: tuple[int, ...]
    share: float
    tokens: int
    text_bytes: int
    loss: float
    bits_per_byte: float

    def __str__(self) -> str:
        what = f"the last {self.share:.0%} of the text"
        if self.documents:
            what = f"documents {', '.join(map(str, self.documents))} (counted from 0)"
        return (
            f"{what}, {self.tokens:,} tokens, {self.text_bytes:,} bytes: "
            f"loss {self.loss:.4f} nats a token, {self.bits_per_byte:.4f} bits per byte"
        )


def held_out(model: Model, corpus: Corpus, documents: Sequence[int], share: float = 0.0) -> HeldOut | None:
    """The measure of the corpus' held-out text; None where there is nothing to foresee."""
    if len(corpus.held_out) < 2 or corpus.held_out_bytes == 0:
        return None
    bits = bits_per_byte(model, corpus.held_out, corpus.held_out_bytes)
    # The first token is given, not foreseen.
    loss = bits * math.log(2) * corpus.held_out_bytes / (len(corpus.held_out) - 1)
    return HeldOut(tuple(documents), share, len(corpus.held_out), corpus.held_out_bytes, loss, bits)


@dataclass(frozen=True)
class Evaluation:
    """What was measured: head scores, and held-out text where there was some; or answers to unseen dates."""

    scores: Scores | None = None
    text: HeldOut | None = None
    measured_text: bool = False
    answers: Answers | None = None

    def __str__(self) -> str:
        if self.answers is not None:
            return str(self.answers)
        assert self.scores is not None
        return describe(self.scores) + (
            f"\n\nheld out: {self.text or 'nothing'}" if self.measured_text else ""
        )

    def numbers(self) -> dict[str, float]:
        """What a list of models may show."""
        if self.answers is not None:
            alignment = float(self.answers.alignment.max())
            return {"loss": self.answers.loss, "exact": self.answers.exact, "alignment": alignment}
        assert self.scores is not None
        found = {name: float(values.max()) for name, values in self.scores.items()}
        if self.text is not None:
            found |= {"loss": self.text.loss, "bits_per_byte": self.text.bits_per_byte}
        return found


def answers_dates(loaded: Loaded) -> bool:
    """Whether the model was trained on dates, which are made anew for every evaluation."""
    return loaded.tokenizer.name == DATES and len(loaded.model.inputs) > 1


def evaluation(
    loaded: Loaded, corpus: Corpus | None, documents: Sequence[int] = (), share: float = 0.0
) -> Evaluation:
    """Measure a model. InputError for one that reads two texts, unless it was trained on dates."""
    if answers_dates(loaded):
        pairs = list(islice(written(UNSEEN_SEED, held_out=True), UNSEEN))
        return Evaluation(answers=answers(loaded.model, loaded.tokenizer, pairs))
    scores = head_scores(loaded.model)
    text = None if corpus is None else held_out(loaded.model, corpus, documents, share)
    return Evaluation(scores, text, corpus is not None)
