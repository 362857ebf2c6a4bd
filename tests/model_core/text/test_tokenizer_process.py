"""A tokenizer that hangs, takes all memory or crashes ends its own process, and nothing else; nothing of it is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from model_core.api.errors import InputError
from model_core.checkpoint.formats import native
from model_core.families.first_weights import initialise
from model_core.families.mini import MiniConfig
from model_core.families.registry import FAMILIES
from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import Origin
from model_core.text.tokenizer_process import PACKAGES, ProcessTokenizer
from tests.support.engine.local_host import LocalHost
from tests.support.hostile.hostile import (
    CHARSMAP,
    HANGING,
    LETTERS,
    SIZE,
    SLOW_SPLIT,
    bpe,
    growth,
    tokenizer_json,
)
from tests.support.models.vocabularies import SIZE as LEARNED
from tests.support.models.vocabularies import bpe_json, sentencepiece_model, write
from tests.support.processes import alive

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("tokenizer_processes")]


def tokenizer_of(folder: Path, content: str, size: int = SIZE) -> ProcessTokenizer:
    write(folder, {"tokenizer.json": content})
    tokenizer = tokenizer_in(folder, size)
    assert isinstance(tokenizer, ProcessTokenizer)
    return tokenizer


def pid_of(tokenizer: ProcessTokenizer) -> int:
    host: Any = tokenizer._host
    return int(host._process.pid)


def refused(tokenizer: ProcessTokenizer, text: str) -> str:
    with pytest.raises(InputError) as error:
        tokenizer.encode(text)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model"])
def test_everything_that_is_asked_is_as_in_one_process(name: str, tmp_path: Path) -> None:
    content = {"tokenizer.json": bpe_json("<|begin|>"), "tokenizer.model": sentencepiece_model("bpe")}
    write(tmp_path, {name: content[name]})
    apart = tokenizer_in(tmp_path, LEARNED + 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model_core.text.tokenizer_process.HostProcess", LocalHost)
        here = tokenizer_in(tmp_path, LEARNED + 3)
    for field in ("name", "vocab_size", "bos", "eos", "prefix", "special", "origin"):
        assert getattr(apart, field) == getattr(here, field)
    for text in ("The cat's whiskers\n", "naïve 東京", "a\ud83db", ""):
        ids = apart.encode(text)
        assert ids == here.encode(text)
        assert apart.decode(ids) == here.decode(ids)
        assert apart.strings(ids) == here.strings(ids)
        assert apart.continuations(ids, [5, 300, 400]) == here.continuations(ids, [5, 300, 400])
        assert [apart.split(text, at) for at in range(len(ids))] == [
            here.split(text, at) for at in range(len(ids))
        ]


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model"])
def test_ids_beyond_a_vocabulary_are_special_and_take_no_memory(name: str, tmp_path: Path) -> None:
    content = {"tokenizer.json": bpe_json("<|begin|>"), "tokenizer.model": sentencepiece_model("bpe")}
    write(tmp_path, {name: content[name]})
    many = tokenizer_in(tmp_path, 100_000_000)
    few = tokenizer_in(tmp_path, LEARNED + 3)
    assert set(many.special.some) | set(many.special.behind[:3]) >= set(few.special)
    assert 99_999_999 in many.special
    assert many.token(99_999_999) == "<|unused99999999|>"
    assert many.encode("The cat") == few.encode("The cat")


def test_a_text_that_hangs_is_given_up_and_the_next_is_read(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, tokenizer_json(bpe(), pre_tokenizer=SLOW_SPLIT))
    first = pid_of(tokenizer)
    said = refused(tokenizer, HANGING)
    assert said.startswith(
        f"the tokenizer {tmp_path / 'tokenizer.json'} took too long, and was stopped over this text: "
        "try another text, or another tokenizer"
    )
    assert not alive(first)
    assert tokenizer.encode("abc") == [LETTERS[letter] for letter in "abc"]


@pytest.mark.parametrize("normalizer", [growth("a"), CHARSMAP], ids=["growth", "charsmap"])
def test_a_tokenizer_that_takes_all_memory_or_crashes_is_refused_when_it_is_opened(
    normalizer: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        tokenizer_of(tmp_path, tokenizer_json(bpe(), normalizer=normalizer))
    file = tmp_path / "tokenizer.json"
    assert str(error.value) == f"the tokenizer {file} is damaged or needs too much memory, and was stopped"


def test_a_text_that_takes_all_memory_is_given_up_within_its_limit(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, tokenizer_json(bpe(), normalizer=growth("b")))
    pid, most = pid_of(tokenizer), 0
    reached = threading.Event()

    def watch() -> None:
        nonlocal most
        while not reached.wait(0.005):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                return
            most = max([most, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = refused(tokenizer, "b")
    reached.set()
    watcher.join()
    assert "is damaged or needs too much memory, and was stopped over this text" in said
    assert 0 < most < 600_000  # kB, of which the process itself takes 40,000
    assert tokenizer.encode("c") == [LETTERS["c"]]


def kill(tokenizer: ProcessTokenizer) -> None:
    """End its process from outside, and wait until it has ended."""
    pid = pid_of(tokenizer)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_process_that_ended_while_it_was_idle_is_replaced_without_a_word(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, tokenizer_json(bpe()))
    for _ in range(2):
        before = pid_of(tokenizer)
        kill(tokenizer)
        assert tokenizer.encode("abc") == [LETTERS[letter] for letter in "abc"]
        assert pid_of(tokenizer) != before
        assert not alive(before)


def test_a_file_that_is_gone_when_its_process_is_replaced_is_read_when_it_is_back(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, tokenizer_json(bpe()))
    file, away = tmp_path / "tokenizer.json", tmp_path / "away"
    kill(tokenizer)
    file.rename(away)
    for _ in range(2):
        assert refused(tokenizer, "abc").startswith(f"{file} ")
    away.rename(file)
    assert len(tokenizer.encode("abc")) == 3


WAITS, TALKS = "exec sleep 600", "echo 'no module of that name' >&2; echo Python; exit 3"


@pytest.mark.parametrize(
    ("interpreter", "seconds", "words"),
    [
        (None, 60, "No such file or directory"),
        ("exit 1", 60, "it ended at once"),
        (TALKS, 60, "no module of that name"),
        (WAITS, 0.2, "it takes more than 0.2 seconds"),
    ],
    ids=["missing", "ends", "complains", "waits"],
)
def test_a_process_that_does_not_start_is_one_line_when_a_model_is_opened_and_later(
    interpreter: str | None, seconds: float, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tokenizer_of(tmp_path, tokenizer_json(bpe()))
    kill(tokenizer)
    script = tmp_path / "python"
    if interpreter is not None:
        script.write_text(f"#!/bin/sh\n{interpreter}\n")
        script.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr("model_core.text.tokenizer_process.START_SECONDS", seconds)
        patch.setattr(sys, "executable", str(script))
        line = f"the process of the tokenizer could not be started: {words}"
        assert refused(tokenizer, "abc") == line
        assert refused(tokenizer, "abc") == line
        with pytest.raises(InputError) as error:
            tokenizer_in(tmp_path, SIZE)
        assert str(error.value) == line
    assert len(tokenizer.encode("abc")) == 3


def test_a_process_is_gone_with_its_tokenizer(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, tokenizer_json(bpe()))
    pid = pid_of(tokenizer)
    assert alive(pid)
    del tokenizer
    assert not alive(pid)


def test_a_process_in_the_middle_of_a_text_does_not_outlive_the_one_that_asked(tmp_path: Path) -> None:
    write(tmp_path, {"tokenizer.json": tokenizer_json(bpe(), pre_tokenizer=SLOW_SPLIT)})
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from model_core.text.opening import tokenizer_in\n"
        f"tokenizer = tokenizer_in(Path({str(tmp_path)!r}), {SIZE})\n"
        "print(tokenizer._host._process.pid, flush=True)\n"
        f"tokenizer.encode({HANGING!r})\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], cwd=PACKAGES, stdout=subprocess.PIPE, text=True)
    assert asking.stdout is not None
    pid = int(asking.stdout.readline())
    time.sleep(1)
    assert alive(pid)
    asking.kill()
    asking.communicate()
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(pid)


def test_the_working_directory_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"tokenizer.json": tokenizer_json(bpe())})
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert len(tokenizer_in(tmp_path, SIZE).encode("abc")) == 3


# The command line


def model_with(folder: Path, content: str) -> Path:
    """A model of ours with that tokenizer.json beside it."""
    place = folder / "model"
    config = MiniConfig(vocab_size=SIZE, width=16, layers=1, heads=2, hidden=16, context=64)
    model = FAMILIES["mini"].build(config)
    initialise(model, 0)
    write(folder, {"tokenizer.json": content})
    origin = Origin({}, {"tokenizer.json": folder / "tokenizer.json"})
    native.save(place, model, FAMILIES["mini"], tokenizer=origin, name="hostile", about="random weights")
    return place


@pytest.mark.parametrize(
    ("more", "prompt"),
    [
        ({"pre_tokenizer": SLOW_SPLIT}, HANGING),
        ({"normalizer": growth("a")}, "abc"),
        ({"normalizer": CHARSMAP}, "abc"),
    ],
    ids=["hangs", "grows", "crashes"],
)
def test_the_command_line_ends_in_one_line_that_names_the_tokenizer(
    more: dict[str, Any], prompt: str, tmp_path: Path
) -> None:
    model = model_with(tmp_path, tokenizer_json(bpe(), **more))
    words = ["generate", "--model", str(model), "--prompt", prompt, "--max-new-tokens", "2"]
    command = [sys.executable, "-m", "model_core.cli", *words]
    done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"layerscope: the tokenizer {model / 'tokenizer.json'} ")
    assert done.stderr.count("\n") == 1
