"""Why a word was cut into these tokens: the merges of byte-pair encoding in order, or the scores that decided.

Byte-pair encoding (Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm 1)
starts from bytes or characters and joins, again and again, the pair that comes first in the vocabulary's order: the
lowest rank, or the highest score; of equals the leftmost. A unigram vocabulary (Kudo 2018, "Subword Regularization",
section 3.2) takes, of all ways to cut a word, the one whose log-probabilities have the largest sum.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from model_core.api.errors import InputError

S = TypeVar("S", bytes, str)
WAYS = 5
LONGEST_WORD = 200  # symbols; of a longer word only the token itself is explained
LONGEST_PIECE = 64  # characters that a piece of a unigram vocabulary is looked for


@dataclass(frozen=True)
class Part:
    """One token of a text: what merging began from there, and the number of the word that merging kept to."""

    id: int
    symbols: tuple[Any, ...]
    word: int


class Encoding(Protocol):
    """What is asked of every tokenizer whose tokens are explained."""

    name: str

    @property
    def special(self) -> Container[int]: ...
    def encode(self, text: str) -> list[int]: ...
    def token(self, id: int) -> str: ...


@runtime_checkable
class Merging(Protocol):
    """A tokenizer that merges pairs: `merge` gives what two neighbours make, with its rank or score."""

    measure: Literal["rank", "score"]

    def parts(self, text: str) -> list[Part]: ...
    def merge(self, left: Any, right: Any) -> tuple[Any, float] | None: ...
    def spell(self, symbol: Any) -> str: ...


@runtime_checkable
class Scoring(Protocol):
    """A tokenizer that weighs whole cuts of a word: `scores` are log-probabilities (nats) of its pieces."""

    @property
    def scores(self) -> Mapping[str, float]: ...
    def parts(self, text: str) -> list[Part]: ...
    def spell(self, symbol: Any) -> str: ...


@dataclass(frozen=True)
class Made(Generic[S]):
    """A merge: the symbols from `start` up to `end` become one `piece`; its right half began at `middle`."""

    start: int
    middle: int
    end: int
    piece: S
    value: float


@dataclass(frozen=True)
class Step:
    """The pieces of a word after a step, for display, and how many first symbols each holds.

    made   the place of the piece that this step made, None where nothing was merged yet
    pair   what it was made of
    value  the rank or score of the merge
    """

    pieces: tuple[str, ...]
    widths: tuple[int, ...]
    made: int | None = None
    pair: tuple[str, str] | None = None
    value: float | None = None


@dataclass(frozen=True)
class Way:
    """One way to cut a word, with the log-probability (nats) of each piece; the total decides."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    total: float


@dataclass(frozen=True)
class Split:
    """What became of the word around a token.

    kind   "merges": `steps` lead from its symbols to its tokens, by `measure`
           "scores": `ways` to cut it, the one taken first
           "byte": no piece holds the character, so that its bytes stand for it
           "special": a token that stands for no text
           "ids": there is no vocabulary
           "unknown": this kind of vocabulary neither merges nor weighs
    whole  the word as it stands is one token of the vocabulary
    first  the position of its first token; `ids` are its tokens
    """

    kind: Literal["merges", "scores", "byte", "special", "ids", "unknown"]
    first: int
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    measure: str = ""
    steps: tuple[Step, ...] = ()
    ways: tuple[Way, ...] = ()

    @property
    def whole(self) -> bool:
        return len(self.ids) == 1

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Split:
        """The split that `asdict` took apart, after JSON made lists of its tuples."""
        steps = tuple(Step(**with_tuples(step)) for step in fields["steps"])
        ways = tuple(Way(**with_tuples(way)) for way in fields["ways"])
        return cls(**{**with_tuples(fields), "steps": steps, "ways": ways})


def with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def merges(tokenizer: Encoding, text: str, position: int) -> Split:
    """The word around token `position` of `tokenizer.encode(text)`. InputError where there is no such token."""
    ids = tokenizer.encode(text)
    if not 0 <= position < len(ids):
        raise InputError(f"there is no token {position}: this text has {len(ids)}")
    alone = (ids[position],)
    if ids[position] in tokenizer.special:
        return Split("special", position, alone, (tokenizer.token(ids[position]),))
    if not isinstance(tokenizer, Merging | Scoring):
        kind: Literal["ids", "unknown"] = "ids" if tokenizer.name == "ids" else "unknown"
        return Split(kind, position, alone, (tokenizer.token(ids[position]),))
    parts = tokenizer.parts(text)
    explain = by_merging if isinstance(tokenizer, Merging) else by_scoring
    for first, last in (word_around(parts, position), (position, position + 1)):
        short = last - first == 1 or sum(len(part.symbols) for part in parts[first:last]) <= LONGEST_WORD
        if short and (split := explain(tokenizer, parts[first:last], first)) is not None:
            return split
    return Split("unknown", position, alone, (tokenizer.token(ids[position]),))


