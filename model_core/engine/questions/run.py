"""The run itself: its texts, its steps, and how the model grew."""

import numpy as np

from model_core.analysis.not_finite import is_sound_run
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.run import GrowthRecord, RunSummary, SiteList
from model_core.api.steps import pack
from model_core.checkpoint.building import Loaded
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers
from model_core.sources.presets import recorded
from model_core.text.tokenizer import IdTokenizer
from model_core.training.evaluation import answers_dates


@answers(RunSummary)
def run_(context: Context, asked: RunSummary) -> Answer:
    tokenizer, run, model = context.loaded.tokenizer, context.run, context.loaded.model
    texts = [
        {
            "name": name,
            "tokens": tokens,
            "strings": tokenizer.strings(tokens),
            "special": [at for at, token in enumerate(tokens) if token in tokenizer.special],
        }
        for name, tokens in zip(model.inputs, run.inputs, strict=True)
    ]
    return Answer(
        {
            "tokens": texts[-1]["tokens"],
            "strings": texts[-1]["strings"],
            "special": texts[-1]["special"],
            "prefix": context.prefix,
            "prefixes": tokenizer.strings(tokenizer.prefix),
            "texts": texts,
            "attentions": [kind.__dict__ for kind in model.attentions],
            "model": context.loaded.name,
            "family": context.loaded.family.name,
            "family_title": context.loaded.family.title,
            "parameters": model.parameter_count,
            "context": model.context,
            "vocab_size": model.config.vocab_size,
            "milliseconds": context.milliseconds,
            "kept_bytes": run.trace.nbytes,
            "edits": [str(edit) for edit in run.edits],
            "task": task_of(context.loaded),
            "grows": grows(context.scene.model),
            "not_finite": "" if is_sound_run(run) else context.not_finite(),
        }
    )


def task_of(loaded: Loaded) -> str:
    """What kind of text a model reads."""
    if isinstance(loaded.tokenizer, IdTokenizer):
        return "ids"
    return "dates" if answers_dates(loaded) else "text"


def grows(model: str) -> bool:
    try:
        return recorded(model) is not None
    except InputError:
        return True


@answers(GrowthRecord)
def growth_(context: Context, asked: GrowthRecord) -> Answer:
    found = recorded(context.scene.model)
    if found is None:
        return Answer({"name": context.scene.model, "step": 0, "steps": [], "tokens": [], "scores": []})
    name, step, kept = found
    scores = {one: np.array([moment.scores[one] for moment in kept], np.float32) for one in kept[0].scores}
    steps, tokens = [moment.step for moment in kept], [moment.tokens for moment in kept]
    return Answer(
        {"name": name, "step": step, "steps": steps, "tokens": tokens, "scores": list(scores)}, scores
    )


@answers(SiteList)
def sites_(context: Context, asked: SiteList) -> Answer:
    sites = context.run.steps
    return pack(sites, [context.run.texts(site.key) for site in sites])
