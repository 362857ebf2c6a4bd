"""Tensors of a run: one of a site, the maps of all heads, a slice with its statistics."""

from collections.abc import Mapping
from typing import Annotated, Any

from model_core.api.queries.query import Array, At, Axes, Query, declared


@declared("value")
class SiteValue(Query):
    """The tensor at a site as float32, at the given positions of some axes ({"H": 3}); the batch axis is dropped.

    dims  the letters of the axes that are left
    """

    site: str
    at: Mapping[str, int] = At()

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", At(self.at))

    class Gives:
        dims: str
        dtype: str
        values: Annotated[Array, Axes("...")]


@declared("overview")
class HeadMaps(Query):
    """The maps of every layer and head, [L H t s]; longer ones shrunk to `side`, each cell the largest it covers.

    word   a site that is a map of who looks at whom: "pattern", "scores", "mask" ...
    stack  the name of the kind of attention
    size   rows and columns of the maps as they are, before they were shrunk
    """

    word: str = "pattern"
    stack: str = ""
    side: int = 48

    class Gives:
        size: list[int]
        maps: Annotated[Array, Axes("L H t s")]


@declared("inspect")
class SiteTable(Query):
    """A site's slice as a table [rows columns] of at most `limit` each, statistics and histogram of the whole slice.

    not_finite  where the run left the finite numbers, in words, where this value is of those beyond; else ""
    """

    site: str
    at: Mapping[str, int] = At()
    limit: int = 512

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", At(self.at))

    class Gives:
        site_dims: str
        site_shape: list[int]
        dtype: str
        axes: list[str]
        shape: list[int]
        statistics: dict[str, Any]
        not_finite: str
        table: Annotated[Array, Axes("_ _")]
        counts: Annotated[Array, Axes("_")]
        edges: Annotated[Array, Axes("_")]
