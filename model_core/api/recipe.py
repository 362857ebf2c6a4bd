"""How a model is trained, as a value: what a preset, a configuration file or the command line says of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import Any

from model_core.api.errors import InputError
from model_core.api.schema import record

AUTOCAST = ("float32", "bfloat16", "float16")
EMBEDDING = 0.02  # the usual standard deviation of the first weights
LARGEST = 1e30  # of a number that weights are multiplied by: float32 holds what comes of it


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Lengths are in tokens.

    batch           rows of one step
    length          of a row of text
    repeats         share of the rows that are a chunk repeated to fill the row: what came before is the best clue,
                    which is what induction heads learn from (Olsson et al. 2022)
    random_repeats  share of those rows whose chunk is of random tokens: what came before is then the only clue, while
                    text that repeats itself teaches a model to do so as well
    held_out        documents (counted from 0) that are never trained on
    autocast        dtype of the matrix products, "float32" for none
    accumulate      in how many parts the rows of a step are computed, one after the other: the same step in less memory
    held_out_share  share of the text, from its end, that is never trained on
    embedding       standard deviation of the first embedding
    gain            first gain of the last norm
    kept            steps at which the model is kept as it is then, to be opened later beside the last (growth.py)
    """

    steps: int
    batch: int = 32
    length: int = 256
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0
    repeats: float = 0.1
    random_repeats: float = 0.5
    held_out: tuple[int, ...] = ()
    autocast: str = "float32"
    seed: int = 0
    accumulate: int = 1
    held_out_share: float = 0.0
    embedding: float = EMBEDDING
    gain: float = 1.0
    kept: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("length", 2), ("accumulate", 1)):
            if getattr(self, name) < least:
                raise InputError(f"the recipe's {name} is {getattr(self, name)}: it is to be {least} or more")
        for name in ("lr", "clip", "embedding", "gain"):
            if not 0 < getattr(self, name) < LARGEST:
                raise InputError(
                    f"the recipe's {name} is {getattr(self, name)}, not a positive number below {LARGEST:g}"
                )
        if not 0 <= self.random_repeats <= 1:
            raise InputError(f"the recipe's random_repeats is {self.random_repeats}, not a share from 0 to 1")
        for name in ("warmup", "seed", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"the recipe's {name} is {getattr(self, name)}: it is to be 0 or more")
        for name in ("repeats", "held_out_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"the recipe's {name} is {getattr(self, name)}, not a share from 0 to below 1"
                )
        if self.batch % self.accumulate:
            raise InputError(f"a batch of {self.batch} rows cannot be cut into {self.accumulate} equal parts")
        if self.autocast not in AUTOCAST:
            raise InputError(f"the recipe's autocast is {short(self.autocast)}, not {', '.join(AUTOCAST)}")
        if self.held_out and self.held_out_share:
            raise InputError("hold out documents or a share of the text, not both")

    @property
    def tokens_at_most(self) -> int:
        """Of one step, whose rows of text are full."""
        return self.batch * self.length

    @property
    def repeated_rows(self) -> int:
        """Rows of a batch that are a chunk repeated."""
        return round(self.repeats * self.batch)

    def is_random(self, row: int) -> bool:
        """Whether a repeated row is of random tokens: they are spread evenly among the others, the first being one."""
        return math.ceil((row + 1) * self.random_repeats) > math.ceil(row * self.random_repeats)

    @property
    def random_rows(self) -> int:
        """Rows of a batch that are random tokens repeated."""
        return sum(map(self.is_random, range(self.repeated_rows)))


def recipe_of(said: Mapping[str, Any]) -> Recipe:
    """The recipe that a configuration file spells out. InputError names what is no field, or not of its type."""
    if "steps" not in said:
        raise InputError("the recipe does not say how many steps to train")
    return record(Recipe, said, "the recipe", field="'s {}")


# What the phases of a training share: they learn from one text, and begin with weights that are there.
SHARED = ("held_out", "held_out_share", "embedding", "gain", "kept")


def phase_of(first: Recipe, said: Mapping[str, Any]) -> Recipe:
    """The recipe of a further phase of a training: what it does not say is as in the first. InputError as above."""
    for name in SHARED:
        if name in said:
            raise InputError(f"a phase has no '{name}' of its own: it belongs to the recipe, for all phases")
    if first.kept:
        raise InputError("a training in several phases keeps no steps: leave out 'kept', or the phases")
    changes = recipe_of(said)
    return replace(first, **{name: getattr(changes, name) for name in said})


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.lr * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
