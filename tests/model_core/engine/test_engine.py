"""The engine answers by frames, in its own process, and nothing that is sent to it ends it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_core.api.edits import parse
from model_core.api.protocol import MAX_HEADER, Frame, encode_bytes, hello, prefix
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import kinds, read
from model_core.api.scene import Scene
from model_core.engine.answering import failure
from model_core.engine.context import Context
from model_core.engine.questions.registry import QUESTIONS
from model_core.families.registry import FAMILIES, family_of
from model_core.runs.run import Run
from model_core.sources.presets import NAMES, open_model
from tests.support.engine.engine_process import Process, ask
from tests.support.engine.local import PROMPT, facts_of, local
from tests.support.models.tiny import CONFIGS

pytestmark = pytest.mark.process

# One query of every kind; rotary positions are what not all have.
ASKED: dict[str, dict[str, Any]] = {
    "run": {},
    "sites": {},
    "value": {"site": "blocks.1.attn.pattern", "at": {"H": 2}},
    "overview": {"side": 4},
    "roles": {},
    "growth": {},
    "next_token": {"k": 3},
    "split": {"position": 4},
    "norm": {"module": "blocks.1.norm2"},
    "rope": {"layer": 1, "head": 3},
    "rope_conventions": {"layer": 1, "head": 3, "query": 4, "key": 2},
    "architecture": {},
    "positions": {},
    "inspect": {"site": "blocks.2.attn.masked", "at": {"H": 0}, "limit": 5},
    "graph": {},
}


def alive(process: Process, id: int) -> bool:
    process.write(hello(id))
    return process.until("hello", id)[-1].fields["dtypes"] == ["float32", "float64", "float16", "bfloat16"]


def expected(scene: Scene, kind: str, arguments: dict[str, Any]) -> Answer:
    """The answer, computed in this process."""
    loaded = open_model(scene.model, scene.device, scene.dtype)
    edits = [parse(edit) for edit in scene.edits]
    run = Run(loaded.model, loaded.tokenizer.encode(scene.prompt), edits)
    with torch.inference_mode():
        asked = read(kind, arguments)
        return QUESTIONS[type(asked)](Context(scene, loaded, run, lambda: False, 0.0), asked)


def test_every_kind_of_query_is_asked_below() -> None:
    assert ASKED.keys() == kinds().keys() == {kind.kind for kind in QUESTIONS}


def test_hello_tells_what_the_engine_has(process: Process) -> None:
    process.write(hello(1))
    told = process.until("hello", 1)[-1].fields
    assert told["devices"][0]["name"] == "cpu"
    assert list(told["presets"]) == list(NAMES)
    assert {name: family["title"] for name, family in told["families"].items()} == {
        name: family.title for name, family in FAMILIES.items()
    }
    assert {family_of(config).name for config in CONFIGS.values()} <= told["families"].keys()
    assert told["pid"] == process.process.pid


def test_sizes_are_counted_over_pipes(process: Process) -> None:
    fields = {"model": "untrained:gpt2/124M", "config": ["layers=11"], "device": "cpu"}
    process.write(Frame("size", 7, fields))
    size = process.until("size", 7)[-1].fields
    assert size["parameters"] == 124_439_808 - 7_087_872
    assert size["error"] == ""


def test_a_size_request_without_a_model_is_refused_in_one_line(process: Process) -> None:
    process.write(Frame("size", 8, {"config": []}))
    assert "no readable model" in process.until("error", 8)[-1].fields["message"]


def test_every_kind_of_query_comes_back_over_pipes_as_it_was_computed(process: Process, scene: Scene) -> None:
    process.write(ask(2, scene, *ASKED.items()))
    frames = process.until("done", 2)
    assert frames[-1].fields["cancelled"] is False
    replies = [frame for frame in frames if frame.kind in ("answer", "error")]
    assert [frame.fields["query"] for frame in replies] == [
        {"kind": kind, "arguments": arguments} for kind, arguments in ASKED.items()
    ]
    for frame in replies:
        kind, arguments = frame.fields["query"]["kind"], frame.fields["query"]["arguments"]
        if kind.startswith("rope") and frame.kind == "error":
            assert not open_model(scene.model).model.rope
            assert frame.fields["message"] == "this model has no rotary positions"
            continue
        answer = expected(scene, kind, arguments)
        told = {name: fact for name, fact in answer.facts.items() if name != "milliseconds"}
        assert facts_of(frame) == json.loads(json.dumps(told))
        assert frame.arrays.keys() == answer.arrays.keys()
        for name, array in answer.arrays.items():
            assert frame.arrays[name].dtype == array.dtype
            assert np.array_equal(frame.arrays[name], array, equal_nan=True)


def test_progress_is_told_while_a_model_loads_and_runs(process: Process, models: dict[str, str]) -> None:
    process.write(ask(3, Scene(models["llama"], PROMPT, dtype="float64"), ("run", {})))
    said = [frame.fields for frame in process.until("done", 3) if frame.kind == "progress"]
    loading = [fields["share"] for fields in said if fields["what"] == "loading"]
    assert loading == sorted(loading)
    assert loading[-1] == 1.0
    running = [fields["share"] for fields in said if fields["what"] == "running"]
    assert running == sorted(running)
    assert 0 < running[-1] <= 1.0


MANY = [("overview", {})] * 3000


def test_newest_request_wins_and_the_older_one_stops(process: Process, llama: Scene) -> None:
    process.write(ask(10, llama, *MANY), ask(11, llama, ("run", {})))
    older, newer = process.until("done", 10), process.until("done", 11)
    assert older[-1].fields["cancelled"] is True
    assert sum(frame.kind == "answer" for frame in older) < len(MANY)
    assert [frame.kind for frame in newer if frame.kind != "progress"] == ["answer", "done"]
    assert newer[-1].fields["cancelled"] is False


def test_request_for_another_model_that_nobody_waits_for_is_not_begun(
    process: Process, models: dict[str, str]
) -> None:
    scenes = [Scene(models["gpt2"], PROMPT, dtype=dtype) for dtype in ("float32", "float64", "bfloat16")]
    process.write(
        *(ask(12 + n, scene, *MANY) for n, scene in enumerate(scenes[:2])), ask(14, scenes[2], ("run", {}))
    )
    frames = process.until("done", 14)
    done = {frame.id: frame.fields["cancelled"] for frame in frames if frame.kind == "done"}
    assert done == {12: True, 13: True, 14: False}
    assert not [frame for frame in frames if frame.id == 13 and frame.kind == "answer"]


def test_cancel_stops_what_is_under_way_and_nothing_later(process: Process, llama: Scene) -> None:
    process.write(ask(20, llama, *MANY), Frame("cancel", 21))
    frames = process.until("done", 20)
    assert frames[-1].fields["cancelled"] is True
    assert sum(frame.kind == "answer" for frame in frames) < len(MANY)
    process.write(ask(22, llama, ("run", {})))
    assert process.until("done", 22)[-1].fields["cancelled"] is False


def test_a_cancel_stops_no_later_request_whatever_their_numbers(process: Process, llama: Scene) -> None:
    process.write(ask(10**15, llama, *MANY), Frame("cancel", 10**15))
    assert process.until("done", 10**15)[-1].fields["cancelled"] is True
    for id in (40, 39, 10**15):
        process.write(ask(id, llama, ("run", {})))
        assert process.until("done", id)[-1].fields["cancelled"] is False


def test_what_is_wrong_is_said_in_a_line_that_has_an_end() -> None:
    (frame,) = local(Frame("k" * 15_000_000, 1))
    assert frame.kind == "error"
    assert len(frame.fields["message"]) <= 2000
    assert frame.fields["message"].startswith("frames of kind 'kkk")
    assert frame.fields["message"].endswith("are not known here")
    size = {"model": "untrained:" + "m" * 15_000_000, "config": [], "device": "cpu"}
    (frame,) = local(Frame("size", 2, size))
    assert 0 < len(frame.fields["error"]) <= 2000


def test_cancel_of_nothing_is_harmless(process: Process, llama: Scene) -> None:
    process.write(Frame("cancel", 30), Frame("cancel", 31), ask(32, llama, ("run", {})))
    assert process.until("done", 32)[-1].fields["cancelled"] is False


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"this is no frame at all", "unreadable frame: bytes that belong to no frame were skipped"),
        (prefix(5, 0) + b"{nope", "unreadable frame: the header is not JSON"),
        (
            prefix(MAX_HEADER + 1, 0),
            f"unreadable frame: a frame's header of {MAX_HEADER + 1:,} bytes is over the limit of {MAX_HEADER:,}",
        ),
        (encode_bytes(Frame("dance", 40)), "frames of kind 'dance' are not known here"),
        (encode_bytes(Frame("ask", 40)), "this request has no readable scenes and queries"),
        (
            encode_bytes(Frame("ask", 40, {"scene": {"model": 3}, "queries": []})),
            "this request has no readable scenes and queries",
        ),
        (
            encode_bytes(
                Frame("ask", 40, {"asks": [{"scene": Scene("m", "p").to_json(), "queries": ["run"]}]})
            ),
            "this request has no readable scenes and queries",
        ),
    ],
)
def test_frame_that_means_nothing_is_answered_and_the_engine_lives_on(
    process: Process, sent: bytes, message: str
) -> None:
    process.write(sent)
    error = process.read()
    assert error.kind == "error"
    assert error.fields == failure(0, message).fields
    assert alive(process, 41)


NOISY = """
import os, sys
from model_core.cli import __main__ as cli
from model_core.engine.questions.registry import answers
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query, declared

