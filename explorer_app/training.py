"""A training that runs beside the window, without Qt: what is asked of it, and what it has told.

training.start(spec)     whoever listens to `asked` runs `layerscope train` and hands each of its lines to `take`
training.pause() ...     the same for pause, resume, stop and, where it does not obey, kill
training.points          losses so far, of earlier sittings as well
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from model_core.run_files import DESCRIPTION, LOG, NUMBERS, STATE
from psygnal import Signal

State = Literal[
    "idle", "starting", "running", "pausing", "paused", "stopping", "stopped", "finished", "failed"
]
ACTIVE: tuple[State, ...] = ("starting", "running", "pausing", "paused", "stopping")
RUNNING: tuple[State, ...] = ("running", "pausing", "paused")

MOST_HEADER = 1 << 24  # bytes of a safetensors header; a larger one is none
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
    steps: int = 100
    batch: int = 16
    lr: float = 1e-3
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0

    def words(self) -> list[str]:
        """The arguments of the command. Reports come often enough for a curve to move, checkpoints to be opened."""
        words = ["--preset", self.preset] if self.preset else ["--from", self.source]
        words += [word for said in self.config for word in ("--config", said)]
        words += [word for path in self.data for word in ("--data", path)]
        report = min(10, max(1, self.steps // REPORTS))
        rhythm = {
            "--report-every": report,
            "--save-every": min(50, max(1, self.steps // SAVES)),
            # The held-out loss comes with a report.
            "--measure-every": max(1, self.steps // MEASURES // report) * report,
        }
        for name, value in (("--out", self.out), *rhythm.items()):
            words += [name, str(value)]
        for name in ("steps", "batch", "lr", "dtype", "device", "seed"):
            words += [f"--{name}", str(getattr(self, name))]
        return [*words, "--json", "--controlled"]

    def to_json(self) -> str:
        """One line of text, from which `spec_of` makes it again."""
        return json.dumps(asdict(self))


def spec_of(text: str) -> Spec | None:
    """The spec of a line of text, None where it says none."""
    try:
        said = json.loads(text)
        said |= {name: tuple(map(str, said[name])) for name in ("config", "data")}
        return Spec(**{one.name: type(said[one.name])(said[one.name]) for one in fields(Spec)})
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True)
class Point:
    """After a step: the loss since the last point in nats a token, and held out where it was measured then."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens_per_second: float
    held_out: float | None = None


def point_of(told: Mapping[str, Any]) -> Point:
    """The point of a report. KeyError, TypeError or ValueError where it is none."""
    held_out = told.get("held_out_loss")
    loss, lr, grad_norm, rate = (
        float(told[name]) for name in ("loss", "lr", "grad_norm", "tokens_per_second")
    )
    return Point(int(told["step"]), loss, lr, grad_norm, rate, None if held_out is None else float(held_out))


def logged(folder: Path, until: int) -> list[Point]:
    """The points of a training's log up to a step; lines that cannot be read are left away."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    points = []
    for line in lines:
        try:
            points.append(point_of(json.loads(line)))
        except (KeyError, TypeError, ValueError):
            continue
    return [point for point in points if point.step <= until]


@dataclass(frozen=True)
class Unfinished:
    """A training in a folder that can be gone on with: after which step, and its description."""

    step: int
    run: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """Of all its phases."""
        phases = self.run.get("phases", {}).values()
        return sum(int(recipe["steps"]) for recipe in (self.run["recipe"], *phases))


def unfinished(folder: Path) -> Unfinished | None:
    """The training in a folder that is not at its end; None where there is none."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        with (folder / STATE).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size < MOST_HEADER else {}
        step = int(json.loads(header["__metadata__"][NUMBERS])["step"])
        run = described["run"]
        return None if "done" in described or not isinstance(run["recipe"], dict) else Unfinished(step, run)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_free(folder: Path) -> bool:
    """Can a new training go into the folder?"""
    try:
        return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError:
        return False


@dataclass(eq=False)
class Training:
    """What is known of the one training of a window. Every change is told by `changed`.

    spec     what was started last
    begun    whether the process has made the model and trains it: before, there is nothing to be kept
    step     of `steps`, as last told
    saved    the step of the newest checkpoint in the folder, None before the first
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

    # What a person wants

    def start(self, spec: Spec) -> None:
        """Begin, or go on with what the spec's folder has."""
        if not self.active:
            self.spec, self.message = spec, ""
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
            told = json.loads(line)
            self._follow(str(told["event"]), told)
        except (ValueError, KeyError, TypeError):
            return False
        return True

    def _follow(self, event: str, told: Mapping[str, Any]) -> None:
        state = self.state
        if event == "begun":
            self.begun, self.step, self.steps = True, int(told["step"]), int(told["steps"])
            self.saved = self.step or None
            self.points = logged(Path(told["folder"]), self.step)
            state = "running" if state == "starting" else state
        elif event == "progress":
            self.step, self.steps = int(told["step"]), int(told["steps"])
            self.seconds_left = float(told["seconds_left"])
            self.points = [*self.points, point_of(told)]
        elif event == "saved":
            self.saved = int(told["step"])
        elif event == "paused" and state in RUNNING:
            state = "paused"
        elif event == "resumed" and state in RUNNING:
            state = "running"
        elif event in ("stopped", "finished"):
            self._outcome = "stopped" if event == "stopped" else "finished"
            self.step = int(told["step"])
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
