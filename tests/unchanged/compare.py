"""What differs between two records: `python -m tests.unchanged.compare BEFORE AFTER`; nothing is allowed to."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from model_core.api.queries.query import kinds


def differences(before: Path, after: Path) -> list[str]:
    names = sorted({path.name for folder in (before, after) for path in folder.glob("*.*") if path.is_file()})
    found = []
    for name in names:
        if not (before / name).exists() or not (after / name).exists():
            found.append(f"{name}: only in one of them")
        elif name.endswith(".json"):
            found += [
                f"{name}: {what}"
                for what in of_facts(*(json.loads((f / name).read_text()) for f in (before, after)))
            ]
        else:
            found += [
                f"{name}: {what}"
                for what in of_arrays(*(safetensors.numpy.load_file(f / name) for f in (before, after)))
            ]
    return found


def of_facts(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is new in an answer is no difference."""
    before, after = by_query(before), by_query(after)
    return [
        f"{key} {name}: {json.dumps(fact)[:200]} -> {json.dumps(after.get(key, {}).get(name))[:200]}"
        for key, facts in before.items()
        for name, fact in facts.items()
        if json.dumps(fact) != json.dumps(after.get(key, {}).get(name))
    ]


def of_arrays(before: dict[str, np.ndarray[Any, Any]], after: dict[str, np.ndarray[Any, Any]]) -> list[str]:
    before, after = by_query(before), by_query(after)
    found = []
    for key, one in before.items():
        other = after.get(key)
        if other is None:
            found.append(f"{key}: is gone")
        elif (one.dtype, one.shape) != (other.dtype, other.shape):
            found.append(f"{key}: {one.dtype} {one.shape} -> {other.dtype} {other.shape}")
        elif one.tobytes() != other.tobytes():
            found.append(
                f"{key}: up to {np.nanmax(np.abs(one.astype(float) - other.astype(float))):.3g} apart"
            )
    return found


def by_query(record: dict[str, Any]) -> dict[str, Any]:
    """The record by queries without their defaults, which some states of the code write and others do not."""
    return {canonical(key): value for key, value in record.items()}


def canonical(key: str) -> str:
    """ "overview {...} maps" with the fields that have a value of their own."""
    kind, _, rest = key.partition(" ")
    if kind not in kinds() or not rest.startswith("{"):
        return key
    said, end = json.JSONDecoder().raw_decode(rest)
    defaults = {one.name: one.default for one in fields(kinds()[kind])}  # type: ignore[arg-type]
    own = {name: value for name, value in said.items() if defaults.get(name) != value}
    return f"{kind} {json.dumps(own, sort_keys=True)}{rest[end:]}"


if __name__ == "__main__":
    lines = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(lines) or "equal to the bit")
    raise SystemExit(bool(lines))
