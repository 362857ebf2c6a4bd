"""One request after the other: what it asks for is made, and every frame of the answer sent."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from model_core.api.errors import Cancelled, InputError
from model_core.api.plain_text import one_line
from model_core.api.protocol import PROTOCOL, Frame
from model_core.api.queries.query import read
from model_core.api.scene import Opened, Scene, read_asks
from model_core.api.schema import shown
from model_core.engine import (
    describe,
    questions,  # noqa: F401  they register themselves
)
from model_core.engine.context import Context
from model_core.engine.kept import Kept
from model_core.engine.questions.registry import QUESTIONS
from model_core.sources.presets import NAMES, grown
from model_core.system.devices import DTYPES, devices, memory_errors
from model_core.training.plan import FINE_TUNING

TELL_SECONDS = 0.05


@dataclass(frozen=True)
class Place:
    """What an answer is about: a scene of a request, by its number there."""

    request: int
    scene: int


class Engine:
    """Answers requests one after the other; `send` gets every frame that goes back, in order."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self.send = send
        self.kept = Kept(self.progress)
        self.told = 0.0

    def handle(
        self,
        request: Frame,
        cancelled: Callable[[], bool],
        unwanted: Callable[[Opened], bool] = lambda opened: False,
    ) -> None:
        """Answer one request. `unwanted` is asked while a model loads: does nobody wait for it any more?"""
        try:
            if request.kind == "hello":
                self.hello(request)
            elif request.kind == "ask":
                self.ask(request, cancelled, unwanted)
            elif request.kind == "size":
                self.size(request)
            else:
                self.fail(request.id, f"frames of kind '{request.kind}' are not known here")
        except Cancelled:
            self.send(Frame("done", request.id, {"cancelled": True, "milliseconds": 0.0}))
        except InputError as error:
            self.fail(request.id, error.window, fix=error.fix, edits=error.edits)
        except Exception:
            self.fault(request.id)

    def hello(self, request: Frame) -> None:
        """Say what there is, to who speaks as it is spoken here."""
        spoken = request.fields.get("protocol")
        if spoken == PROTOCOL:
            self.send(Frame("hello", request.id, greeting()))
        else:
            self.fail(
                request.id,
                f"the window speaks protocol {shown(spoken)} and this engine {PROTOCOL}: "
                "install the same Layerscope for both",
            )

    def ask(self, request: Frame, cancelled: Callable[[], bool], unwanted: Callable[[Opened], bool]) -> None:
        begun = time.perf_counter()
        try:
            asks, pinned = read_asks(request.fields)
        except (KeyError, TypeError, ValueError):
            self.fail(request.id, "this request has no readable scenes and queries")
            return
        self.kept.pin(pinned)
        for number, (scene, queries) in enumerate(asks):
            self.ask_of(scene, queries, Place(request.id, number), cancelled, unwanted)
        if asks:
            self.kept.use(asks[0][0])
        milliseconds = (time.perf_counter() - begun) * 1000
        self.send(Frame("done", request.id, {"cancelled": False, "milliseconds": milliseconds}))

    def ask_of(
        self,
        scene: Scene,
        queries: Sequence[dict[str, Any]],
        place: Place,
        cancelled: Callable[[], bool],
        unwanted: Callable[[Opened], bool],
    ) -> None:
        """Answer the queries about one scene. What is wrong with it is said, and the next scene goes on."""
        id = place.request
        try:
            with memory_errors(f"opening {scene.model}", "a smaller dtype or another device"):
                loaded = self.kept.loaded(scene, id, lambda: unwanted(scene.opened))
        except InputError as error:
            self.fail(place, error.window, asks=error.asks, fix=error.fix, opening=True)
            return
        try:
            with memory_errors("this run"):
                context = self.kept.context(scene, loaded, id, cancelled)
        except InputError as error:
            self.fail(place, error.window, fix=error.fix, edits=error.edits)
            return
        try:
            for asked in queries:
                if cancelled():
                    raise Cancelled
                self.answer(place, context, asked)
        finally:
            self.kept.forget_runs()  # blocks that were replayed for an answer count as well

    def size(self, request: Frame) -> None:
        """What a model without training would take; needs no loaded one."""
        try:
            words = [str(request.fields[name]) for name in ("model", "device")]
            config = [str(word) for word in request.fields["config"]]
        except (KeyError, TypeError):
            self.fail(request.id, "this request has no readable model, config and device")
            return
        self.send(Frame("size", request.id, describe.size(words[0], config, words[1])))

    def answer(self, place: Place, context: Context, asked: dict[str, Any]) -> None:
        try:
            query = read(asked["kind"], asked["arguments"])
            with memory_errors("this view"), torch.inference_mode():
                answer = QUESTIONS[type(query)](context, query)
            fields = {"scene": place.scene, "query": asked, "facts": answer.facts}
            self.send(Frame("answer", place.request, fields, answer.arrays))
        except InputError as error:
            self.fail(place, error.window, asked)
        except Cancelled:
            raise
        except Exception:
            self.fault(place, asked)

    def progress(self, id: int, what: str, share: float, needs: str = "") -> None:
        """Tell how far a load or a run is: its end, now and then on the way, and first what memory it needs."""
        if needs or share == 1.0 or time.monotonic() - self.told > TELL_SECONDS:
            self.told = time.monotonic()
            self.send(Frame("progress", id, {"what": what, "share": share, "needs": needs}))

    def fail(
        self, place: Place | int, message: str, asked: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """What the person did wrong; `more` as `failure` takes it."""
        self.send(failure(place, message, asked, **more))

    def fault(self, place: Place | int, asked: dict[str, Any] | None = None) -> None:
        """An error of ours: the whole story goes to the log, one line to the window."""
        traceback.print_exc(file=sys.stderr)
        kind, error, _ = sys.exc_info()
        what = kind.__name__ if kind else "unknown"
        message = f"the engine failed ({what}: {' '.join(str(error).split())[:200]}); see its log"
        self.send(failure(place, message, asked, fault=True))


def failure(
    place: Place | int,
    message: str,
    asked: dict[str, Any] | None = None,
    *,
    fault: bool = False,
    fix: dict[str, Any] | None = None,
    asks: list[dict[str, Any]] | None = None,
    edits: dict[str, str] | None = None,
    opening: bool = False,
) -> Frame:
    """What went wrong.

    place    the request, or one of its scenes
    asked    the query that it was about, None for all of the scene, or of the request
    fault    whether it is ours and no one else's
    fix      fields of a scene that would work, to be offered
    asks     what the files of a model do not say, to be filled into the scene's config
    edits    the edits that cannot be made, in their words, and why
    opening  whether it is the model that cannot be had
    """
    request, scene = (place.request, place.scene) if isinstance(place, Place) else (place, None)
    # A name in a file may be as long as the file.
    fields = {
        "message": one_line(message),
        "scene": scene,
        "query": asked,
        "fault": fault,
        "fix": fix,
        "asks": asks,
        "edits": edits,
    }
    return Frame("error", request, {**fields, "opening": opening})


def greeting() -> dict[str, Any]:
    """What this engine has: devices with their memory, dtypes, presets and those that can be seen growing, families.

    damaged      preset -> why it is none
    order        the names of all presets, as they are listed
    fine_tuning  the recipe by which a model on screen is trained further
    """
    presets, damaged = describe.presets()
    return {
        "protocol": PROTOCOL,
        "devices": [device.__dict__ for device in devices()],
        "dtypes": list(DTYPES),
        "presets": presets,
        "damaged": damaged,
        "order": list(NAMES),
        "growing": [name for name in NAMES if grown(name)],
        "fine_tuning": asdict(FINE_TUNING),
        "families": describe.families(),
        "pid": os.getpid(),
    }
