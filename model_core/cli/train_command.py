"""`layerscope train`: a plan, the text, a folder, and the loop between them, told of while it runs.

The same command on a folder whose training was stopped goes on with it, bit for bit.
"""

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from model_core.analysis.scores import head_scores
from model_core.api.errors import Cancelled, InputError
from model_core.api.files.folder_lock import held
from model_core.api.files.paths import expanded
from model_core.api.plain_text import one_line, unguarded
from model_core.api.recipe import Recipe
from model_core.api.run_files import CARD
from model_core.checkpoint.building import Loaded
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.sources import growth, presets
from model_core.sources.description import TEXT
from model_core.system import devices
from model_core.training.card import (
    Facts,
    card,
    dates_training,
    files,
    hardware,
    text_training,
    training_words,
)
from model_core.training.control import Control
from model_core.training.corpus import Corpus, NoSuchDocument, TextTask, corpus_in, in_words
from model_core.training.evaluation import evaluation, held_out
from model_core.training.pairs import DatesTask
from model_core.training.phases import begins, train_phases
from model_core.training.plan import FINE_TUNING, Plan, of_checkpoint, of_file, of_preset
from model_core.training.run_folder import OF_THE_TEXT, RunFolder, logged
from model_core.training.task import Task
from model_core.training.train import Progress, State, check_length

MEASURE_EVERY = 5  # reports between two measures of held-out text
BAR = 24  # characters
MADE = "dates written in many ways, made by rule from the seed"


def run(arguments: argparse.Namespace, every: int) -> None:
    """Train as the arguments say, reporting and keeping a checkpoint after every so many steps.

    InputError for what cannot be trained, or not written; Cancelled where it was stopped from outside.
    """
    try:
        train_as_said(arguments, every)
    except InputError as error:
        if arguments.controlled:  # who controls a training is a window, and has no options
            raise InputError(error.window) from None
        raise


def train_as_said(arguments: argparse.Namespace, every: int) -> None:
    plan = plan_of(arguments)
    # Who controls a training is another program, which has its own work to do.
    devices.configure_threads(spare=int(arguments.controlled))
    device, _ = devices.check(arguments.device, plan.recipe.autocast)
    plan.check_room(arguments.device)
    note = ""
    try:
        corpus = corpus_of(plan, arguments.data)
    except NoSuchDocument as error:
        if arguments.preset is None or arguments.held_out is not None:
            raise
        # The documents that a preset holds out are those of the text that it was made from.
        plan = changed(plan, {"held_out": (), "held_out_share": FINE_TUNING.held_out_share})
        corpus = corpus_of(plan, arguments.data)
        note = (
            f"the text has {in_words(error.documents)}, and not those that {plan.name} holds out: "
            f"its last {held_out_words(plan.recipe)} is held out instead"
        )
    tasks = [task_of(plan, corpus, phase) for phase in plan.recipes]
    # Said now: what is learned from may be gone when training ends.
    data = files(arguments.data) if arguments.data else MADE
    with held(arguments.out):
        train_in_folder(arguments, every, plan, device, corpus, tasks, data, note)


