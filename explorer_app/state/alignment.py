"""Which tokens of one text are those of another: the longest common subsequence, which keeps the order of both."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Alignment:
    """Positions in a text, and those of the same tokens in another: both rise. The others have no partner.

    lengths  of both texts
    """

    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    lengths: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether every token of both texts has a partner."""
        return len(self.ours) == self.lengths[0] == self.lengths[1]

    def after_first(self) -> "Alignment":
        """The same of what is said of every token but the first, such as how well it was predicted."""
        pairs = [(a - 1, b - 1) for a, b in zip(self.ours, self.theirs, strict=True) if a and b]
        ours, theirs = zip(*pairs, strict=True) if pairs else ((), ())
        return Alignment(tuple(ours), tuple(theirs), (self.lengths[0] - 1, self.lengths[1] - 1))


def align(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> Alignment:
    """The longest common subsequence of two texts; of several the one whose tokens come last in ours.

    Hirschberg 1975 gives the recurrence; a row of its table is one maximum that is accumulated.
    """
    ids = {token: n for n, token in enumerate(dict.fromkeys([*ours, *theirs]))}
    a, b = (np.array([ids[token] for token in text], np.int64) for text in (ours, theirs))
    table = np.zeros((len(a) + 1, len(b) + 1), np.int32)
    for row, token in enumerate(a, 1):
        found = np.maximum(table[row - 1, 1:], table[row - 1, :-1] + (b == token))
        table[row, 1:] = np.maximum.accumulate(found)
    pairs = [*zip(*_trace(table, a, b), strict=True)] or [(), ()]
    return Alignment(tuple(pairs[0]), tuple(pairs[1]), (len(a), len(b)))


def _trace(table: NDArray[np.int32], a: NDArray[np.int64], b: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The pairs of positions on a way through the table of lengths, in rising order."""
    row, col = len(a), len(b)
    pairs: list[tuple[int, int]] = []
    while row and col:
        if a[row - 1] == b[col - 1] and table[row, col] == table[row - 1, col - 1] + 1:
            pairs.append((row - 1, col - 1))
            row, col = row - 1, col - 1
        elif table[row - 1, col] >= table[row, col - 1]:
            row -= 1
        else:
            col -= 1
    return pairs[::-1]
