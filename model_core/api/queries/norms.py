"""One norm."""

from typing import Annotated

from model_core.api.queries.query import Array, Axes, Query, declared


@declared("norm")
class NormStatistics(Query):
    """One norm: statistics of each token, what went in and came out [T C], the gain (and bias) [C].

    module  the path of the norm: "blocks.0.norm1"
    kind    its name, and its eps; source: the site that it reads
    others  what the norm says of itself: `parts.norm.Norm`; its measures, and what it divides by, are arrays
    """

    module: str

    class Gives:
        kind: str
        eps: float
        source: str
        formula: str
        measures: dict[str, str]
        title: str
        sentence: str
        before: Annotated[Array, Axes("T C")]
        after: Annotated[Array, Axes("T C")]
        gain: Annotated[Array, Axes("C")]
        bias: Annotated[Array | None, Axes("C")]
        others: Annotated[Array, Axes("T")]
