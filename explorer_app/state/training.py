"""A training that runs beside the window, without Qt: what is asked of it, and what it has told.

training.start(spec)     whoever listens to `asked` runs `layerscope train` and hands each of its lines to `take`
training.pause() ...     the same for pause, resume, stop and, where it does not obey, kill
training.points          losses so far, of earlier sittings as well
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from model_core.api.errors import InputError
from model_core.api.files.json_file import json_in, read_json
from model_core.api.files.regular_file import is_there, open_regular
from model_core.api.files.text_file import lines_of
from model_core.api.recipe import Recipe
from model_core.api.run_files import DESCRIPTION, LOG, NUMBERS, STATE
from model_core.api.schema import Count, Duration, Measured, Positive, Within, record, value
from psygnal import Signal

State = Literal[
    "idle", "starting", "running", "pausing", "paused", "stopping", "stopped", "finished", "failed"
]
ACTIVE: tuple[State, ...] = ("starting", "running", "pausing", "paused", "stopping")
RUNNING: tuple[State, ...] = ("running", "pausing", "paused")

MOST_OF_HEADER = 1 << 21  # bytes of what a state says of itself: three tensors for each of 5,000 weights
MOST_LOG = 1 << 26  # bytes of a log that is drawn: 300,000 reports
MOST_STEPS, MOST_ROWS, MOST_SEED, MOST_RATE = 10_000_000, 65_536, 2**31 - 1, 1e3
MOST_TEXT = 4096  # characters of a path or of a name
REPORTS, SAVES, MEASURES = 100, 20, 10  # of each so many in a training, at the least


@dataclass(frozen=True)
class Spec:
    """What is trained, on what, and where it goes: the words of `layerscope train`.

    preset, source  one of the two: a preset from first weights, or a model that is trained further
    config          what is said of the source beside its files
    data            texts; none for a preset that makes its own
    """

    out: str
    preset: str = ""
    source: str = ""
    config: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    steps: Annotated[int, Within(lambda n: 1 <= n <= MOST_STEPS, "a number of steps")] = 100
    batch: Annotated[int, Within(lambda n: 1 <= n <= MOST_ROWS, "a number of rows")] = 16
    lr: Annotated[float, Within(lambda x: 0 < x < MOST_RATE, "a learning rate")] = 1e-3
    dtype: str = "float32"
    device: str = "cpu"
    seed: Annotated[int, Within(lambda n: 0 <= n <= MOST_SEED, "a whole number from 0 up")] = 0

    def words(self) -> list[str]:
        """The arguments of the command. Reports come often enough for a curve to move, checkpoints to be opened."""
        words = ["--preset", self.preset] if self.preset else ["--from", self.source]
        words += [word for said in self.config for word in ("--config", said)]
        words += [word for path in self.data for word in ("--data", path)]
        report = self.report_every
        rhythm = {
            "--report-every": report,
            "--save-every": min(50, max(1, self.steps // SAVES)),
            # The held-out loss comes with a report.
            "--measure-every": max(1, self.steps // MEASURES // report) * report,
        }
        for name, said in (("--out", self.out), *rhythm.items()):
            words += [name, str(said)]
        for name in ("steps", "batch", "lr", "dtype", "device", "seed"):
            words += [f"--{name}", str(getattr(self, name))]
        return [*words, "--json", "--controlled"]

    @property
    def report_every(self) -> int:
        """How many steps a report is about."""
        return min(10, max(1, self.steps // REPORTS))

    def to_json(self) -> dict[str, Any]:
        """What `spec_of` makes it from again."""
        return asdict(self)


def spec_of(said: object) -> Spec | None:
    """The spec that a value of JSON holds, None where that is no spec as a form could make it."""
    try:
        spec = record(Spec, said, "the training")
    except InputError:
        return None
    texts = (spec.out, spec.preset, spec.source, spec.dtype, spec.device, *spec.config, *spec.data)
    return spec if spec.out and all(map(is_text, texts)) else None


def is_text(said: object) -> TypeGuard[str]:
    """Is it a text that may be a path, or a name? Some strings of JSON are none."""
    if not isinstance(said, str) or len(said) > MOST_TEXT or "\0" in said:
        return False
    try:
        said.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Point:
    """After a step: the loss since the last point in nats a token, and held out where it was measured then.

    A loss or a norm may be NaN or infinite: float16 leaves such a step out, and goes on.
    """

    step: Count
    loss: Measured
    lr: Positive
    grad_norm: Measured
    tokens_per_second: Positive
    held_out_loss: Measured | None = None


def logged(folder: Path, until: int) -> list[Point]:
    """The points of a training's log up to a step; lines that cannot be read are left away."""
    points: list[Point] = []
    try:
        for line in lines_of(folder / LOG, MOST_LOG):
            with suppress(InputError):
                points.append(record(Point, json_in(line, "the line"), "the line", others=True))
    except InputError:
        return []
    return [point for point in points if point.step <= until]


@dataclass(frozen=True)
class Described:
    """What is read of the description of a training: how it is trained, as what, and from which checkpoint."""

    recipe: Recipe
    name: str
    checkpoint: str = ""
    phases: Mapping[str, Recipe] = field(default_factory=dict)


@dataclass(frozen=True)
class Unfinished:
    """A training in a folder that can be gone on with: after which step, and its description."""

    step: Count
    run: Described

    @property
    def steps(self) -> int:
        """Of all its phases."""
        return sum(recipe.steps for recipe in (self.run.recipe, *self.run.phases.values()))


