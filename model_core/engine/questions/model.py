"""The model: what it is made of, and the graph that was measured."""

import numpy as np

from model_core.api.queries import Answer
from model_core.engine import describe
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers


@answers("architecture")
def architecture(context: Context) -> Answer:
    """What the model is made of and where it came from: `describe.architecture`."""
    return Answer(describe.architecture(context.loaded))


@answers("graph")
def graph_(context: Context) -> Answer:
    """The edges of the measured graph [E 2]: pairs of positions in the steps, which are its nodes."""
    graph = context.run.graph
    index = {key: n for n, key in enumerate(graph)}
    edges = np.array([(index[a], index[b]) for a, b in graph.edges], np.int32)
    return Answer({}, {"edges": edges.reshape(-1, 2)})
