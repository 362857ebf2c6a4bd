"""Has a worker do cases and watches it: how long each takes, how much memory, and whether it lives."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0
BYTES = 500 << 20
START_SECONDS = 120


@dataclass
class Found:
    """What came of the cases of a format: how many were read and refused, and each that did neither."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Worker:
    """A process that does cases, begun anew after one that it did not survive."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.worker"],
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.said: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()
        self.told: list[str] = []
        self.threads = [threading.Thread(target=listen) for listen in (self._answers, self._errors)]
        for thread in self.threads:
            thread.start()

    def _answers(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put(None)

    def _errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told = [*self.told[-30:], line]

    def ask(self, name: str, seed: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, seed]) + "\n")
        self.process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, object] | None:
        """What it says next; None where it ended. TimeoutError where it says nothing for so long."""
        try:
            return self.said.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    @property
    def memory(self) -> int:
        """Resident bytes, 0 once it is gone."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
                "SC_PAGE_SIZE"
            )
        except (OSError, IndexError):
            return 0

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def one(worker: Worker, name: str, seed: int) -> str:
    """The outcome of a case as its worker or its watcher says it."""
    try:
        worker.ask(name, seed)
        if worker.hear(START_SECONDS) is None:
            return "ended before the case"
        before, begun = worker.memory, time.monotonic()
        while True:
            try:
                said = worker.hear(0.05)
            except TimeoutError:
                if time.monotonic() - begun > SECONDS:
                    return f"hangs for over {SECONDS:.0f} s"
                if (more := worker.memory - before) > BYTES:
                    return f"takes over {more >> 20} MB"
                continue
            return "ends the process" if said is None else str(said["outcome"])
    except BrokenPipeError:
        return "ended before the case"


def watched(cases: Iterable[tuple[str, int]]) -> dict[str, Found]:
    """The outcomes of cases (format, seed), by format."""
    found: dict[str, Found] = {}
    worker = Worker()
    try:
        for name, seed in cases:
            of = found.setdefault(name, Found())
            said = one(worker, name, seed)
            if said in ("read", "refused"):
                of.counts[said] += 1
                continue
            last = "".join(worker.told[-3:]).strip()[-300:]
            if said.startswith(("hangs", "takes", "ends", "ended")):
                worker.end()
                worker = Worker()
            else:
                last = ""
            of.counts["fault"] += 1
            of.faults.append(f"{name}, seed {seed}: {said} {last}".strip())
    finally:
        worker.end()
    return found
