"""The model: what it is made of, and the graph that was measured."""

import numpy as np

from model_core.api.queries.answer import Answer
from model_core.api.queries.model import MeasuredGraph, ModelFacts
from model_core.engine import describe
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers


@answers(ModelFacts)
def architecture(context: Context, asked: ModelFacts) -> Answer:
    return Answer(describe.architecture(context.loaded))


@answers(MeasuredGraph)
def graph_(context: Context, asked: MeasuredGraph) -> Answer:
    graph = context.run.graph
    index = {key: n for n, key in enumerate(graph)}
    edges = np.array([(index[a], index[b]) for a, b in graph.edges], np.int32)
    return Answer({}, {"edges": edges.reshape(-1, 2)})
