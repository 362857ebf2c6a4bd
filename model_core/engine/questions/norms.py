"""One norm."""

from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.norms import NormStatistics
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers
from model_core.parts.norm import Norm
from model_core.taps.trace import to_array


@answers(NormStatistics)
def norm(context: Context, asked: NormStatistics) -> Answer:
    part = dict(context.run.model.named_modules()).get(asked.module)
    if not isinstance(part, Norm):
        raise InputError(f"there is no norm '{asked.module}' in this model")
    sources = [source for source, _ in context.run.graph.in_edges(f"{asked.module}.out")]
    before = context.value(sources[0])
    arrays = {"before": before, "after": context.value(f"{asked.module}.out"), "gain": part.weight}
    if (bias := getattr(part, "bias", None)) is not None:
        arrays["bias"] = bias
    facts = {"kind": type(part).__name__, "eps": part.eps, "source": sources[0]}
    said = {name: getattr(part, name) for name in ("formula", "measures", "title", "sentence")}
    return Answer(
        facts | said,
        {name: to_array(array) for name, array in (arrays | part.statistics(before)).items()},
    )
