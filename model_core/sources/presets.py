"""The models that come with the program, and how any model is opened: a preset, a path, or one without training."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_core.api import model_ref
from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.files.paths import expanded, followed
from model_core.api.files.regular_file import is_there
from model_core.api.opening import RECIPE, Opening
from model_core.api.plain_text import shortened
from model_core.api.recipe import Recipe
from model_core.checkpoint.building import Loaded
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.checkpoint.opening import open_checkpoint
from model_core.sources import growth, untrained
from model_core.sources.description import configuration, read_description

MOST_OF_A_MODEL = 200  # characters of what names a model, in a message


@dataclass(frozen=True)
class Preset:
    """A model to train and to open: family, configuration, tokenizer (in assets/tokenizers), and how it is trained.

    opening  texts and a head that show what it learned
    task     what it learns: "text", to go on with text that is given; "dates", to write dates in ISO 8601
    phases   the recipes of the phases after the first
    """

    about: str
    family: str
    config: Any
    tokenizer: str
    recipe: Recipe
    opening: Opening
    task: str = "text"
    phases: tuple[Recipe, ...] = ()


NAMES = ("tales-llama", "tales-gpt2", "tales-qwen2", "tales-mini", "growth", "dates")


def folder_of(name: str) -> Path:
    """Where a preset's trained weights are, and the recipe that made them."""
    return asset("presets", name)


def preset_in(folder: Path) -> Preset:
    """What the recipe in a preset's folder says. InputError where it cannot be read."""
    path = folder / RECIPE
    said = read_description(path)
    try:
        config: Any = configuration(said.family, said.config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Preset(
        about=said.about,
        family=said.family.name,
        config=config,
        tokenizer=str(said.tokenizer),
        recipe=said.recipe,
        opening=said.opening,
        task=said.task,
        phases=said.phases,
    )


def preset_named(name: str) -> Preset:
    """A preset as its folder says it now. InputError where there is none of that name, or its folder is damaged."""
    if name not in NAMES:
        raise InputError(f"there is no preset '{name}': name one of {', '.join(NAMES)}")
    try:
        return preset_in(folder_of(name))
    except InputError as error:
        raise InputError(f"the preset {name} is damaged: {error}; install Layerscope again") from None


def has_weights(name: str) -> bool:
    """Was the preset trained, and is what was learned still there?"""
    return all(is_there(folder_of(name) / file) for file in (MANIFEST, WEIGHTS))


def open_model(
    model: str,
    device: str = "cpu",
    dtype: str = "float32",
    *,
    config: Sequence[str] = (),
    progress: Callable[[float], None] = lambda share: None,
    needs: Callable[[str], None] = lambda words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Loaded:
    """A preset by name, a checkpoint by path, or "untrained:family/size". As `open_checkpoint`.

    InputError where it is none of them, or cannot be opened.
    """
    if model.startswith(untrained.PREFIX):
        return untrained.open_untrained(
            model, device, dtype, config=config, progress=progress, needs=needs, cancelled=cancelled
        )
    return open_checkpoint(
        path_of(model), device, dtype, config=config, progress=progress, needs=needs, cancelled=cancelled
    )


def path_of(model: str) -> Path:
    """The path of a preset's weights, or the one that was given; of either at a step: "growth@16".

    InputError where nothing is there. Weights are opened whatever became of the recipe that made them.
    """
    if model in NAMES:
        if has_weights(model):
            return folder_of(model)
        preset_named(model)  # one that is damaged cannot be trained either
        raise InputError(
            f"the preset {model} has no weights yet: layerscope train --preset {model} makes them",
            window=f"the preset {model} has no weights yet: train it in the Train panel",
        )
    with suppress(InputError):  # the home of nobody
        if is_there(path := expanded(model)):
            return path
    name, step = model_ref.split(model)
    if step is not None:
        return growth.path_at(path_of(name), name, step)
    presets = ", ".join(NAMES)
    raise InputError(
        f"there is no model '{shortened(model, MOST_OF_A_MODEL)}': name a preset ({presets}), a checkpoint's path, "
        "or untrained:family/size"
    )


def said_again(model: str) -> str:
    """The model in a command that is kept: a name as it is, a path as `word_of` says."""
    name, _ = model_ref.split(model)
    is_name = model in NAMES or model.startswith(untrained.PREFIX)
    if is_name or (name in NAMES and not is_there(expanded(model))):
        return model
    return word_of(expanded(model))


def word_of(path: Path) -> str:
    """The last part of a model's path: as "./growth" where "growth" alone would be a preset, and not this model."""
    whole = followed(path)
    name, _ = model_ref.split(whole.name)
    is_another = name in NAMES and whole.with_name(name) != followed(folder_of(name))
    return f"./{whole.name}" if is_another else whole.name


def grown(model: str) -> tuple[str, int, list[growth.Moment]] | None:
    """Whose training a model belongs to, its step, and all steps that were kept.

    None where none were, or nobody can tell any more: a model that is open stays so whatever becomes of its files.
    """
    with suppress(InputError):
        return recorded(model)
    return None


def recorded(model: str) -> tuple[str, int, list[growth.Moment]] | None:
    """As `grown`. InputError where the record of the training is damaged."""
    if model.startswith(untrained.PREFIX):
        return None
    name, step = model_ref.split(model)
    try:
        if step is None or is_there(expanded(model)):
            name, step = model, None
        path = path_of(name)
    except InputError:
        return None
    kept = growth.moments(path)
    steps = [moment.step for moment in kept]
    if not kept or (step is not None and step not in steps):
        return None
    return name, steps[-1] if step is None else step, kept