def word_around(parts: Sequence[Part], position: int) -> tuple[int, int]:
    """Where the word of a token begins and ends, in tokens."""
    at = 0
    for _, group in groupby(parts, key=lambda part: part.word):
        end = at + len(list(group))
        if position < end:
            return at, end
        at = end
    raise AssertionError("every token is in a word")


def by_merging(tokenizer: Any, parts: Sequence[Part], first: int) -> Split | None:
    """The merges of a word's tokens; None where merging them by themselves ends in others."""
    symbols = [symbol for part in parts for symbol in part.symbols]
    steps = [Step(tuple(map(tokenizer.spell, symbols)), (1,) * len(symbols))]
    pieces = {place: (place + 1, symbol) for place, symbol in enumerate(symbols)}
    for made in bpe(symbols, tokenizer.merge, highest_first=tokenizer.measure == "score"):
        pair = pieces[made.start][1], pieces.pop(made.middle)[1]
        pieces[made.start] = made.end, made.piece
        starts = sorted(pieces)
        steps.append(
            Step(
                tuple(tokenizer.spell(pieces[start][1]) for start in starts),
                tuple(pieces[start][0] - start for start in starts),
                starts.index(made.start),
                (tokenizer.spell(pair[0]), tokenizer.spell(pair[1])),
                made.value,
            )
        )
    if list(steps[-1].widths) != [len(part.symbols) for part in parts]:
        return None
    ids = tuple(part.id for part in parts)
    return Split("merges", first, ids, steps[-1].pieces, tokenizer.measure, tuple(steps))


def by_scoring(tokenizer: Any, parts: Sequence[Part], first: int) -> Split | None:
    """The likeliest ways to cut a word; None where the word's tokens are not the likeliest of them."""
    ids, taken = tuple(part.id for part in parts), tuple("".join(part.symbols) for part in parts)
    if len(taken) == 1 and taken[0] not in tokenizer.scores:
        return Split("byte", first, ids, (tokenizer.spell(taken[0]),))
    ways = best_ways("".join(taken), tokenizer.scores, WAYS)
    if not ways or ways[0][0] != taken:
        return None
    shown = tuple(Way(tuple(map(tokenizer.spell, pieces)), scores, sum(scores)) for pieces, scores in ways)
    return Split("scores", first, ids, shown[0].pieces, "score", ways=shown)


def bpe(
    symbols: Sequence[S], merge: Callable[[S, S], tuple[S, float] | None], *, highest_first: bool
) -> list[Made[S]]:
    """The merges of a sequence of symbols in order, each the first by value, of equals the leftmost; O(n log n)."""
    piece: dict[int, S] = dict(enumerate(symbols))
    end = {start: start + 1 for start in piece}
    before = {start: start - 1 for start in piece}
    waiting: list[tuple[float, int, int, Made[S]]] = []
    number = count()

    def consider(left: int, middle: int) -> None:
        if left in piece and middle in piece and (joined := merge(piece[left], piece[middle])) is not None:
            made = Made(left, middle, end[middle], *joined)
            order = -made.value if highest_first else made.value
            heapq.heappush(waiting, (order, left, next(number), made))

    for start in piece:
        consider(start, start + 1)
    done = []
    while waiting:
        made = heapq.heappop(waiting)[-1]
        # Either half may have become part of something longer since.
        if end.get(made.start) != made.middle or end.get(made.middle) != made.end:
            continue
        done.append(made)
        piece[made.start], end[made.start] = made.piece, made.end
        del piece[made.middle], end[made.middle]
        before[made.end] = made.start
        consider(before[made.start], made.start)
        consider(made.start, made.end)
    return done


def best_ways(
    word: str, scores: Mapping[str, float], limit: int
) -> list[tuple[tuple[str, ...], tuple[float, ...]]]:
    """The `limit` likeliest ways to cut a word into pieces that have scores, the likeliest first.

    Ways whose scores have no finite sum are left out: nobody could say which of them is likelier.
    """
    ends: list[list[tuple[float, tuple[str, ...]]]] = [[(0.0, ())]]
    for end in range(1, len(word) + 1):
        ways = [
            (total + scores[word[start:end]], (*pieces, word[start:end]))
            for start in range(max(0, end - LONGEST_PIECE), end)
            if word[start:end] in scores
            for total, pieces in ends[start]
            if math.isfinite(total + scores[word[start:end]])
        ]
        ends.append(heapq.nlargest(limit, ways, key=lambda way: way[0]))
    return [(pieces, tuple(scores[piece] for piece in pieces)) for _, pieces in ends[-1]]
