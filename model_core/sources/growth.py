"""How a model grew: its checkpoints on the way of one training, and what its heads did at each.

growth/                    a model like any other, as it was when training ended
growth/steps/000016/       the same model after 16 steps
growth/growth.json         at each of these steps and at the end: tokens seen, scores of every head
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from model_core.api.errors import InputError
from model_core.api.files.json_file import json_value
from model_core.api.files.regular_file import is_there
from model_core.api.files.writing import write_text
from model_core.api.schema import Count, Within, record, shown

FILE = "growth.json"
STEPS = "steps"
MOST_BYTES = 16 << 20  # of FILE: a hundred steps of a thousand heads take 5 MB

SCORES = ("previous", "induction", "duplicate")  # of a head, as scores.py measures them

Score = Annotated[float, Within(lambda x: 0 <= x <= 1, "a score from 0 to 1")]
Table = list[list[Score]]


@dataclass(frozen=True)
class Moment:
    """A step that was kept: how many tokens were seen until then, and each of SCORES of every head, [L H]."""

    step: Count
    tokens: Count
    scores: Mapping[str, Table]


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
    return place if is_there(place) else folder


def moments(folder: Path) -> list[Moment]:
    """The steps that were kept, the last one being the model itself; none where nobody kept any.

    InputError where the file that tells is damaged.
    """
    file = folder / FILE
    if not is_there(file):
        return []
    told = json_value(file, MOST_BYTES)
    if not isinstance(told, list):
        raise InputError(f"{file} is {shown(told)}, not a list")
    found = [record(Moment, one, f"{file}: entry {n}") for n, one in enumerate(told)]
    for n, moment in enumerate(found):
        if others := [name for name in moment.scores if name not in SCORES]:
            raise InputError(
                f"{file}: entry {n} has the scores {shown(others[0])}; there are {', '.join(SCORES)}"
            )
        if shapes(moment) != shapes(found[0]) or None in shapes(moment).values():
            raise InputError(f"{file}: entry {n} does not have a score for every head, as the first has")
    if len({moment.step for moment in found}) < len(found):
        raise InputError(f"{file} has a step twice")
    return sorted(found, key=lambda moment: moment.step)


def shapes(moment: Moment) -> dict[str, tuple[int, int] | None]:
    """Layers and heads of each table of scores; None for one whose rows differ, or that is empty."""
    widths = {name: {len(row) for row in table} for name, table in moment.scores.items()}
    return {
        name: (len(moment.scores[name]), max(found)) if len(found) == 1 and found != {0} else None
        for name, found in widths.items()
    }


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