def train_in_folder(
    arguments: argparse.Namespace,
    every: int,
    plan: Plan,
    device: torch.device,
    corpus: Corpus | None,
    tasks: Sequence[Task],
    data: str,
    note: str,
) -> None:
    """Train in a folder that is this process's alone, from its beginning or from what is kept there.

    note  what is to be told of the plan, "" for nothing
    """
    recipe = plan.recipe
    steps = begins(plan.recipes)[-1]
    folder = RunFolder(arguments.out, description(plan, corpus))
    said = Said(arguments.json)
    control = Control(lambda word: said.event(word))

    with devices.memory_errors(
        "training", "a smaller model, fewer rows, a step in more parts or another device"
    ):
        model = plan.model().to(device)
        for phase in plan.recipes:
            check_length(model, phase)
        before = None
        if plan.source is not None and corpus is not None:
            before = held_out(model.eval(), corpus, recipe.held_out, recipe.held_out_share)
        state = folder.kept(model, begins(plan.recipes)) or State()
        said.event("begun", folder=str(folder.path), model=plan.name, step=state.step, steps=steps, note=note)

        def save(place: Path, name: str) -> None:
            origin = plan.tokenizer.origin
            native.save(place, model, plan.family, tokenizer=origin, name=name, about=plan.about)

        def keep(state: State) -> None:
            # The checkpoint first: it is refused where training diverged, and what was kept before stays.
            save(folder.path, plan.name)
            folder.keep(model, state)
            said.event("saved", step=state.step)

        def grown(state: State) -> None:
            """Keep the model of this step beside the newest, and what its heads do."""
            place = folder.path
            if state.step < steps:
                place = growth.step_folder(folder.path, state.step)
                save(place, f"{plan.name}@{state.step}")
            scores = head_scores(open_checkpoint(place).model)
            earlier = [moment for moment in growth.moments(folder.path) if moment.step < state.step]
            tables = {name: values.tolist() for name, values in scores.items()}
            growth.write(folder.path, [*earlier, growth.Moment(state.step, state.tokens, tables)])

        def report(progress: Progress) -> None:
            said.progress(progress)
            folder.log(progress)

        if arguments.controlled:
            control.listen()
        try:
            with control.signals():
                train_phases(
                    model,
                    plan.recipes,
                    tasks,
                    report,
                    state,
                    every=every,
                    measure=arguments.measure_every or MEASURE_EVERY * every,
                    keep=keep,
                    keep_every=arguments.save_every or every,
                    grown=grown,
                    cancelled=control.cancelled,
                )
        except Cancelled:
            said.event("stopped", step=state.step)
            raise
        # Measured as it was saved: that is the model which anybody will open.
        saved = open_checkpoint(folder.path, arguments.device)
        found = evaluation(saved, corpus, recipe.held_out, recipe.held_out_share)
    begun = "" if plan.source is None else f"{plan.source.name}; held out, before: {before or 'nothing'}"
    facts = facts_of(arguments, plan, saved, state, begun, data)
    folder.finish(
        card(facts, found),
        seconds=state.seconds,
        tokens=state.tokens,
        hardware=facts.hardware,
        data=facts.data,
        licence=facts.licence,
        measured=found.numbers(),
    )
    said.event("finished", step=steps, card=str(folder.path / CARD))
    if not arguments.json:
        short = (
            found.text or "nothing held out" if found.answers is None else f"{found.answers.exact:.2%} exact"
        )
        print(one_line(f"{arguments.out}: {plan.name}, held out: {short}"))


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What the arguments name, with what they change of its recipe."""
    match arguments.preset, arguments.source, arguments.config:
        case None, str(source), config:
            plan = of_checkpoint(source, config, arguments.out.resolve().name)
        case str(preset), None, []:
            plan = of_preset(preset)
        case None, None, [file]:
            plan = of_file(expanded(file))
        case _:
            raise InputError(
                "say what to train: one of --preset NAME, --config FILE and --from CHECKPOINT",
                window="choose what to train",
            )

    def said(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(arguments, name)) is not None}

    everywhere = said("length", "accumulate", "seed")
    if arguments.dtype is not None:
        everywhere["autocast"] = arguments.dtype
    if arguments.held_out is not None:
        everywhere["held_out"], everywhere["held_out_share"] = arguments.held_out
    return changed(plan, everywhere, **said("steps", "batch", "lr"))


def changed(plan: Plan, everywhere: Mapping[str, Any], **first: Any) -> Plan:
    """The plan with other values in the recipes of all its phases, and in that of the first."""
    recipe = replace(plan.recipe, **everywhere, **first)
    return replace(plan, recipe=recipe, phases=tuple(replace(phase, **everywhere) for phase in plan.phases))


def task_of(plan: Plan, corpus: Corpus | None, recipe: Recipe) -> Task:
    """What a phase learns from."""
    return (
        DatesTask(plan.tokenizer, recipe)
        if corpus is None
        else TextTask(corpus, plan.config.vocab_size, recipe)
    )


def corpus_of(plan: Plan, data: Sequence[Path] | None) -> Corpus | None:
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


class Said:
    """What a person reads on stderr, or a program on stdout, while training runs."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.redraws = not as_json and sys.stderr.isatty()

    def event(self, name: str, **more: Any) -> None:
        """begun, progress, saved, paused, resumed, stopped, finished: one JSON object a line."""
        if self.as_json:
            print(json.dumps({"event": name, **more}), flush=True)
        elif name in ("paused", "resumed"):
            print(name, file=sys.stderr)
        elif name == "stopped":
            print(f"stopped after step {more['step']}; the same command goes on", file=sys.stderr)
        elif name == "begun":
            if more["note"]:
                print(more["note"], file=sys.stderr)
            if more["step"]:
                print(f"going on after step {more['step']} of {more['steps']}", file=sys.stderr)

    def progress(self, progress: Progress) -> None:
        if self.as_json:
            self.event(
                "progress", **logged(progress), steps=progress.steps, seconds_left=progress.seconds_left
            )
            return
        ends = self.redraws and progress.step < progress.steps
        done = progress.step * BAR // progress.steps
        bar = f"\r\033[K[{'#' * done}{'.' * (BAR - done)}]  " if self.redraws else ""
        print(bar + line(progress), file=unguarded(sys.stderr), end="" if ends else "\n", flush=True)


