"""The model: what it is made of, and the graph that was measured."""

from typing import Annotated, Any

from model_core.api.queries.query import Array, Axes, Query, declared


@declared("architecture", of_the_model=True)
class ModelFacts(Query):
    """What the model is made of and where it came from.

    parts   stack ("encoder", "decoder", "" where there is one), part, parameters and bytes, in order of computation
    shared  parts that use another's weights: they count once
    path    None for a model without files; of a bundled one its place among the bundled files, the same everywhere
    """

    class Gives:
        family: str
        title: str
        about: str
        name: str
        path: str | None
        bundled: bool
        config: dict[str, Any]
        parameters: int
        bytes: int
        dtype: str
        device: str
        parts: list[dict[str, Any]]
        shared: list[Any]
        tokenizer: dict[str, Any]


@declared("graph", of_the_model=True)
class MeasuredGraph(Query):
    """The edges of the measured graph [E 2]: pairs of positions in the steps, which are its nodes."""

    class Gives:
        edges: Annotated[Array, Axes("E _")]
