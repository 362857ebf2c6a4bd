"""How the model knows where a token stands."""

from typing import Annotated

from model_core.api.queries.query import Array, Axes, Query, declared


@declared("rope")
class RopeOfHead(Query):
    """Angles [T P] and frequencies [P] (radians a position), q and k of a head before and after rotation [T D].

    group  the key/value head that it reads; scale: what its scores are multiplied by
    """

    layer: int
    head: int

    class Gives:
        theta: float
        rescaled: bool
        group: int
        scale: float
        angles: Annotated[Array, Axes("T P")]
        frequencies: Annotated[Array, Axes("P")]
        q: Annotated[Array, Axes("T D")]
        q_rot: Annotated[Array, Axes("T D")]
        k: Annotated[Array, Axes("T D")]
        k_rot: Annotated[Array, Axes("T D")]


@declared("rope_conventions")
class RopeConventions(Query):
    """One head's rotation in both conventions, computed in float64 from the run's own q and k: one score, and all.

    pairs, halves       the score of `query` at `key` either way; run: what the model computed itself
    max_difference      of the two, over all scores of the head; largest: the largest of them in magnitude
    q_pairs, q_halves   the turned q of `query` [D] in either order
    """

    layer: int
    head: int
    query: int
    key: int

    class Gives:
        pairs: Annotated[Array, Axes("")]
        halves: Annotated[Array, Axes("")]
        run: Annotated[Array, Axes("")]
        max_difference: Annotated[Array, Axes("")]
        largest: Annotated[Array, Axes("")]
        q_pairs: Annotated[Array, Axes("D")]
        q_halves: Annotated[Array, Axes("D")]


@declared("positions")
class PositionTable(Query):
    """How the model knows where a token stands: "rotary", "table" (rows [T C] and their cosines [T T]), or "none".

    learned  whether the rows of the table are parameters, or computed
    text     which of the texts they belong to: of several, the longest
    """

    class Gives:
        kind: str
        learned: bool | None
        text: int | None
        table: Annotated[Array | None, Axes("T C")]
        cosines: Annotated[Array | None, Axes("T T")]
