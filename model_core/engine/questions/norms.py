"""One norm."""

from model_core.analysis import derive
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.norms import NormStatistics
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers
from model_core.parts.norm import LayerNorm, RMSNorm, StdLayerNorm
from model_core.taps.trace import to_array


@answers(NormStatistics)
def norm(context: Context, asked: NormStatistics) -> Answer:
    module = asked.module
    part = dict(context.run.model.named_modules()).get(module)
    if not isinstance(part, LayerNorm | StdLayerNorm | RMSNorm):
        raise InputError(f"there is no norm '{module}' in this model")
    sources = [source for source, _ in context.run.graph.in_edges(f"{module}.out")]
    before = context.value(sources[0])
    arrays = {"before": before, "after": context.value(f"{module}.out"), "gain": part.weight}
    if not isinstance(part, RMSNorm):
        arrays["bias"] = part.bias
    arrays |= derive.norm_statistics(part, before)
    return Answer(
        {"kind": type(part).__name__, "eps": part.eps, "source": sources[0]},
        {name: to_array(array) for name, array in arrays.items()},
    )
