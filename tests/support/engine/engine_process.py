"""An engine process and what is said to it, for tests that mean the process."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from model_core.api.protocol import Frame, FrameReader, encode_bytes
from model_core.api.scene import Scene

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60  # seconds


def ask(id: int, scene: Scene, *queries: tuple[str, dict[str, Any]]) -> Frame:
    asked = [{"kind": kind, "arguments": arguments} for kind, arguments in queries]
    return Frame("ask", id, {"asks": [{"scene": scene.to_json(), "queries": asked}]})


class Process:
    """An engine process with its pipes. One that does not answer within PATIENCE is killed, which ends the wait."""

    def __init__(self, *command: str, log: Path, folder: Path = ROOT) -> None:
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.reader, self.came = FrameReader(), []

    def write(self, *frames: Frame | bytes) -> None:
        self.stdin.write(b"".join(f if isinstance(f, bytes) else encode_bytes(f) for f in frames))
        self.stdin.flush()

    def read(self) -> Frame:
        """The next frame."""
        while not self.came:
            killer = threading.Timer(PATIENCE, self.process.kill)
            killer.start()
            data = os.read(self.stdout.fileno(), 1 << 20)
            killer.cancel()
            killer.join()
            assert data, f"the engine ended: {self.log.read_text()}"
            self.came += self.reader.feed(data)
        frame = self.came.pop(0)
        assert isinstance(frame, Frame), frame
        return frame

    def until(self, kind: str, id: int) -> list[Frame]:
        """What comes, up to the frame of this kind that answers this request."""
        frames = [self.read()]
        while (frames[-1].kind, frames[-1].id) != (kind, id):
            frames.append(self.read())
        return frames

    def end(self) -> int:
        """Close its stdin; the exit code. What it still says is read, so that it can."""
        self.stdin.close()
        killer = threading.Timer(PATIENCE, self.process.kill)
        killer.start()
        while data := os.read(self.stdout.fileno(), 1 << 20):
            self.came += self.reader.feed(data)
        code = self.process.wait()
        killer.cancel()
        killer.join()
        self.stdout.close()
        return code
