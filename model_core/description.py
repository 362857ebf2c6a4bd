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

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from reprlib import repr as short
from typing import Any

from model_core.errors import InputError
from model_core.families import FAMILIES, Family
from model_core.json_file import read_json
from model_core.recipe import Recipe, phase_of, recipe_of
from model_core.text_file import read_text

TEXT, DATES = "text", "dates"
TASKS = (TEXT, DATES)
KEYS = ("name", "about", "family", "size", "config", "tokenizer", "task", "recipe", "phase", "opening")


@dataclass(frozen=True)
class Opening:
    """How a model is shown at first: the texts that it reads, and the head that is in focus.

    stack  the kind of attention; "" where the model has one only
    """

    prompt: str = ""
    target: str = ""
    layer: int = 0
    head: int = 0
    stack: str = ""


@dataclass(frozen=True)
class Description:
    """config and tokenizer are as the file says them: what one of them leaves open, the other may say.

    phases  the recipes of the phases after the first
    """

    name: str
    about: str
    family: Family
    config: Mapping[str, Any]
    tokenizer: object
    task: str
    recipe: Recipe
    phases: tuple[Recipe, ...]
    opening: Opening


def read_description(path: Path) -> Description:
    """InputError names the file and says what is wrong with it."""
    said = tables_in(path)
    for key in said:
        if key not in KEYS:
            raise InputError(f"{path} has {short(key)}; a description has {', '.join(KEYS)}")
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
        recipe = recipe_of(table(path, said, "recipe"))
        phases = tuple(phase_of(recipe, phase) for phase in tables(path, said, "phase"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Description(
        name=text(path, said, "name", path.stem),
        about=text(path, said, "about", f"{family.title}, described in {path.name}"),
        family=family,
        config=values,
        tokenizer=said.get("tokenizer"),
        task=task,
        recipe=recipe,
        phases=phases,
        opening=opening(path, table(path, said, "opening")),
    )


def tables_in(path: Path) -> dict[str, Any]:
    if path.suffix == ".json":
        return read_json(path)
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {str(error).splitlines()[0]}") from None


def text(path: Path, said: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = said.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"{path}: '{key}' is {short(value)}, not text")
    return value


def table(path: Path, said: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = said.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{path}: '{key}' is {short(value)}, not a table of names and values")
    return value


def tables(path: Path, said: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = said.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise InputError(
            f"{path}: '{key}' is {short(value)}, not tables of names and values: write [[{key}]]"
        )
    return value


def published(path: Path, family: Family, size: str) -> Any:
    if size not in family.published:
        raise InputError(f"{path}: {family.title} has no size {short(size)}; {', '.join(family.published)}")
    return family.published[size]


def opening(path: Path, said: Mapping[str, Any]) -> Opening:
    kinds = {field.name: type(field.default) for field in fields(Opening)}
    for name, value in said.items():
        if type(value) is not kinds.get(name):
            known = ", ".join(f"{field} ({kind.__name__})" for field, kind in kinds.items())
            raise InputError(f"{path}: the opening has {name} = {short(value)}; it has {known}")
    return Opening(**said)


def configuration(family: Family, values: Mapping[str, Any]) -> Any:
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
