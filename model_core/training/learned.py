"""What a plan learns from: its text, the task of each phase, and the description of all that decides the weights."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError
from model_core.api.recipe import Recipe
from model_core.sources.description import TEXT
from model_core.training.corpus import Corpus, TextTask, corpus_in
from model_core.training.pairs import DatesTask
from model_core.training.plan import Plan
from model_core.training.run_folder import OF_THE_TEXT
from model_core.training.task import Task


def corpus_of(plan: Plan, data: Sequence[Path]) -> Corpus | None:
    """The text to learn from; None for a plan that makes its own."""
    if plan.task != TEXT:
        if data:
            raise InputError(
                f"{plan.name} learns from dates that are made: leave out --data",
                window=f"{plan.name} learns from dates that are made, and from no text",
            )
        return None
    if not data:
        raise InputError(
            f"{plan.name} learns from text: name it with --data FILE",
            window=f"{plan.name} learns from text: choose some",
        )
    return corpus_in(data, plan.tokenizer, plan.recipe.held_out, plan.recipe.held_out_share)


def task_of(plan: Plan, corpus: Corpus | None, recipe: Recipe) -> Task:
    """What a phase learns from."""
    return (
        DatesTask(plan.tokenizer, recipe)
        if corpus is None
        else TextTask(corpus, plan.config.vocab_size, recipe)
    )


def description(plan: Plan, corpus: Corpus | None) -> dict[str, Any]:
    """All that decides which weights come out; a training goes on only where none of it changed."""
    found = {
        "name": plan.name,
        "family": plan.family.name,
        "config": asdict(plan.config),
        "tokenizer": plan.tokenizer.name,
        "task": plan.task,
        "recipe": asdict(plan.recipe),
    }
    if plan.phases:
        found["phases"] = {str(n): asdict(phase) for n, phase in enumerate(plan.phases, 2)}
    if plan.source is not None:
        found["checkpoint"] = plan.source.name
    if corpus is not None:
        read = corpus.train.tobytes() + corpus.held_out.tobytes()
        found[OF_THE_TEXT] = hashlib.sha256(read).hexdigest()[:12]
    return found


def changed(plan: Plan, everywhere: Mapping[str, Any], **first: Any) -> Plan:
    """The plan with other values in the recipes of all its phases, and in that of the first."""
    recipe = replace(plan.recipe, **everywhere, **first)
    return replace(plan, recipe=recipe, phases=tuple(replace(phase, **everywhere) for phase in plan.phases))
