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
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from model_core.errors import InputError, Misfit
from model_core.merges import Split
from model_core.tokenizer import Origin, Tokenizer, check_id

if TYPE_CHECKING:
    from model_core.tokenizers import Format, Wanted

PACKAGES = Path(__file__).resolve().parent.parent
WINDOWLESS = getattr(subprocess, "CREATE_NO_WINDOW", 0)


class Ended(Exception):
    """The process ended in the middle of a request. `slow`: it had taken too long."""

    def __init__(self, *, slow: bool) -> None:
        super().__init__()
        self.slow = slow


class Host(Protocol):
    """What answers a request: fields in, fields out. Raises Ended where no answer comes any more."""

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]: ...


class HostProcess:
    """A tokenizer_host. It is gone when nobody has this any more."""

    def __init__(self) -> None:
        paths = [str(PACKAGES), os.environ.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "model_core.tokenizer_host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | own,
            creationflags=WINDOWLESS,
        )
        self._end = weakref.finalize(self, end, self._process)
        self._read()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return self._read()
        except OSError:
            raise Ended(slow=False) from None

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            slow = self._process.wait() == SLOW
            self._end()
            raise Ended(slow=slow)
        answer: dict[str, Any] = json.loads(line)
        return answer


SLOW = -signal.SIGALRM if hasattr(signal, "SIGALRM") else 1  # how a process ends that has taken too long


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


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
        self.special = frozenset(said["special"])
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
        if self._host is None:
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
            over = (
                ""
                if do == "open"
                else " over this text: try another, or open the model with another tokenizer"
            )
            raise InputError(f"the tokenizer {self._path} {what}, and was stopped{over}") from None
        # What was interrupted in the middle of an answer never comes here: its host is not asked again.
        self._host = host
        if "error" in answer:
            raise (Misfit if answer["misfit"] else InputError)(answer["error"])
        return answer["value"]
