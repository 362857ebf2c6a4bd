"""A client of the real engine process that a test can wait for, kill and look into."""

import os
import signal
from collections.abc import Callable

from pytestqt.qtbot import QtBot

from explorer_app.processes.engine_client import EngineClient, Wanted
from explorer_app.state.session import Session
from model_core.api.protocol import BadFrame, Frame
from model_core.families.gpt2 import GPT2Config

# Loading and running it takes long enough to be interrupted.
SLOW = GPT2Config(vocab_size=2048, width=512, layers=8, heads=8, hidden=2048, context=1024)

PROMPT = "The cat saw the dog"

LONG = "the cat " * 400

MINUTE = 60_000


class Watched(EngineClient):
    """A client that shows each frame to `seen` before it is used."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        super().__init__(session, wanted)
        self.frames: list[Frame] = []
        self.seen: Callable[[Frame], object] = lambda frame: None

    def _receive(self, frame: Frame | BadFrame) -> None:
        assert isinstance(frame, Frame)
        self.frames.append(frame)
        self.seen(frame)
        super()._receive(frame)

    @property
    def pid(self) -> int:
        return int(self.session.greeting["pid"])

    def at(self, doing: str, then: Callable[[], object], times: int = 1) -> None:
        """Do something when the engine is in the middle of "loading" or "running"."""
        left = times
        pids = set()

        def seen(frame: Frame) -> None:
            nonlocal left
            # One death is seen once, even where more frames of the dead engine are still in the pipe.
            if frame.kind == "progress" and frame.fields["what"] == doing and left and self.pid not in pids:
                left -= 1
                pids.add(self.pid)
                then()

        self.seen = seen

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def settle(qtbot: QtBot, client: EngineClient) -> None:
    qtbot.waitUntil(lambda: not client.busy and client.session.engine != "starting", timeout=MINUTE)
