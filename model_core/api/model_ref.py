"""How a model is named: a preset, a path, or "untrained:family/size"; with "@16" behind it, the same after 16 steps.

"growth@16" names a step wherever a model is named, and "path/to/folder@16" one of a training of one's own.
"""

import re
from collections.abc import Sequence


def split(model: str) -> tuple[str, int | None]:
    """The model and the step of its growth that a name means: ("growth", 16) of "growth@16", or the name and None.

    No training has a step of more than twelve digits: what has more is a name.
    """
    found = re.fullmatch(r"(.+)@([0-9]{1,12})", model)
    return (found[1], int(found[2])) if found else (model, None)


def at(name: str, index: int, steps: Sequence[int]) -> str:
    """How one of the steps that were kept is named; the last is the model itself."""
    return name if index == len(steps) - 1 else f"{name}@{steps[index]}"
