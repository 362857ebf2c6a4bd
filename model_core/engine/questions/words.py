"""Why a text was cut so."""

from dataclasses import asdict, replace

from model_core.api.queries.answer import Answer
from model_core.api.queries.words import TextSplit
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers, number
from model_core.text.merges import Split


@answers(TextSplit)
def split(context: Context, asked: TextSplit) -> Answer:
    tokenizer, run, scene = context.loaded.tokenizer, context.run, context.scene
    text = number(len(run.inputs) - 1 if asked.text is None else asked.text, len(run.inputs), "text")
    tokens = run.inputs[text]
    position = min(asked.position, len(tokens) - 1)
    if position < context.prefix:
        found = Split("special", position, (tokens[position],), (tokenizer.token(tokens[position]),))
    else:
        typed = scene.target if text > 0 and scene.target else scene.prompt
        found = tokenizer.split(typed, position - context.prefix)
        found = replace(found, first=found.first + context.prefix)
    return Answer(asdict(found))
