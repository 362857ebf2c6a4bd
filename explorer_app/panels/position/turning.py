"""Rotary positions in numbers and words, as plain functions.

P pairs of a head of width D = 2 P; pair p is x[2p] + i x[2p+1], turned by e^(i · position · frequency[p])
(Su et al. 2021, eq. 15, pairs adjacent as in Meta's LLaMA).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

TURN = 2 * math.pi


def pairs_of(x: NDArray[Any]) -> NDArray[np.complex128]:
    """[... D] -> [... P] complex."""
    return np.ascontiguousarray(x, np.float64).view(np.complex128)


def score_by_distance(
    q: NDArray[Any], k: NDArray[Any], frequencies: NDArray[Any], scale: float, distances: NDArray[Any]
) -> NDArray[np.float64]:
    """The score q · k · scale of a query that stands `distances` [N] positions after a key: [N].

    q, k [D] before they are turned. Only the difference of positions counts, so these two have one score at each.
    """
    # Where q or k hold NaN or infinity, so do the scores: nothing to warn of.
    with np.errstate(invalid="ignore", over="ignore"):
        products = pairs_of(q) * pairs_of(k).conj()
        turns = np.exp(1j * distances[:, None] * frequencies.astype(np.float64)[None, :])
        scores: NDArray[np.float64] = (products[None, :] * turns).real.sum(-1) * scale
    return scores


def angle_words(pair: int, position: int, angle: float, frequency: float) -> str:
    """ "pair 3 at position 7: 2.21 rad (126°), one turn every 44.4 tokens"; the angle within one turn."""
    within = angle % TURN
    return tr(
        "pair {pair} at position {position}: {radians} rad ({degrees}°), one turn every {tokens} tokens"
    ).format(
        pair=pair,
        position=position,
        radians=short_number(within),
        degrees=round(math.degrees(within)),
        tokens=short_number(TURN / frequency),
    )


def hand_words(name: str, before: complex, after: complex) -> str:
    """ "q: (1.2, 0.3) → (0.9, 0.8)"."""
    return tr("{name} ({a}, {b}) → ({c}, {d})").format(
        name=name,
        a=short_number(before.real),
        b=short_number(before.imag),
        c=short_number(after.real),
        d=short_number(after.imag),
    )
