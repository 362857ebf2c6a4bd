"""Tokenizers of libraries, each in a process of its own: one that hangs, takes all memory or crashes ends that alone.

A file may make a library do any of these, and neither can be stopped from outside while it works: it holds Python's
lock. What the process is, and the limits that it keeps, is in `tokenizer_host.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from model_core.api.errors import InputError, Misfit
from model_core.api.files.regular_file import why
from model_core.text.merges import Split
from model_core.text.registry import Format, Wanted
from model_core.text.tokenizer import IdSet, Origin, Tokenizer, check_id

PACKAGES = Path(__file__).resolve().parents[2]
WINDOWLESS = getattr(subprocess, "CREATE_NO_WINDOW", 0)
START_SECONDS = 60.0  # that a process may take until it is ready; on an idle machine it is a third of one


class Ended(Exception):
    """The process ended in the middle of a request. `slow`: it had taken too long."""

    def __init__(self, *, slow: bool) -> None:
        super().__init__()
        self.slow = slow


class NotThere(InputError):
    """No process can be asked: it does not start, or had ended before it was asked."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the process of the tokenizer could not be started: {why}")


class Host(Protocol):
    """What answers a request: fields in, fields out.

    Raises Ended where no answer comes any more, NotThere where the request does not even arrive.
    """

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]: ...


class HostProcess:
    """A tokenizer_host. It is gone when nobody has this any more. NotThere where it does not start."""

    def __init__(self) -> None:
        paths = [str(PACKAGES), os.environ.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TOKENIZERS_PARALLELISM": "false"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "model_core.text.tokenizer_host"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | own,
                creationflags=WINDOWLESS,
            )
        except OSError as error:
            raise NotThere(why(error)) from None
        self._end = weakref.finalize(self, end, self._process)
        self._start()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._end()
            raise NotThere("it ended before it was asked") from None
        return self._read()

    def _start(self) -> None:
        """Wait until it is ready."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(START_SECONDS, give_up)
        timer.start()
        try:
            line = self._line()
        finally:
            timer.cancel()
        if line != READY:
            said = str(self._end() or b"", "utf-8", "replace")
            *_, last = ["it ended at once", *said.splitlines()]
            raise NotThere(f"it takes more than {START_SECONDS:g} seconds" if late.is_set() else last)

    def _read(self) -> dict[str, Any]:
        line = self._line()
        if not line:
            slow = self._process.wait() == SLOW
            self._end()
            raise Ended(slow=slow)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _line(self) -> bytes:
        """The next line that it writes, nothing where it ends before."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return line if line.endswith(b"\n") else b""


READY = b"{}\n"
SLOW = -signal.SIGALRM if hasattr(signal, "SIGALRM") else 1  # how a process ends that has taken too long


def end(process: subprocess.Popen[bytes]) -> bytes:
    """End the process; gives what it said on stderr."""
    process.kill()
    return process.communicate()[1]


class ProcessTokenizer(Tokenizer):
    """A tokenizer in a process of its own, which is started again for the next request where one ended it."""

    def __init__(self, format: Format, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._opening = {"order": format.order, "path": str(path), "wanted": asdict(wanted)}
        self._strings: dict[int, str] = {}
        self._host: Host | None = None
        said = self._open()
        self.name: str = said["name"]
        self.vocab_size: int = said["vocab_size"]
        self.bos: int | None = said["bos"]
        self.eos: int | None = said["eos"]
        self.prefix = tuple(said["prefix"])
        some, behind = said["special"]
        self.special = IdSet(some, range(behind, self.vocab_size))
        self.origin = Origin(self.name)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._ask("encode", text=text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._ask("decode", ids=self._checked(ids))
        return text

    def token(self, id: int) -> str:
        return self.strings([id])[0]

    def strings(self, ids: Sequence[int]) -> list[str]:
        if new := [id for id in dict.fromkeys(self._checked(ids)) if id not in self._strings]:
            self._strings.update(zip(new, self._ask("strings", ids=new), strict=True))
        return [self._strings[id] for id in ids]

    def continuations(self, ids: Sequence[int], by: Sequence[int]) -> list[str]:
        texts: list[str] = self._ask("continuations", ids=self._checked(ids), by=self._checked(by))
        return texts

    def split(self, text: str, position: int) -> Split:
        return Split.from_json(self._ask("split", text=text, position=position))

    def _checked(self, ids: Sequence[int]) -> list[int]:
        for id in ids:
            check_id(id, self.vocab_size)
        return list(ids)

    def _ask(self, do: str, **fields: Any) -> Any:
        if self._host is not None:
            with suppress(NotThere):  # it ended while nobody asked it anything: that is nobody's fault here
                return self._answer(do, fields)
        self._open()
        return self._answer(do, fields)

    def _open(self) -> dict[str, Any]:
        self._host = HostProcess()
        said: dict[str, Any] = self._answer("open", self._opening)
        return said

    def _answer(self, do: str, fields: Mapping[str, Any]) -> Any:
        """The value of an answer. InputError with what the tokenizer said, or how it ended."""
        host, self._host = self._host, None
        assert host is not None
        try:
            answer = host.answer({"do": do, **fields})
        except Ended as ended:
            what = "took too long" if ended.slow else "is damaged or needs too much memory"
            over = "" if do == "open" else " over this text: try another text, or another tokenizer"
            raise InputError(f"the tokenizer {self._path} {what}, and was stopped{over}") from None
        # What was interrupted in the middle of an answer, or opened nothing, is not asked again.
        if do != "open" or "error" not in answer:
            self._host = host
        if "error" in answer:
            raise (Misfit if answer["misfit"] else InputError)(answer["error"])
        return answer["value"]
