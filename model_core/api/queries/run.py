"""The run itself: its texts, its steps, and how the model grew."""

from dataclasses import dataclass
from typing import Annotated

from model_core.api.names import AttentionKind
from model_core.api.queries.query import Array, Axes, Query, declared


@dataclass(frozen=True)
class Text:
    """What was read, token by token. special: positions of tokens that stand for no text"""

    name: str
    tokens: list[int]
    strings: list[str]
    special: list[int]


@declared("run")
class RunSummary(Query):
    """The texts with their tokens and token strings, the kinds of attention, the model's shape, what the run took.

    texts       what was read, in the order of the model's inputs; the last is what "tokens" and "strings" are
    special     positions of tokens that stand for no text
    prefix      how many tokens were put before each text; "prefixes" are those that the model's configuration wants
    attentions  the kinds of attention; its queries and keys count the texts
    grows       whether there is a record of its training, be it a damaged one, of which "growth" says why
    task        what kind of text it reads: "text", "dates", or "ids" where it has no tokenizer
    not_finite  where what was computed stopped being finite numbers, in words; "" where it did not
    """

    class Gives:
        tokens: list[int]
        strings: list[str]
        special: list[int]
        prefix: int
        prefixes: list[str]
        texts: list[Text]
        attentions: list[AttentionKind]
        model: str
        family: str
        family_title: str
        parameters: int
        context: int
        vocab_size: int
        milliseconds: float
        kept_bytes: int
        edits: list[str]
        task: str
        grows: bool
        not_finite: str


@declared("growth", of_the_model=True)
class GrowthRecord(Query):
    """The steps of the model's training that were kept: tokens seen, and each score of every head there, [N L H].

    name, step  what "growth@16" is made of: the model, and the step of the one on screen
    scores      the names of the scores; no steps where none were kept

    InputError where the record of them is damaged.
    """

    class Gives:
        name: str
        step: int
        steps: list[int]
        tokens: list[int]
        scores: list[str]
        others: Annotated[Array, Axes("N L H")]


@declared("sites", of_the_model=True)
class SiteList(Query):
    """The steps of the forward pass as `steps.pack` has them: what is read, then every site in order of computation."""

    class Gives:
        dims: list[str]
        dtypes: list[str]
        keys: Annotated[Array, Axes("_")]
        kinds: Annotated[Array, Axes("N _")]
        sizes: Annotated[Array, Axes("_")]
