"""What is to be trained: a preset, what a configuration file describes, or a checkpoint to go on from."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

from model_core import presets
from model_core.assets import asset
from model_core.checkpoint import Loaded
from model_core.checkpoint.files import is_plain
from model_core.checkpoint.native import vocabulary, vocabulary_file
from model_core.errors import InputError
from model_core.evaluation import answers_dates
from model_core.families import FAMILIES, Family
from model_core.first_weights import initialise
from model_core.json_file import read_json
from model_core.model import Model
from model_core.recipe import Recipe, recipe_of
from model_core.regular_file import is_there
from model_core.text_file import read_text
from model_core.tokenizer import IdTokenizer, Tokenizer

TEXT, DATES = "text", "dates"
TASKS = (TEXT, DATES)

# Fine-tuning is gentler and shorter than training from nothing, and the end of the text shows whether it helped.
FINE_TUNING = Recipe(steps=300, batch=16, length=256, lr=3e-4, warmup=20, repeats=0.0, held_out_share=0.05)


@dataclass(frozen=True)
class Plan:
    """A model and how it is trained.

    task    what is learned from: given text, or made dates
    source  the checkpoint that is trained further; None for first weights
    """

    name: str
    about: str
    family: Family
    config: Any
    tokenizer: Tokenizer
    recipe: Recipe
    task: str = TEXT
    source: Loaded | None = None

    def model(self) -> Model:
        """The model as training begins, in float32 on the CPU."""
        if self.source is not None:
            return self.source.model.requires_grad_(True)
        model: Model = self.family.build(self.config)
        initialise(model, self.recipe.seed, self.recipe.embedding, self.recipe.gain)
        return model


def of_preset(name: str) -> Plan:
    """InputError where there is no such preset."""
    if name not in presets.PRESETS:
        raise InputError(f"there is no preset '{name}': name one of {', '.join(presets.PRESETS)}")
    preset = presets.PRESETS[name]
    tokenizer = vocabulary(preset.tokenizer, preset.config.vocab_size, asset("tokenizers"))
    family = FAMILIES[preset.family]
    return Plan(name, preset.about, family, preset.config, tokenizer, preset.recipe, preset.task)


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
    """What a JSON or TOML file describes; InputError says what is wrong with it.

    family = "llama"              # and the configuration: a published size, fields of its own, or both
    size = "7B"
    tokenizer = "tales-2048"      # bundled, a ranks file beside this one, tiktoken's, or left out for token ids
    task = "text"                 # or "dates"
    [config]
    layers = 4
    [recipe]
    steps = 500
    """
    said = read_description(path)
    known = ("name", "about", "family", "size", "config", "tokenizer", "task", "recipe")
    for key in said:
        if key not in known:
            raise InputError(f"{path} has {short(key)}; a description has {', '.join(known)}")
    family = FAMILIES.get(text(path, said, "family"))
    if family is None:
        raise InputError(
            f"{path}: there is no family {short(said['family'])}; known are {', '.join(FAMILIES)}"
        )
    values = dict(table(path, said, "config"))
    if "size" in said:
        values = vars(published(path, family, text(path, said, "size"))) | values
    task = text(path, said, "task", TEXT)
    if task not in TASKS:
        raise InputError(f"{path}: the task is {short(task)}, not one of {', '.join(TASKS)}")
    try:
        tokenizer = tokenizer_of(path, said.get("tokenizer"), values.get("vocab_size"))
        values.setdefault("vocab_size", tokenizer.vocab_size)
        config = configuration(family, values)
        recipe = recipe_of(table(path, said, "recipe"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    name = text(path, said, "name", path.stem)
    about = text(path, said, "about", f"{family.title}, described in {path.name}")
    return Plan(name, about, family, config, tokenizer, recipe, task)


def read_description(path: Path) -> dict[str, Any]:
    if path.suffix == ".json":
        return read_json(path)
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {str(error).splitlines()[0]}") from None


def text(path: Path, said: dict[str, Any], key: str, default: str | None = None) -> str:
    value = said.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"{path}: '{key}' is {short(value)}, not text")
    return value


def table(path: Path, said: dict[str, Any], key: str) -> dict[str, Any]:
    value = said.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{path}: '{key}' is {short(value)}, not a table of names and values")
    return value


def published(path: Path, family: Family, size: str) -> Any:
    if size not in family.published:
        raise InputError(f"{path}: {family.title} has no size {short(size)}; {', '.join(family.published)}")
    return family.published[size]


def configuration(family: Family, values: dict[str, Any]) -> Any:
    """The family's configuration. InputError names a field that is missing, unknown or of the wrong type."""
    known = {field.name for field in fields(family.config)}
    for name in values:
        if name not in known:
            raise InputError(f"the config has {short(name)}, which {family.title} does not know")
    tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return family.config(**tuples)
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ")
        raise InputError(f"the config has no {missing}") from None


def tokenizer_of(path: Path, said: object, vocab_size: object) -> Tokenizer:
    """The tokenizer that a description names. Without a size of the model's own, all of its tokens."""
    size = vocab_size if isinstance(vocab_size, int) else None
    if said is None:
        if size is None:
            raise InputError("without a tokenizer the config needs a 'vocab_size'")
        return IdTokenizer(size)
    if not (isinstance(said, str) and is_plain(said)):
        raise InputError(
            f"'tokenizer' is {short(said)}, not a name, or that of a file beside the description"
        )
    file = path.parent / said
    if is_there(file):
        return vocabulary_file(file, size)
    return vocabulary(said, size, path.parent)
