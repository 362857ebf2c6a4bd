"""Which of the checkpoints that lie at a path one after the other is meant: files are written anew, and replaced."""

import hashlib
from pathlib import Path

from model_core.api.files.paths import expanded
from model_core.api.model_ref import split
from model_core.api.run_files import DESCRIPTION, STATE

WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".model", ".json")


def stamp(model: str) -> str:
    """A word that changes whenever the files of a checkpoint do; "" for a preset and whatever else has none of its own.

    Only names, sizes and times are looked at. Each step of a growing model has the word of its folder.
    """
    try:
        path = expanded(model)
        path = path if path.exists() else expanded(split(model)[0])
        files = [path] if path.is_file() else sorted(filter(is_part, path.iterdir()))
        found = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def is_part(file: Path) -> bool:
    """Is it a file that a model is read from? What is still being written begins with a dot.

    What a training goes on from lies beside the model that it made.
    """
    named = file.suffix in WEIGHTS and not file.name.startswith(".") and file.name not in (DESCRIPTION, STATE)
    return named and file.is_file()
