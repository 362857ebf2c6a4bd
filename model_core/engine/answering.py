"""One request after the other: what it asks for is made, and every frame of the answer sent."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from model_core.api.errors import Cancelled, InputError
from model_core.api.plain_text import one_line
from model_core.api.protocol import Frame
from model_core.api.queries.query import read
from model_core.api.scene import Scene
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


class Engine:
    """Answers requests one after the other; `send` gets every frame that goes back, in order."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self.send = send
        self.kept = Kept(self.progress)
        self.told = 0.0

    def handle(self, request: Frame, cancelled: Callable[[], bool], other_model: Callable[[], bool]) -> None:
        """Answer one request. `other_model` is asked while a model loads: is it still wanted?"""
        try:
            if request.kind == "hello":
                self.send(Frame("hello", request.id, greeting()))
            elif request.kind == "ask":
                self.ask(request, cancelled, other_model)
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

    def ask(self, request: Frame, cancelled: Callable[[], bool], other_model: Callable[[], bool]) -> None:
        begun = time.perf_counter()
        try:
            scene = Scene.from_json(request.fields["scene"])
            queries = [(str(query["kind"]), dict(query["arguments"])) for query in request.fields["queries"]]
        except (KeyError, TypeError, ValueError):
            self.fail(request.id, "this request has no readable scene and queries")
            return
        try:
            with memory_errors(f"opening {scene.model}", "a smaller dtype or another device"):
                loaded = self.kept.loaded(scene, request.id, other_model)
        except InputError as error:
            self.fail(request.id, error.window, asks=error.asks, fix=error.fix, opening=True)
            return
        with memory_errors("this run"):
            context = self.kept.context(scene, loaded, request.id, cancelled)
        try:
            for kind, arguments in queries:
                if cancelled():
                    raise Cancelled
                self.answer(request.id, context, kind, arguments)
        finally:
            self.kept.forget_runs()  # blocks that were replayed for an answer count as well
        milliseconds = (time.perf_counter() - begun) * 1000
        self.send(Frame("done", request.id, {"cancelled": False, "milliseconds": milliseconds}))

    def size(self, request: Frame) -> None:
        """What a model without training would take; needs no loaded one."""
        try:
            words = [str(request.fields[name]) for name in ("model", "device")]
            config = [str(word) for word in request.fields["config"]]
        except (KeyError, TypeError):
            self.fail(request.id, "this request has no readable model, config and device")
            return
        self.send(Frame("size", request.id, describe.size(words[0], config, words[1])))

    def answer(self, id: int, context: Context, kind: str, arguments: dict[str, Any]) -> None:
        asked = {"kind": kind, "arguments": arguments}
        try:
            query = read(kind, arguments)
            with memory_errors("this view"), torch.inference_mode():
                answer = QUESTIONS[type(query)](context, query)
            self.send(Frame("answer", id, {"query": asked, "facts": answer.facts}, answer.arrays))
        except InputError as error:
            self.fail(id, error.window, asked)
        except Cancelled:
            raise
        except Exception:
            self.fault(id, asked)

    def progress(self, id: int, what: str, share: float, needs: str = "") -> None:
        """Tell how far a load or a run is: its end, now and then on the way, and first what memory it needs."""
        if needs or share == 1.0 or time.monotonic() - self.told > TELL_SECONDS:
            self.told = time.monotonic()
            self.send(Frame("progress", id, {"what": what, "share": share, "needs": needs}))

    def fail(self, id: int, message: str, asked: dict[str, Any] | None = None, **more: Any) -> None:
        """What the person did wrong; `more` as `failure` takes it."""
        self.send(failure(id, message, asked, **more))

    def fault(self, id: int, asked: dict[str, Any] | None = None) -> None:
        """An error of ours: the whole story goes to the log, one line to the window."""
        traceback.print_exc(file=sys.stderr)
        kind, error, _ = sys.exc_info()
        what = kind.__name__ if kind else "unknown"
        message = f"the engine failed ({what}: {' '.join(str(error).split())[:200]}); see its log"
        self.send(failure(id, message, asked, fault=True))


def failure(
    id: int,
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

    asked    the query that it was about, None for the whole request
    fault    whether it is ours and no one else's
    fix      fields of a scene that would work, to be offered
    asks     what the files of a model do not say, to be filled into the scene's config
    edits    the edits that cannot be made, in their words, and why
    opening  whether it is the model that cannot be had
    """
    # A name in a file may be as long as the file.
    fields = {
        "message": one_line(message),
        "query": asked,
        "fault": fault,
        "fix": fix,
        "asks": asks,
        "edits": edits,
    }
    return Frame("error", id, {**fields, "opening": opening})


def greeting() -> dict[str, Any]:
    """What this engine has: devices with their memory, dtypes, presets and those that can be seen growing, families.

    damaged      preset -> why it is none
    order        the names of all presets, as they are listed
    fine_tuning  the recipe by which a model on screen is trained further
    """
    presets, damaged = describe.presets()
    return {
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