@declared("noisy")
class Noisy(Query):
    pass

@answers(Noisy)
def noisy(context, asked):
    print("a print")
    sys.stdout.flush()
    os.write(1, b"raw bytes")
    os.system("echo a child")
    return Answer({"said": True})

@declared("faulty")
class Faulty(Query):
    pass

@answers(Faulty)
def faulty(context, asked):
    raise RuntimeError("two\\nlines")

sys.exit(cli.main(["engine"]))
"""


def test_prints_and_faults_go_to_the_log_and_the_frames_stay_whole(tmp_path: Path, llama: Scene) -> None:
    noisy = Process("-c", NOISY, log=tmp_path / "log")
    noisy.write(ask(1, llama, ("noisy", {}), ("faulty", {}), ("noisy", {}), ("nothing", {})))
    answers = [frame for frame in noisy.until("done", 1) if frame.kind != "progress"]
    assert [frame.kind for frame in answers] == ["answer", "error", "answer", "error", "done"]
    fault, unknown = answers[1].fields, answers[3].fields
    assert fault["fault"] is True
    assert fault["message"] == "the engine failed (RuntimeError: two lines); see its log"
    assert fault["query"] == {"kind": "faulty", "arguments": {}}
    assert unknown["fault"] is False
    assert unknown["message"] == "queries of kind 'nothing' are not known here"
    assert noisy.end() == 0
    assert noisy.came == []
    log = noisy.log.read_text()
    assert log.count("a print\n") == log.count("raw bytes") == log.count("a child\n") == 2
    assert "Traceback" in log


def test_engine_ends_when_its_stdin_does_even_in_the_middle_of_a_request(
    tmp_path: Path, llama: Scene
) -> None:
    busy = Process("-m", "model_core.cli", "engine", log=tmp_path / "log")
    busy.write(ask(1, llama, *MANY * 20))
    busy.read()
    assert busy.end() == 0
    frames = [frame for frame in busy.came if isinstance(frame, Frame)]
    assert frames[-1].kind == "done"
    assert frames[-1].fields["cancelled"] is True
    assert busy.log.read_text() == ""
