"""Why a text was cut so."""

from dataclasses import asdict, replace

from model_core.api.queries import Answer
from model_core.api.schema import Count
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers, number
from model_core.text.merges import Split


@answers("split")
def split(context: Context, position: Count, text: int | None = None) -> Answer:
    """Why the word around a token of a text (the last without `text`) was cut so: the fields of `merges.Split`.

    A position behind the last token is the last: a text may have become shorter since somebody chose it.
    """
    tokenizer, run, scene = context.loaded.tokenizer, context.run, context.scene
    text = number(len(run.inputs) - 1 if text is None else text, len(run.inputs), "text")
    tokens = run.inputs[text]
    position = min(position, len(tokens) - 1)
    if position < context.prefix:
        found = Split("special", position, (tokens[position],), (tokenizer.token(tokens[position]),))
    else:
        typed = scene.target if text > 0 and scene.target else scene.prompt
        found = tokenizer.split(typed, position - context.prefix)
        found = replace(found, first=found.first + context.prefix)
    return Answer(asdict(found))
