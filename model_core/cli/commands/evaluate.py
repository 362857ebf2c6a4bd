"""`layerscope evaluate`: what a model card holds: scores of the heads and held-out text, or answers to unseen dates."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.api.errors import InputError
from model_core.cli.arguments import MODELS, ModelOptions, add_data_options, add_opening_options
from model_core.cli.registry import Command, register

if TYPE_CHECKING:
    from model_core.checkpoint.building import Loaded


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(ModelOptions):
    """A model, and what is measured on.

    data      files of text; () for none
    held_out  documents of it by number, or a share from its end; None where nothing was said
    """

    data: tuple[Path, ...]
    held_out: tuple[tuple[int, ...], float] | None


def add(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help=MODELS)
    add_data_options(command)
    add_opening_options(command)


def run(options: EvaluateOptions) -> None:
    from model_core.cli.asked import opened
    from model_core.system.devices import memory_errors
    from model_core.training.corpus import corpus_in
    from model_core.training.evaluation import answers_dates, evaluation

    loaded = opened(options)
    if options.data and answers_dates(loaded):
        raise InputError(f"{loaded.name} is measured by dates that are made: leave out --data")
    documents, share = held_out_of(loaded, options) if options.data else ((), 0.0)
    with memory_errors("this evaluation"):
        corpus = corpus_in(options.data, loaded.tokenizer, documents, share) if options.data else None
        print(evaluation(loaded, corpus, documents, share))


def held_out_of(loaded: Loaded, options: EvaluateOptions) -> tuple[tuple[int, ...], float]:
    """What of the text to measure: what was said, what the training held out, or what the preset does."""
    from model_core.api.model_ref import split
    from model_core.sources.presets import NAMES, preset_named
    from model_core.training.run_folder import held_out_in

    if options.held_out is not None:
        return options.held_out
    if loaded.path is not None and (found := held_out_in(loaded.path)) is not None:
        return found
    name, _ = split(loaded.name)
    if name not in NAMES:
        raise InputError(f"{loaded.name} is no preset: say with --held-out which documents to measure")
    recipe = preset_named(name).recipe
    return recipe.held_out, recipe.held_out_share


register(
    Command(
        "evaluate",
        "score the heads on repeated random tokens; measure held-out text",
        5,
        EvaluateOptions,
        add,
        run,
    )
)
