"""A process that works with one tokenizer of a library; `tokenizer_process.py` is its other end.

    python -m model_core.text.tokenizer_host     requests on stdin, answers on stdout, each a line of JSON

    <-  {}                                                    once, when it is ready
    ->  {"do": "open", "order": 10, "path": ..., "wanted": {...}}
    <-  {"value": {"name": ..., "vocab_size": ..., ...}}
    ->  {"do": "encode", "text": ...}       <-  {"value": [ids]}
    ->  {"do": "decode", "ids": [...]}      <-  {"value": text}      and so on: CALLS
                                            <-  {"error": one line, "misfit": whether it is of another model}

A library holds Python's lock while it works, and cannot be stopped. What hangs, or takes all memory, is ended by the
system itself: an alarm that nobody handles, and a limit of what the process may address.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError, Misfit, library_errors
from model_core.text import formats  # noqa: F401  they register themselves
from model_core.text.registry import FORMATS, Wanted, check
from model_core.text.tokenizer import Tokenizer

SECONDS, MEMORY = 5.0, 500 << 20  # that a call may take, in bytes, and more for each byte of what is long:
OF_A_FILE = 4e-6, 20  # a vocabulary of 256,000 tokens has 30 MB, and takes 0.4 GB
OF_A_TEXT = 1e-5, 300  # a text to learn from takes up to 0.2 GB a megabyte
TOKENS, TOKENS_A_CHARACTER = 1000, 40  # that a text may become: some normalisers write one character as many
CHARACTERS, CHARACTERS_A_TOKEN = 100_000, 1000  # that ids may become

STATM = Path("/proc/self/statm")  # where Linux says what a process addresses


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids. InputError for ids that the vocabulary does not have, and for far too many."""
    ids = tokenizer.encode(text)
    if len(ids) > TOKENS + TOKENS_A_CHARACTER * len(text):
        raise InputError(f"it makes {len(ids):,} tokens of {len(text):,} characters")
    if ids and not 0 <= min(ids) <= max(ids) < tokenizer.vocab_size:
        wrong = next(id for id in ids if not 0 <= id < tokenizer.vocab_size)
        raise InputError(f"it makes token {wrong}, where the ids go from 0 to {tokenizer.vocab_size - 1}")
    return ids


def decode(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text. InputError for far too long a one."""
    text = tokenizer.decode(ids)
    if len(text) > CHARACTERS + CHARACTERS_A_TOKEN * len(ids):
        raise InputError(f"it makes {len(text):,} characters of {len(ids):,} tokens")
    return text


CALLS: Mapping[str, Callable[..., Any]] = {
    "encode": encode,
    "decode": decode,
    "strings": lambda tokenizer, ids: tokenizer.strings(ids),
    "continuations": lambda tokenizer, ids, by: tokenizer.continuations(ids, by),
    "split": lambda tokenizer, text, position: asdict(tokenizer.split(text, position)),
}
WORDS = {"encode": "cannot read this text", "split": "cannot read this text"}


class Host:
    """One tokenizer, and what is asked of it."""

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request; whatever goes wrong is one line that names the tokenizer's file."""
        fields = dict(request)
        do = fields.pop("do")
        try:
            if do == "open":
                return {"value": self.open(**fields)}
            with library_errors(f"{self.path} {WORDS.get(do, 'cannot spell these tokens')}"):
                return {"value": CALLS[do](self.tokenizer, **fields)}
        except InputError as error:
            return {"error": str(error), "misfit": isinstance(error, Misfit)}

    def open(self, order: int, path: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        self.path = path
        format = next(format for format in FORMATS if format.order == order)
        with library_errors(f"{path} cannot be opened"):
            self.tokenizer = format.open(Path(path), Wanted(**wanted))
            check(Path(path), self.tokenizer)
        one = self.tokenizer
        special = (one.special.some, one.special.behind.start)
        ids = {"bos": one.bos, "eos": one.eos, "prefix": one.prefix, "special": special}
        return {"name": one.name, "vocab_size": one.vocab_size, **ids}


@contextmanager
def limits(size: int, of: tuple[float, int], before: int) -> Iterator[None]:
    """Ends the process where the block takes too long, or addresses too much.

    size    bytes that are worked on, of a file or of a text
    before  bytes that were addressed without them, 0 where the system does not say
    """
    seconds, most = SECONDS + of[0] * size, before + MEMORY + of[1] * size
    if before:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)  # the system allows no more
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
    else:
        import faulthandler

        with open(os.devnull, "w") as nowhere:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            yield
            faulthandler.cancel_dump_traceback_later()


def size_of(path: str) -> int:
    """Bytes of a file, 0 of what cannot be looked at."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def addressed() -> int:
    """Bytes that this process addresses, 0 where the system does not say."""
    try:
        return int(STATM.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def main() -> None:
    # Ctrl-C is for who started it; its end is the end of stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    host, before = Host(), addressed()
    answers.write(b"{}\n")
    answers.flush()
    # What libraries print of their panics belongs nowhere.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    for line in sys.stdin.buffer:
        request = json.loads(line)
        opening = request["do"] == "open"
        size, of = (size_of(request["path"]), OF_A_FILE) if opening else (len(line), OF_A_TEXT)
        with limits(size, of, before):
            answer = host.answer(request)
        if opening:
            before = addressed()
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
