"""What the card of a model says of its training, beside what was measured."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from model_core.api.recipe import Recipe
from model_core.checkpoint.building import Loaded
from model_core.cli.training.options import TrainOptions
from model_core.sources import growth, presets
from model_core.sources.description import TEXT
from model_core.training.card import Facts, dates_training, hardware, text_training, training_words
from model_core.training.plan import Plan
from model_core.training.train import State


def facts_of(options: TrainOptions, plan: Plan, saved: Loaded, state: State, begun: str, data: str) -> Facts:
    """What the card says beside what was measured."""
    described: Callable[[Recipe], str] = text_training if plan.task == TEXT else dates_training
    return Facts(
        name=plan.name,
        about=plan.about,
        data=data,
        licence=options.licence or ("not stated" if options.data else "none needed, nobody wrote them"),
        tokenizer=plan.tokenizer.name,
        vocab_size=plan.tokenizer.vocab_size,
        family=plan.family.name,
        config=plan.config,
        parameters=saved.model.parameter_count,
        training=training_words(plan.recipes, described),
        tokens=state.tokens,
        seconds=state.seconds,
        hardware=hardware(options.device),
        seed=plan.recipe.seed,
        command=command_of(options, plan.recipe),
        evaluate=evaluate_command(options),
        begun=begun,
        grown=growth.moments(saved.path) if saved.path is not None else [],
    )


def command_of(options: TrainOptions, recipe: Recipe) -> str:
    """The training command with every choice written out, and files by their names alone."""
    words = ["layerscope", "train"]
    if options.preset is not None:
        words += ["--preset", options.preset]
    if options.source is not None:
        words += ["--from", presets.said_again(options.source)]
    for config in options.config:
        words += ["--config", config if options.source is not None else Path(config).name]
    words += data_words(options.data)
    if options.data:
        words += ["--held-out", held_out_words(recipe), "--length", str(recipe.length)]
    words += ["--out", options.out.resolve().name]
    words += ["--steps", str(recipe.steps), "--batch", str(recipe.batch), "--lr", f"{recipe.lr:g}"]
    if recipe.accumulate > 1:
        words += ["--accumulate", str(recipe.accumulate)]
    words += ["--dtype", recipe.autocast, "--device", options.device, "--seed", str(recipe.seed)]
    if options.licence:
        words += ["--licence", options.licence]
    return shlex.join(words)


def evaluate_command(options: TrainOptions) -> str:
    return shlex.join(["layerscope", "evaluate", presets.word_of(options.out), *data_words(options.data)])


def data_words(data: Sequence[Path]) -> list[str]:
    return [word for path in data for word in ("--data", path.name)]


def held_out_words(recipe: Recipe) -> str:
    return (
        f"{recipe.held_out_share * 100:g}%" if recipe.held_out_share else ",".join(map(str, recipe.held_out))
    )
