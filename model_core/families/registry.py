"""What a family says of itself, and all that there are: one file each, beside this one, which registers itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model_core.families.config import Source
from model_core.parts.model import Model


@dataclass(frozen=True)
class Family:
    """One architecture: what the app says of it, its configurations, and how it is built.

    about       what makes it different from its neighbours, as shown to the reader
    published   the configurations that were published, by the name of the size
    hf_types    the model_types of the Hugging Face folders that it reads, by from_hf and hf_weights; () for none
    hf_ignored  globs of stored tensors that are no parameters
    hf_prefix   what may stand before names
    """

    name: str
    title: str
    about: str
    config: type
    build: Callable[[Any], Model]
    published: Mapping[str, Any] = field(default_factory=dict)
    hf_types: tuple[str, ...] = ()
    from_hf: Callable[[Mapping[str, Any]], Any] | None = None
    hf_weights: Callable[[Any], dict[str, Source]] | None = None
    hf_ignored: tuple[str, ...] = ()
    hf_prefix: str = ""


FAMILIES: dict[str, Family] = {}


def register(family: Family) -> None:
    """Called once at the end of each family's file."""
    FAMILIES[family.name] = family


def family_of(config: Any) -> Family:
    """The family that a configuration belongs to."""
    return next(family for family in FAMILIES.values() if type(config) is family.config)
