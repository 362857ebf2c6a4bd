"""The folder of a training: the newest checkpoint, the log, and what a training that was stopped goes on from.

    layerscope.json, model.safetensors   the newest checkpoint, to be opened like any other
    log.jsonl                            one JSON object a report
    training.json                        what is trained, on what and how; once it is done, how long it took
    training.safetensors                 weights in float32, the optimiser's moments, random numbers, the step
    README.md                            the card, once it is done

training.safetensors is there only while there is something to go on with. Nothing in the folder is ever unpickled, and
each file is complete before it takes its name.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from model_core.api.errors import InputError, spelled
from model_core.api.files.json_file import json_in, read_json
from model_core.api.files.regular_file import is_there
from model_core.api.files.text_file import lines_of
from model_core.api.files.writing import replaced, write_errors, write_text
from model_core.api.plain_text import shortened
from model_core.api.run_files import CARD, DESCRIPTION, LOG, NUMBERS, STATE
from model_core.api.schema import Count, Share, record, shown, value
from model_core.checkpoint.files import Stored, readable
from model_core.checkpoint.safetensors_file import read_with_metadata
from model_core.training.train import RANDOM_BYTES, Progress, State, check_state, moment_shapes

TENSORS = ("moments", "random")  # the fields of a State that are tensors by name
NUMBERED = tuple(field.name for field in fields(State) if field.name not in TENSORS)
CHECKSUM = "checksum"  # in the metadata of STATE, beside NUMBERS
MOST_LOG = 1 << 30
WEIGHTS = "weights"
MOST_OF_A_NAME = 200  # characters in a message
OF_THE_TEXT = "fingerprint of the text"  # in the description

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
            taken = next((file.name for file in sorted(path.iterdir()) if is_model(file)), None)
        if is_there(path / DESCRIPTION):
            there = read_json(path / DESCRIPTION)
            check_same(path, there.get("run"), self.description)
            if "done" in there:
                raise InputError(
                    f"{path} holds this training, done: name another folder, or delete it to train again"
                )
        elif taken:
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
        numbers = json.dumps({name: getattr(state, name) for name in NUMBERED})
        path = self.path / STATE
        with replaced(path) as unfinished, write_errors(path):
            save_file(tensors, unfinished, {NUMBERS: numbers, CHECKSUM: checksum(tensors, numbers)})

    def kept(self, model: nn.Module, begins: Sequence[int]) -> State | None:
        """The state to go on from, its weights being given to the model; None where nothing was kept.

        begins  the steps after which a phase of the training begins, and the last step of all

        InputError, with the model as it was, where a bit of what was kept is not as it was written.
        """
        path = self.path / STATE
        if not is_there(path):
            self.cut_log(0)
            return None
        try:
            state, weights = read_state(path, model, begins)
        except InputError as error:
            raise InputError(f"{path} is damaged: {error}; delete it to begin anew") from None
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        self.cut_log(state.step)
        return state

    def cut_log(self, step: int) -> None:
        """Leave away what was logged after the step, which will be logged again."""
        path = self.path / LOG
        if not is_there(path):
            return
        with replaced(path) as unfinished, write_errors(path), unfinished.open("w", encoding="utf-8") as file:
            for line in lines_of(path, MOST_LOG):
                if step_of(line) <= step:
                    file.write(f"{line}\n")

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


@dataclass(frozen=True)
class HeldOut:
    """What is read of a recipe: what its training held out."""

    held_out: tuple[Count, ...]
    held_out_share: Share


def held_out_in(folder: Path) -> tuple[tuple[int, ...], float] | None:
    """What a model's own training held out: documents, and a share of the text; None where nobody says.

    InputError where the file that says so is damaged.
    """
    file = folder / DESCRIPTION
    if not is_there(file):
        return None
    run = read_json(file).get("run")
    if run is None:
        return None
    recipe = value(f"{file}: 'run'", run, dict[str, Any]).get("recipe")
    found = record(HeldOut, recipe, f"{file}: the recipe", others=True)
    return found.held_out, found.held_out_share


def done_in(folder: Path) -> dict[str, Any]:
    """What a training that is done left to be known of it: data, licence, seconds, measured ...; else nothing."""
    try:
        done = read_json(folder / DESCRIPTION).get("done", {})
    except InputError:
        return {}
    return done if isinstance(done, dict) else {}


def read_state(path: Path, model: nn.Module, begins: Sequence[int]) -> tuple[State, dict[str, Tensor]]:
    """What was kept of a training of the model, and the weights of then. InputError for anything else."""
    stored, about = read_with_metadata(path)
    check_shapes(stored, model)
    tensors = {name: one.read() for name, one in stored.items()}
    numbers = about.get(NUMBERS, "")
    if about.get(CHECKSUM) != checksum(tensors, numbers):
        raise InputError("its checksum does not match")
    said = value("what it counts", json_in(numbers, "what it counts"), dict[str, Any])
    if missing := [name for name in NUMBERED if name not in said]:
        raise InputError(f"it does not say its {missing[0]}")
    state = record(State, said, "what it counts")
    parts: dict[str, dict[str, Tensor]] = {field: {} for field in (WEIGHTS, *TENSORS)}
    for name, values in tensors.items():
        field, _, rest = name.partition(" ")
        parts[field][rest] = values
    state.moments, state.random = parts["moments"], parts["random"]
    for name, values in parts[WEIGHTS].items():
        if not values.isfinite().all():
            raise InputError(f"its weights {name} are not all finite numbers")
    check_state(state, next(model.parameters()).device, begins)
    return state, parts[WEIGHTS]


def check_shapes(stored: Mapping[str, Stored], model: nn.Module) -> None:
    """InputError, before any memory is taken, unless a file stores what a training of the model keeps."""
    wanted = {f"{WEIGHTS} {name}": tuple(one.shape) for name, one in model.named_parameters()}
    if any(name.startswith("moments ") for name in stored):
        wanted |= {f"moments {name}": shape for name, shape in moment_shapes(model).items()}
    for name in [*wanted, *stored]:
        if name.startswith("random "):
            fits = stored[name].dtype == "U8" and math.prod(stored[name].shape) <= RANDOM_BYTES
        else:
            fits = name in stored and (stored[name].shape, stored[name].dtype) == (wanted.get(name), "F32")
        if not fits:
            raise InputError(f"its {readable(name)} is not that of this model")


def checksum(tensors: Mapping[str, Tensor], numbers: str) -> str:
    """A word that another word, shape or bit anywhere in a state would change."""
    found = hashlib.sha256(numbers.encode())
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        found.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        found.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


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
        return record(Logged, json_in(line, "the line"), "the line", others=True).step
    except InputError:
        return math.inf


@dataclass(frozen=True)
class Logged:
    """What is read of a line of the log here."""

    step: Count


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
            if name == (OF_THE_TEXT,):
                raise InputError(
                    f"{path} holds a training on another text: give the same text to continue it, "
                    "or name another folder"
                )
            what = shortened(" ".join(name), MOST_OF_A_NAME)
            raise InputError(
                f"{path} holds another training: its {what} is {words(old.get(name))}, not {words(new.get(name))}; "
                "say the same to go on with it, or name another folder"
            )


def flat(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The leaves of nested words, by the names that lead to them."""
    found: dict[tuple[str, ...], Any] = {}
    for name, held in values.items():
        found |= flat(held, (*above, name)) if isinstance(held, dict) else {(*above, name): held}
    return found


def words(said: Any) -> str:
    if isinstance(said, list):
        return ",".join(map(shown, said)) or "none"
    return spelled(said) if isinstance(said, str | bool) else shown(said)