def line(progress: Progress) -> str:
    left = timedelta(seconds=round(progress.seconds_left))
    held = "" if progress.held_out_loss is None else f"  held out {progress.held_out_loss:.3f}"
    return (
        f"step {progress.step} of {progress.steps}  loss {progress.loss:.3f}{held}  "
        f"{progress.tokens_per_second:,.0f} tokens/s  {left} left"
    )


def facts_of(
    arguments: argparse.Namespace, plan: Plan, saved: Loaded, state: State, begun: str, data: str
) -> Facts:
    """What the card says beside what was measured."""
    described: Callable[[Recipe], str] = text_training if plan.task == TEXT else dates_training
    return Facts(
        name=plan.name,
        about=plan.about,
        data=data,
        licence=arguments.licence or ("not stated" if arguments.data else "none needed, nobody wrote them"),
        tokenizer=plan.tokenizer.name,
        vocab_size=plan.tokenizer.vocab_size,
        family=plan.family.name,
        config=plan.config,
        parameters=saved.model.parameter_count,
        training=training_words(plan.recipes, described),
        tokens=state.tokens,
        seconds=state.seconds,
        hardware=hardware(arguments.device),
        seed=plan.recipe.seed,
        command=command_of(arguments, plan.recipe),
        evaluate=evaluate_command(arguments),
        begun=begun,
        grown=growth.moments(saved.path) if saved.path is not None else [],
    )


def command_of(arguments: argparse.Namespace, recipe: Recipe) -> str:
    """The training command with every choice written out, and files by their names alone."""
    words = ["layerscope", "train"]
    if arguments.preset is not None:
        words += ["--preset", arguments.preset]
    if arguments.source is not None:
        words += ["--from", presets.said_again(arguments.source)]
    for config in arguments.config:
        words += ["--config", config if arguments.source is not None else Path(config).name]
    words += data_words(arguments.data)
    if arguments.data:
        words += ["--held-out", held_out_words(recipe), "--length", str(recipe.length)]
    words += ["--out", arguments.out.resolve().name]
    words += ["--steps", str(recipe.steps), "--batch", str(recipe.batch), "--lr", f"{recipe.lr:g}"]
    if recipe.accumulate > 1:
        words += ["--accumulate", str(recipe.accumulate)]
    words += ["--dtype", recipe.autocast, "--device", arguments.device, "--seed", str(recipe.seed)]
    if arguments.licence:
        words += ["--licence", arguments.licence]
    return shlex.join(words)


def evaluate_command(arguments: argparse.Namespace) -> str:
    return shlex.join(["layerscope", "evaluate", presets.word_of(arguments.out), *data_words(arguments.data)])


def data_words(data: Sequence[Path] | None) -> list[str]:
    return [word for path in data or () for word in ("--data", path.name)]


def held_out_words(recipe: Recipe) -> str:
    return (
        f"{recipe.held_out_share * 100:g}%" if recipe.held_out_share else ",".join(map(str, recipe.held_out))
    )
