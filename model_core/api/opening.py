"""How a model is shown at first, as its recipe says. Imports neither torch nor Qt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from model_core.api.files.toml_file import read_toml
from model_core.api.names import ATTENTION_PATHS
from model_core.api.schema import Count, Within, record

RECIPE = "recipe.toml"
TABLE = "opening"  # of RECIPE


@dataclass(frozen=True)
class Opening:
    """The texts that a model reads at first, and the head that is in focus.

    stack  the kind of attention; "" where the model has one only
    """

    prompt: str = ""
    target: str = ""
    layer: Count = 0
    head: Count = 0
    stack: Annotated[str, Within(lambda name: name in ATTENTION_PATHS, "a kind of attention")] = ""


def opening_in(folder: Path) -> Opening:
    """What the recipe in a preset's folder says of it, and no more of it is read. InputError where it cannot be."""
    path = folder / RECIPE
    return record(Opening, read_toml(path).get(TABLE, {}), f"{path}: '{TABLE}'")
