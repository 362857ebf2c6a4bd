"""The training that the options of `layerscope train` say: a plan, the text, a folder, and the loop between them.

The same command on a folder whose training was stopped goes on with it, bit for bit.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from model_core.analysis.scores import head_scores
from model_core.api.errors import Cancelled, InputError
from model_core.api.files.folder_lock import held
from model_core.api.files.paths import expanded
from model_core.api.plain_text import one_line
from model_core.api.run_files import CARD
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.cli.training.facts import facts_of, held_out_words
from model_core.cli.training.options import TrainOptions
from model_core.cli.training.told import Said
from model_core.sources import growth
from model_core.system import devices
from model_core.training.card import card, files
from model_core.training.control import Control
from model_core.training.corpus import Corpus, NoSuchDocument, in_words
from model_core.training.evaluation import evaluation, held_out
from model_core.training.learned import changed, corpus_of, description, task_of
from model_core.training.phases import begins, train_phases
from model_core.training.plan import FINE_TUNING, Plan, of_checkpoint, of_file, of_preset
from model_core.training.run_folder import RunFolder
from model_core.training.task import Task
from model_core.training.train import Progress, State, check_length

MEASURE_EVERY = 5  # reports between two measures of held-out text
MADE = "dates written in many ways, made by rule from the seed"


def train(options: TrainOptions) -> None:
    """Train as the options say.

    InputError for what cannot be trained, or not written; Cancelled where it was stopped from outside.
    """
    try:
        train_as_said(options)
    except InputError as error:
        if options.controlled:  # who controls a training is a window, and has no options
            raise InputError(error.window) from None
        raise


def train_as_said(options: TrainOptions) -> None:
    plan = plan_of(options)
    # Who controls a training is another program, which has its own work to do.
    devices.configure_threads(spare=int(options.controlled))
    device, _ = devices.check(options.device, plan.recipe.autocast)
    plan.check_room(options.device)
    note = ""
    try:
        corpus = corpus_of(plan, options.data)
    except NoSuchDocument as error:
        if options.preset is None or options.held_out is not None:
            raise
        # The documents that a preset holds out are those of the text that it was made from.
        plan = changed(plan, {"held_out": (), "held_out_share": FINE_TUNING.held_out_share})
        corpus = corpus_of(plan, options.data)
        note = (
            f"the text has {in_words(error.documents)}, and not those that {plan.name} holds out: "
            f"its last {held_out_words(plan.recipe)} is held out instead"
        )
    tasks = [task_of(plan, corpus, phase) for phase in plan.recipes]
    # Said now: what is learned from may be gone when training ends.
    data = files(options.data) if options.data else MADE
    with held(options.out):
        train_in_folder(options, plan, device, corpus, tasks, data, note)


def train_in_folder(
    options: TrainOptions,
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
    folder = RunFolder(options.out, description(plan, corpus))
    said = Said(options.json)
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

        if options.controlled:
            control.listen()
        try:
            with control.signals():
                train_phases(
                    model,
                    plan.recipes,
                    tasks,
                    report,
                    state,
                    every=options.report_every,
                    measure=options.measure_every or MEASURE_EVERY * options.report_every,
                    keep=keep,
                    keep_every=options.save_every or options.report_every,
                    grown=grown,
                    cancelled=control.cancelled,
                )
        except Cancelled:
            said.event("stopped", step=state.step)
            raise
        # Measured as it was saved: that is the model which anybody will open.
        saved = open_checkpoint(folder.path, options.device)
        found = evaluation(saved, corpus, recipe.held_out, recipe.held_out_share)
    begun = "" if plan.source is None else f"{plan.source.name}; held out, before: {before or 'nothing'}"
    facts = facts_of(options, plan, saved, state, begun, data)
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
    if not options.json:
        short = (
            found.text or "nothing held out" if found.answers is None else f"{found.answers.exact:.2%} exact"
        )
        print(one_line(f"{options.out}: {plan.name}, held out: {short}"))


def plan_of(options: TrainOptions) -> Plan:
    """What the options name, with what they change of its recipe."""
    match options.preset, options.source, options.config:
        case None, str(source), config:
            plan = of_checkpoint(source, config, options.out.resolve().name)
        case str(preset), None, ():
            plan = of_preset(preset)
        case None, None, (file,):
            plan = of_file(expanded(file))
        case _:
            raise InputError(
                "say what to train: one of --preset NAME, --config FILE and --from CHECKPOINT",
                window="choose what to train",
            )

    def said(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(options, name)) is not None}

    everywhere = said("length", "accumulate", "seed")
    if options.dtype is not None:
        everywhere["autocast"] = options.dtype
    if options.held_out is not None:
        everywhere["held_out"], everywhere["held_out_share"] = options.held_out
    return changed(plan, everywhere, **said("steps", "batch", "lr"))
