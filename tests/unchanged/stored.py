"""A few values of each preset, kept: `python -m tests.unchanged.stored` writes them anew, where they were to change."""

import json
from typing import Any

import numpy as np

from model_core.api.names import AttentionKind
from model_core.api.queries.norms import NormStatistics
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.run import RunSummary
from model_core.api.queries.values import SiteValue
from model_core.sources.presets import NAMES
from tests.support.data_files import DATA
from tests.unchanged.record import Asking, scenes

FILE = DATA / "stored_values.json"
TOLERANCE = 1e-5


def values() -> dict[str, dict[str, Any]]:
    """Of each preset, with and without edits: the likeliest tokens, a row of a pattern, what a norm divides by."""
    asking, found = Asking(), {}
    for name in NAMES:
        for label, scene in scenes(name, name):
            (run,) = asking.answers(scene, [RunSummary()]).values()
            kind = AttentionKind(**run.fields["facts"]["attentions"][-1])
            last = len(run.fields["facts"]["tokens"]) - 1
            row = SiteValue(kind.site(1, "pattern"), {"H": 1, "T": last})
            norm = NormStatistics(kind.site(1, "").rpartition(".")[0].rpartition(".")[0] + ".norm1")
            next_, pattern, norms = asking.answers(scene, [NextTokens(k=5), row, norm]).values()
            found[label] = {
                "tokens": run.fields["facts"]["tokens"],
                "ids": next_.fields["facts"]["ids"],
                "probabilities": rounded(next_.arrays["probabilities"]),
                "log_probs": rounded(next_.arrays["log_probs"]),
                "pattern": rounded(pattern.arrays["values"]),
                "divisor": rounded(norms.arrays["divisor"]),
            }
    return found


def rounded(array: np.ndarray[Any, Any]) -> list[float]:
    return [float(f"{number:.9g}") for number in array.tolist()]


if __name__ == "__main__":
    FILE.write_text(json.dumps(values(), indent=1))
