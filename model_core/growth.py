"""How a model grew: its checkpoints on the way of one training, and what its heads did at each.

    growth/                    a model like any other, as it was when training ended
    growth/steps/000016/       the same model after 16 steps
    growth/growth.json         at each of these steps and at the end: tokens seen, scores of every head

"growth@16" names a step wherever a model is named, and "path/to/folder@16" one of a training of one's own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_core.errors import InputError
from model_core.writing import write_text

FILE = "growth.json"
STEPS = "steps"

Table = list[list[float]]


@dataclass(frozen=True)
class Moment:
    """A step that was kept: how many tokens were seen until then, and each score of every head, [L H]."""

    step: int
    tokens: int
    scores: Mapping[str, Table]


def split(model: str) -> tuple[str, int | None]:
    """The model and the step of its growth that a name means: ("growth", 16) of "growth@16", or the name and None.

    No training has a step of more than twelve digits: what has more is a name.
    """
    found = re.fullmatch(r"(.+)@([0-9]{1,12})", model)
    return (found[1], int(found[2])) if found else (model, None)


def at(name: str, index: int, steps: Sequence[int]) -> str:
    """How one of the steps that were kept is named; the last is the model itself."""
    return name if index == len(steps) - 1 else f"{name}@{steps[index]}"


def step_folder(folder: Path, step: int) -> Path:
    """Where a step that is not the last is kept."""
    return folder / STEPS / f"{step:06}"


def path_at(folder: Path, name: str, step: int) -> Path:
    """Where a step of a model is. InputError where it was not kept, naming those that were."""
    kept = [moment.step for moment in moments(folder)]
    if not kept:
        raise InputError(f"{name} was kept at no step of its training: open it as {name}")
    if step not in kept:
        raise InputError(f"{name} was not kept at step {step}: there are {', '.join(map(str, kept))}")
    place = step_folder(folder, step)
    return place if place.exists() else folder


def moments(folder: Path) -> list[Moment]:
    """The steps that were kept, the last one being the model itself; none where nobody kept any.

    InputError where the file that tells is damaged.
    """
    file = folder / FILE
    try:
        if not file.is_file():
            return []
        told = json.loads(file.read_text(encoding="utf-8"))
        found = [Moment(int(one["step"]), int(one["tokens"]), dict(one["scores"])) for one in told]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} cannot be read: {type(error).__name__}") from None
    return sorted(found, key=lambda moment: moment.step)


def write(folder: Path, kept: Sequence[Moment]) -> None:
    """Write the steps that were kept so far; scores to four digits, which is what a curve shows.

    InputError, with the file as it was, where it cannot be written.
    """

    def rounded(table: Table) -> Table:
        return [[round(score, 4) for score in row] for row in table]

    told = [
        asdict(moment) | {"scores": {name: rounded(table) for name, table in moment.scores.items()}}
        for moment in kept
    ]
    lines = ",\n".join(json.dumps(one) for one in told)
    write_text(folder / FILE, f"[\n{lines}\n]\n")