def unfinished(folder: Path) -> Unfinished | None:
    """The training in a folder that is not at its end; None where there is none."""
    try:
        told = read_json(folder / DESCRIPTION)
        with open_regular(folder / STATE) as file:
            size = int.from_bytes(file.read(8), "little")
            header = json_in(file.read(size).decode(), STATE) if size < MOST_OF_HEADER else {}
        numbers = json_in(header["__metadata__"][NUMBERS], STATE)
        found = {"step": numbers["step"], "run": told["run"]}
        return None if "done" in told else record(Unfinished, found, DESCRIPTION, others=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_free(folder: Path) -> bool:
    """Can a new training go into the folder?"""
    try:
        return not is_there(folder) or not any(folder.iterdir())
    except OSError:
        return False


@dataclass(eq=False)
class Training:
    """What is known of the one training of a window. Every change is told by `changed`.

    spec     what was started last
    begun    whether the process has made the model and trains it: before, there is nothing to be kept
    step     of `steps`, as last told
    saved    the step of the newest checkpoint in the folder, None before the first
    note     what the command told of its plan, in one line; "" for nothing
    message  why it failed, in one line; "" where its process died without a word
    texts    what to learn from, as somebody dropped it on the window or used it the last time
    specs    what was started before, by its folder
    """

    asked = Signal(str)
    changed = Signal()

    state: State = "idle"
    spec: Spec | None = None
    begun: bool = False
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    points: list[Point] = field(default_factory=list)
    saved: int | None = None
    note: str = ""
    message: str = ""
    texts: tuple[str, ...] = ()
    specs: dict[str, Spec] = field(default_factory=dict)
    _outcome: State | None = None

    @property
    def active(self) -> bool:
        """Is there a process?"""
        return self.state in ACTIVE

    @property
    def measuring(self) -> bool:
        """Every step is done, and what came out is measured."""
        return self.state == "running" and 0 < self.steps == self.step

    @property
    def silent(self) -> bool:
        """It trains, and has not told of any step since it was begun or gone on with."""
        return self.state == "running" and self.seconds_left is None

    # What a person wants

    def start(self, spec: Spec) -> None:
        """Begin, or go on with what the spec's folder has."""
        if not self.active:
            self.spec, self.message, self.note = spec, "", ""
            self.specs = {spec.out: spec, **{out: old for out, old in self.specs.items() if out != spec.out}}
            self.texts = spec.data or self.texts
            self.step, self.steps, self.seconds_left, self.saved, self.points = 0, spec.steps, None, None, []
            self.begun, self._outcome = False, None
            self._ask("start", "starting")

    def pause(self) -> None:
        if self.state == "running":
            self._ask("pause", "pausing")

    def resume(self) -> None:
        if self.state in ("paused", "pausing"):
            self._ask("resume", "running")

    def stop(self) -> None:
        """Stop after the step, keeping a checkpoint. Asked once more, stop at once: the last checkpoint stays."""
        if self.state == "stopping":
            self.asked.emit("kill")
        elif self.active:
            self._ask("stop", "stopping")

    def offer(self, texts: tuple[str, ...]) -> None:
        """Texts to learn from."""
        self.texts = texts
        self.changed.emit()

    def _ask(self, word: str, state: State) -> None:
        self._set(state)
        self.asked.emit(word)

    # What the process tells

    def take(self, line: str) -> bool:
        """A line that `layerscope train --json` wrote; False where it says nothing."""
        try:
            told = json_in(line, "the line")
            self._follow(str(told["event"]), told)
        except (ValueError, KeyError, TypeError):
            return False
        return True

    def _follow(self, event: str, told: Mapping[str, Any]) -> None:
        def counted(name: str) -> int:
            return int(value(name, told[name], Count))

        state = self.state
        if event == "begun":
            folder, self.note = Path(value("folder", told["folder"], str)), value("note", told["note"], str)
            self.step, self.steps = counted("step"), counted("steps")
            self.begun, self.saved = True, self.step or None
            self.points = logged(folder, self.step)
            state = "running" if state == "starting" else state
        elif event == "progress":
            point = record(Point, told, "the line", others=True)
            left = float(value("seconds_left", told["seconds_left"], Duration))
            self.steps, self.step, self.seconds_left = counted("steps"), point.step, left
            self.points = [*self.points, point]
        elif event == "saved":
            self.saved = counted("step")
        elif event == "paused" and state in RUNNING:
            state = "paused"
        elif event == "resumed" and state in RUNNING:
            state = "running"
        elif event in ("stopped", "finished"):
            self.step = counted("step")
            self._outcome = "stopped" if event == "stopped" else "finished"
        self._set(state)

    def ended(self, code: int, crashed: bool, said: str) -> None:
        """The process is gone. `said`: the end of what it wrote on its stderr."""
        refused = re.findall(r"^layerscope: (.+)$", said, re.MULTILINE)
        if self._outcome is not None:
            self._set(self._outcome)
        elif self.state == "stopping":
            self._set("stopped")
        elif refused and not crashed:
            self.fail(refused[-1])
        else:
            self.fail("")

    def fail(self, message: str) -> None:
        """It came to nothing, for a reason in one line, or without one."""
        self.message = message
        self._set("failed")

    def _set(self, state: State) -> None:
        self.state = state
        self.changed.emit()
