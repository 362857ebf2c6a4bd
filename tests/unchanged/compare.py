"""What differs between two records: `python -m tests.unchanged.compare BEFORE AFTER`; nothing is allowed to."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy


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
    return [
        f"{key}: {json.dumps(before.get(key))[:200]} -> {json.dumps(after.get(key))[:200]}"
        for key in sorted(before.keys() | after.keys())
        if json.dumps(before.get(key), sort_keys=True) != json.dumps(after.get(key), sort_keys=True)
    ]


def of_arrays(before: dict[str, np.ndarray[Any, Any]], after: dict[str, np.ndarray[Any, Any]]) -> list[str]:
    found = []
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        if one is None or other is None:
            found.append(f"{key}: only in one of them")
        elif (one.dtype, one.shape) != (other.dtype, other.shape):
            found.append(f"{key}: {one.dtype} {one.shape} -> {other.dtype} {other.shape}")
        elif one.tobytes() != other.tobytes():
            found.append(
                f"{key}: up to {np.nanmax(np.abs(one.astype(float) - other.astype(float))):.3g} apart"
            )
    return found


if __name__ == "__main__":
    lines = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(lines) or "equal to the bit")
    raise SystemExit(bool(lines))
