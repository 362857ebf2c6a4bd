"""What is to be trained: a preset, what a configuration file describes, or a checkpoint to go on from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.files.regular_file import is_there
from model_core.api.recipe import Recipe
from model_core.api.schema import shown, value
from model_core.checkpoint.building import Loaded, check_room, empty_model
from model_core.checkpoint.files import is_plain
from model_core.checkpoint.formats.native import vocabulary, vocabulary_file
from model_core.families.config import Size
from model_core.families.first_weights import initialise
from model_core.families.registry import FAMILIES, Family
from model_core.parts.model import Model
from model_core.sources import presets
from model_core.sources.description import DATES, TEXT, configuration, read_description
from model_core.text.tokenizer import IdTokenizer, Tokenizer
from model_core.training.evaluation import answers_dates

TRAINED_BYTES = 16  # of a parameter: itself, its gradient and two moments in float32

# Fine-tuning is gentler and shorter than training from nothing, and the end of the text shows whether it helped.
FINE_TUNING = Recipe(steps=300, batch=16, length=256, lr=3e-4, warmup=20, repeats=0.0, held_out_share=0.05)


@dataclass(frozen=True)
class Plan:
    """A model and how it is trained.

    phases  the recipes of the phases after the first, each of which goes on from the one before
    task    what is learned from: given text, or made dates
    source  the checkpoint that is trained further; None for first weights
    """

    name: str
    about: str
    family: Family
    config: Any
    tokenizer: Tokenizer
    recipe: Recipe
    phases: tuple[Recipe, ...] = ()
    task: str = TEXT
    source: Loaded | None = None

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Of all phases, in order."""
        return (self.recipe, *self.phases)

    def model(self) -> Model:
        """The model as training begins, in float32 on the CPU."""
        if self.source is not None:
            return self.source.model.requires_grad_(True)
        model: Model = self.family.build(self.config)
        initialise(model, self.recipe.seed, self.recipe.embedding, self.recipe.gain)
        return model

    def check_room(self, device: str) -> None:
        """InputError, before memory is taken, where training would need more of it than the device has."""
        if self.source is None:
            count = empty_model(self.family, self.config).parameter_count
            check_room(f"training {self.name}", TRAINED_BYTES * count, device, "train a smaller model")


def of_preset(name: str) -> Plan:
    """InputError where there is no such preset, or it is damaged."""
    preset = presets.preset_named(name)
    tokenizer = vocabulary(preset.tokenizer, preset.config.vocab_size, asset("tokenizers"))
    family = FAMILIES[preset.family]
    return Plan(
        name, preset.about, family, preset.config, tokenizer, preset.recipe, preset.phases, preset.task
    )


def of_checkpoint(model: str, config: Sequence[str], name: str) -> Plan:
    """Any model that can be opened, with its own tokenizer, to be trained further under another name."""
    loaded = presets.open_model(model, config=config)
    task = DATES if answers_dates(loaded) else TEXT
    if task == TEXT and len(loaded.model.inputs) > 1:
        raise InputError(f"{loaded.name} reads two texts: the pairs that it would learn from cannot be given")
    recipe = FINE_TUNING
    if loaded.model.context < recipe.length:
        recipe = replace(recipe, length=loaded.model.context)
    return Plan(
        name=name,
        about=f"{loaded.name}, fine-tuned",
        family=loaded.family,
        config=loaded.model.config,
        tokenizer=loaded.tokenizer,
        recipe=recipe,
        task=task,
        source=loaded,
    )


def of_file(path: Path) -> Plan:
    """What a JSON or TOML file describes; InputError says what is wrong with it."""
    said = read_description(path)
    try:
        values = dict(said.config)
        tokenizer = tokenizer_of(path, said.tokenizer, values.get("vocab_size"))
        values.setdefault("vocab_size", tokenizer.vocab_size)
        config: Any = configuration(said.family, values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Plan(said.name, said.about, said.family, config, tokenizer, said.recipe, said.phases, said.task)


def tokenizer_of(path: Path, said: str | None, vocab_size: object) -> Tokenizer:
    """The tokenizer that a description names. Without a size of the model's own, all of its tokens."""
    size = None if vocab_size is None else value("'vocab_size'", vocab_size, Size)
    if said is None:
        if size is None:
            raise InputError("without a tokenizer the config needs a 'vocab_size'")
        return IdTokenizer(size)
    if not is_plain(said):
        raise InputError(
            f"'tokenizer' is {shown(said)}, not a name, or that of a file beside the description"
        )
    file = path.parent / said
    if is_there(file):
        return vocabulary_file(file, size)
    return vocabulary(said, size, path.parent)
