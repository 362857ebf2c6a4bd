"""The folder of a training: the newest checkpoint, the log, and what a training that was stopped goes on from.

    layerscope.json, model.safetensors   the newest checkpoint, to be opened like any other
    log.jsonl                            one JSON object a report
    training.json                        what is trained, on what and how; once it is done, how long it took
    training.safetensors                 weights in float32, the optimiser's moments, random numbers, the step
    README.md                            the card, once it is done

training.safetensors is there only while there is something to go on with. Nothing in the folder is ever unpickled, and
each file is complete before it takes its name.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from model_core.checkpoint.files import read_safetensors
from model_core.errors import InputError, spelled
from model_core.json_file import read_json
from model_core.run_files import CARD, DESCRIPTION, LOG, NUMBERS, STATE
from model_core.train import Progress, State
from model_core.writing import replaced, write_errors, write_text

TENSORS = ("moments", "random")  # the fields of a State that are tensors by name
WEIGHTS = "weights"

Description = dict[str, Any]


class RunFolder:
    """A folder that belongs to one training, described by words such as {"recipe": {"steps": 1800}}.

    InputError where the folder belongs to another, is finished, or cannot be written.
    """

    def __init__(self, path: Path, description: Description) -> None:
        self.path = path
        self.description: Description = json.loads(json.dumps(description))
        with write_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        if (path / DESCRIPTION).is_file():
            there = read_json(path / DESCRIPTION)
            check_same(path, there.get("run"), self.description)
            if "done" in there:
                raise InputError(
                    f"{path} holds this training, done: name another folder, or delete it to train again"
                )
        elif taken := next((file.name for file in sorted(path.iterdir()) if is_model(file)), None):
            raise InputError(f"{path} holds another model ({taken}): name another folder")
        self.describe()

    def describe(self, **done: Any) -> None:
        """Write what is trained, and of a training that is done what it was like."""
        said = {"run": self.description, **({"done": done} if done else {})}
        write_text(self.path / DESCRIPTION, json.dumps(said, indent=2, ensure_ascii=False) + "\n")

    def keep(self, model: nn.Module, state: State) -> None:
        """Write all that is needed to go on. InputError, with what was kept before as it was, where it cannot be."""
        tensors = {f"{WEIGHTS} {name}": values.detach().cpu() for name, values in model.named_parameters()}
        for field in TENSORS:
            tensors |= {f"{field} {name}": values.cpu() for name, values in getattr(state, field).items()}
        numbers = {
            field.name: getattr(state, field.name) for field in fields(State) if field.name not in TENSORS
        }
        path = self.path / STATE
        with replaced(path) as unfinished, write_errors(path):
            save_file(tensors, unfinished, {NUMBERS: json.dumps(numbers)})

    def kept(self, model: nn.Module) -> State | None:
        """The state to go on from, its weights being given to the model; None where nothing was kept."""
        path = self.path / STATE
        if not path.is_file():
            self.cut_log(0)
            return None
        try:
            tensors = {name: stored.read() for name, stored in read_safetensors(path).items()}
            numbers = json.loads(metadata(path)[NUMBERS])
            parts: dict[str, dict[str, Tensor]] = {field: {} for field in (WEIGHTS, *TENSORS)}
            for name, values in tensors.items():
                field, _, rest = name.partition(" ")
                parts[field][rest] = values
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(parts[WEIGHTS][name])
            state = State(**numbers)
            state.moments, state.random = parts["moments"], parts["random"]
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise InputError(f"{path} is damaged: delete it to begin anew") from None
        self.cut_log(state.step)
        return state

    def cut_log(self, step: int) -> None:
        """Leave away what was logged after the step, which will be logged again."""
        path = self.path / LOG
        if not path.is_file():
            return
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [line for line in lines if step_of(line) <= step]
        write_text(path, "".join(f"{line}\n" for line in kept))

    def log(self, progress: Progress) -> None:
        """Add a line to the log. InputError where it cannot be written."""
        path = self.path / LOG
        with write_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(logged(progress)) + "\n")

    def finish(self, card: str, **done: Any) -> None:
        """Write the card, say that the training is done, and let go of what it would have gone on from."""
        write_text(self.path / CARD, card)
        self.describe(**done)
        with write_errors(self.path / STATE):
            (self.path / STATE).unlink(missing_ok=True)


def held_out_in(folder: Path) -> tuple[tuple[int, ...], float] | None:
    """What a model's own training held out: documents, and a share of the text; None where nobody says."""
    if not (folder / DESCRIPTION).is_file():
        return None
    try:
        recipe = read_json(folder / DESCRIPTION)["run"]["recipe"]
        return tuple(map(int, recipe["held_out"])), float(recipe["held_out_share"])
    except (KeyError, TypeError, ValueError):
        return None


def done_in(folder: Path) -> dict[str, Any]:
    """What a training that is done left to be known of it: data, licence, seconds, measured ...; else nothing."""
    try:
        done = read_json(folder / DESCRIPTION).get("done", {})
    except InputError:
        return {}
    return done if isinstance(done, dict) else {}


def logged(progress: Progress) -> dict[str, Any]:
    """What the log says of a report; the held-out loss only where it was measured."""
    return {
        name: value
        for name, value in asdict(progress).items()
        if name not in ("steps", "seconds_left") and value is not None
    }


def step_of(line: str) -> float:
    """The step of a line of the log; infinity for one that was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return float("inf")


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def is_model(file: Path) -> bool:
    return file.suffix in (".safetensors", ".pth", ".pt", ".bin") or file.name in (
        "config.json",
        "layerscope.json",
    )


def check_same(path: Path, there: object, wanted: Description) -> None:
    """InputError names the first thing that differs."""
    if not isinstance(there, dict):
        raise InputError(f"{path / DESCRIPTION} does not say what is trained there: name another folder")
    old, new = flat(there), flat(wanted)
    for name in [*new, *old]:
        if old.get(name) != new.get(name):
            raise InputError(
                f"{path} holds another training: its {name} is {words(old.get(name))}, not {words(new.get(name))}; "
                "say the same to go on with it, or name another folder"
            )


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The leaves of nested words, by their path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{above}{name} ") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def words(value: Any) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else spelled(value)
