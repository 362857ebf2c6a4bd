"""What a JSON or TOML file says of a model and of how it is trained: a preset's recipe.toml, or a person's own.

family = "llama"              # and the configuration: a published size, fields of its own, or both
size = "7B"
tokenizer = "tales-2048"      # bundled, a ranks file beside this one, tiktoken's, or left out for token ids
task = "text"                 # or "dates"
[config]
layers = 4
[recipe]
steps = 500
[[phase]]                     # any number: it goes on from there with a new optimiser, and other rates and rows
steps = 300
[opening]                     # what shows best what it learned: texts, and where to look
prompt = "Once upon a time"
head = 2
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from model_core.api.errors import InputError
from model_core.api.files.json_file import read_json
from model_core.api.files.toml_file import MOST_BYTES, read_toml
from model_core.api.opening import Opening
from model_core.api.recipe import Recipe, phase_of, recipe_of
from model_core.api.schema import record, shown
from model_core.families.registry import FAMILIES, Family

TEXT: Literal["text"] = "text"
DATES: Literal["dates"] = "dates"


@dataclass(frozen=True)
class Written:
    """What a description may say; all but the family has a default."""

    family: str
    size: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    task: Literal["text", "dates"] = TEXT
    recipe: Mapping[str, Any] = field(default_factory=dict)
    phase: tuple[Mapping[str, Any], ...] = ()
    opening: Opening = field(default_factory=Opening)
    name: str = ""
    about: str = ""


@dataclass(frozen=True)
class Description:
    """config and tokenizer are as the file says them: what one of them leaves open, the other may say.

    phases  the recipes of the phases after the first
    """

    name: str
    about: str
    family: Family
    config: Mapping[str, Any]
    tokenizer: str | None
    task: str
    recipe: Recipe
    phases: tuple[Recipe, ...]
    opening: Opening


def read_description(path: Path) -> Description:
    """InputError names the file and says what is wrong with it."""
    said = record(Written, tables_in(path), str(path))
    family = FAMILIES.get(said.family)
    if family is None:
        raise InputError(f"{path}: there is no family {shown(said.family)}; known are {', '.join(FAMILIES)}")
    config = dict(said.config)
    if said.size:
        config = vars(published(path, family, said.size)) | config
    try:
        recipe = recipe_of(said.recipe)
        phases = tuple(phase_of(recipe, phase) for phase in said.phase)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Description(
        name=said.name or path.stem,
        about=said.about or f"{family.title}, described in {path.name}",
        family=family,
        config=config,
        tokenizer=said.tokenizer,
        task=said.task,
        recipe=recipe,
        phases=phases,
        opening=said.opening,
    )


def tables_in(path: Path) -> dict[str, Any]:
    if path.suffix == ".json":
        return read_json(path, MOST_BYTES)
    return read_toml(path)


def published(path: Path, family: Family, size: str) -> Any:
    if size not in family.published:
        raise InputError(f"{path}: {family.title} has no size {shown(size)}; {', '.join(family.published)}")
    return family.published[size]


def configuration(family: Family, values: Mapping[str, Any]) -> Any:
    """The family's configuration. InputError names a field that is missing, unknown or of the wrong type."""
    return record(family.config, values, "the config")
