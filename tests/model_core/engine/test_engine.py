"""The engine answers by frames, in its own process, and nothing that is sent to it ends it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_core.analysis import derive, roles
from model_core.api import role_list
from model_core.api.edits import parse
from model_core.api.names import Site
from model_core.api.protocol import MAX_HEADER, PROTOCOL, Frame, encode_bytes, hello, prefix
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.query import kinds, read
from model_core.api.queries.run import RunSummary
from model_core.api.scene import Scene, asks_to_json
from model_core.api.steps import unpack
from model_core.engine import kept
from model_core.engine.answering import Engine, Place, failure
from model_core.engine.context import Context
from model_core.engine.kept import LONGEST_TOKEN
from model_core.engine.questions.registry import QUESTIONS
from model_core.families.registry import FAMILIES, family_of
from model_core.runs.run import Run, sites
from model_core.sources.presets import NAMES, open_model
from model_core.system.devices import configure_threads
from model_core.text.tokenizer import TiktokenTokenizer
from tests.support.engine.engine_process import Process, ask
from tests.support.models.tiny import CONFIGS, CONTEXT, HEADS, LAYERS, save

pytestmark = pytest.mark.process

PROMPT = "The cat sat on the mat"

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


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The path of a tiny checkpoint of each family."""
    configure_threads()
    return {family: save(tmp_path_factory.mktemp(family), family) for family in CONFIGS}


@pytest.fixture(params=CONFIGS)
def scene(request: pytest.FixtureRequest, models: dict[str, str]) -> Scene:
    return Scene(models[request.param], PROMPT, edits=("mask off L1H2",))


@pytest.fixture
def llama(models: dict[str, str]) -> Scene:
    return Scene(models["llama"], PROMPT)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The engine as the window starts it. It outlives whatever the tests send."""
    started = Process("-m", "model_core.cli", "engine", log=tmp_path_factory.mktemp("engine") / "log")
    yield started
    assert started.end() == 0


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


def facts_of(frame: Frame) -> dict[str, Any]:
    return {name: fact for name, fact in frame.fields["facts"].items() if name != "milliseconds"}


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


def local(request: Frame, *, cancelled: bool = False, engine: Engine | None = None) -> list[Frame]:
    """What an engine in this process says to a request, progress aside."""
    said: list[Frame] = []
    engine = engine or Engine(said.append)
    engine.send = said.append
    engine.handle(request, lambda: cancelled)
    return [frame for frame in said if frame.kind != "progress"]


def answer_to(scene: Scene, kind: str, **arguments: Any) -> Frame:
    answer, done = local(ask(1, scene, (kind, arguments)))
    assert done.kind == "done"
    return answer


@pytest.fixture
def run(scene: Scene) -> Run:
    loaded = open_model(scene.model)
    return Run(loaded.model, loaded.tokenizer.encode(PROMPT), [parse(edit) for edit in scene.edits])


def test_value_is_the_run_s_at_the_positions_that_were_picked(scene: Scene, run: Run) -> None:
    whole = answer_to(scene, "value", site="blocks.1.attn.pattern")
    assert whole.fields["facts"] == {"dims": "H T S", "dtype": "float32"}
    expected = run.value("blocks.1.attn.pattern")[0].numpy()
    assert np.array_equal(whole.arrays["values"], expected)
    picked = answer_to(scene, "value", site="blocks.1.attn.pattern", at={"H": 3, "S": 1})
    assert picked.fields["facts"]["dims"] == "T"
    assert np.array_equal(picked.arrays["values"], expected[3, :, 1])
    one = answer_to(scene, "value", site="blocks.1.attn.pattern", at={"H": 3, "T": 2, "S": 1})
    assert one.arrays["values"].shape == ()
    assert one.arrays["values"] == expected[3, 2, 1]


def test_run_tells_tokens_and_the_shape_of_the_model(scene: Scene, run: Run) -> None:
    facts = answer_to(scene, "run").fields["facts"]
    assert facts["tokens"] == run.tokens
    assert "".join(facts["strings"]) == PROMPT
    (attention,) = facts["attentions"]
    assert (attention["name"], attention["queries"], attention["keys"]) == ("", 0, 0)
    assert (attention["layers"], attention["heads"], facts["context"]) == (LAYERS, HEADS, CONTEXT)
    text = {name: facts[name] for name in ("tokens", "strings", "special")}
    assert facts["texts"] == [{"name": "tokens", **text}]
    assert (facts["special"], facts["prefix"], facts["prefixes"]) == ([], 0, [])
    assert facts["parameters"] == run.model.parameter_count
    assert facts["kept_bytes"] == run.trace.nbytes
    assert facts["edits"] == ["mask off L1H2"]
    assert facts["milliseconds"] > 0


def test_sites_are_those_of_the_dry_run(scene: Scene, run: Run) -> None:
    frame = answer_to(scene, "sites")
    told = unpack(Answer(frame.fields["facts"], frame.arrays), [len(run.tokens)])
    described = [Site("tokens", "B T", (1, len(run.tokens)), "int64"), *sites(run.model, len(run.tokens))]
    assert [site["key"] for site in told] == [site.key for site in described]
    assert [tuple(site["shape"]) for site in told] == [site.shape for site in described]
    assert [site["dims"] for site in told] == [site.dims for site in described]


def test_overview_has_every_layer_and_head_in_order(scene: Scene, run: Run) -> None:
    maps = answer_to(scene, "overview").arrays["maps"]
    length = len(run.tokens)
    assert maps.shape == (LAYERS, HEADS, length, length)
    for layer in range(LAYERS):
        assert np.array_equal(maps[layer], run.value(f"blocks.{layer}.attn.pattern")[0])
    small = answer_to(scene, "overview", side=3)
    assert small.fields["facts"] == {"size": [length, length]}
    assert np.array_equal(small.arrays["maps"], derive.shrink(torch.tensor(maps), 3))


def test_roles_are_measured_on_the_run_and_on_the_probe(scene: Scene, run: Run) -> None:
    (kind,) = run.model.attentions
    on_prompt, tokens = answer_to(scene, "roles"), torch.tensor(run.tokens)
    for layer in range(LAYERS):
        pattern = run.value(f"blocks.{layer}.attn.pattern")[0]
        visible = run.value(f"blocks.{layer}.attn.masked")[0] > -torch.inf
        for name, scores in roles.role_scores(pattern, visible, tokens, tokens, kind).items():
            np.testing.assert_array_equal(on_prompt.arrays[name][layer], scores)
    told = [role["name"] for role in on_prompt.fields["facts"]["roles"]]
    assert told == list(on_prompt.arrays) == [role.name for role in role_list.ROLES]
    for name, scores in roles.probe_roles(run.model).items():
        np.testing.assert_array_equal(answer_to(scene, "roles", on="probe").arrays[name], scores)


def test_next_tokens_are_likeliest_first_with_what_they_add_to_the_prompt(scene: Scene, run: Run) -> None:
    answer = answer_to(scene, "next_token", k=5)
    facts, best = answer.fields["facts"], run.logits[-1].softmax(-1).topk(5)
    assert facts["ids"] == best.indices.tolist()
    np.testing.assert_allclose(answer.arrays["probabilities"], best.values)
    assert len(facts["strings"]) == len(facts["texts"]) == 5
    assert len(answer.arrays["log_probs"]) == len(answer.arrays["ranks"]) == len(run.tokens) - 1


@pytest.mark.parametrize(
    ("module", "source"), [("blocks.0.norm1", "resid_pre"), ("blocks.2.norm2", "resid_mid")]
)
def test_norm_tells_what_went_in_and_came_out(scene: Scene, run: Run, module: str, source: str) -> None:
    answer = answer_to(scene, "norm", module=module)
    before = f"{module.rpartition('.')[0]}.{source}"
    assert answer.fields["facts"]["source"] == before
    assert np.array_equal(answer.arrays["before"], run.value(before)[0])
    assert np.array_equal(answer.arrays["after"], run.value(f"{module}.out")[0])
    told = answer.arrays
    assert told.keys() >= answer.fields["facts"]["measures"].keys()
    by_hand = (told["before"] - told.get("mean", np.zeros(len(told["divisor"])))[:, None]) / told["divisor"][
        :, None
    ]
    by_hand = by_hand * told["gain"] + told.get("bias", 0)
    np.testing.assert_allclose(by_hand, told["after"], rtol=1e-4, atol=1e-5)


def test_last_norm_reads_the_last_block(scene: Scene, run: Run) -> None:
    answer = answer_to(scene, "norm", module="norm")
    assert answer.fields["facts"]["source"] == f"blocks.{LAYERS - 1}.resid_post"


@pytest.mark.parametrize(("family", "turned"), [("llama", ""), ("qwen3", "_norm")])
def test_rope_tells_a_head_s_query_and_the_key_that_it_shares(
    models: dict[str, str], family: str, turned: str
) -> None:
    scene = Scene(models[family], PROMPT)
    loaded = open_model(scene.model)
    run = Run(loaded.model, loaded.tokenizer.encode(PROMPT))
    for head, group in enumerate([0, 0, 1, 1]):
        answer = answer_to(scene, "rope", layer=2, head=head)
        assert answer.fields["facts"]["group"] == group
        for name, index in (("q", head), ("k", group)):
            before, after = (run.value(f"blocks.2.attn.{name}{word}")[0, index] for word in (turned, "_rot"))
            assert np.array_equal(answer.arrays[name], before)
            assert np.array_equal(answer.arrays[f"{name}_rot"], after)
        assert np.array_equal(answer.arrays["angles"], run.value("rope.angles"))


def test_positions_are_told_by_kind(models: dict[str, str]) -> None:
    assert answer_to(Scene(models["llama"], PROMPT), "positions").fields["facts"] == {"kind": "rotary"}
    table = answer_to(Scene(models["gpt2"], PROMPT), "positions")
    assert table.fields["facts"] == {"kind": "table", "learned": True, "text": 0}
    length = len(open_model(models["gpt2"]).tokenizer.encode(PROMPT))
    assert table.arrays["table"].shape == (length, 24)
    assert np.diag(table.arrays["cosines"]) == pytest.approx(1)


def test_inspected_slice_is_a_table_with_the_statistics_of_the_whole(scene: Scene, run: Run) -> None:
    answer = answer_to(scene, "inspect", site="blocks.1.attn.q", at={"H": 1}, limit=4)
    whole = run.value("blocks.1.attn.q")[0, 1].numpy()
    facts = answer.fields["facts"]
    assert (facts["axes"], facts["shape"], facts["site_dims"]) == (["T", "D"], list(whole.shape), "B H T D")
    assert np.array_equal(answer.arrays["table"], whole[:4, :4])
    assert facts["statistics"]["max"] == whole.max()
    assert answer.arrays["counts"].sum() == whole.size
    masked = answer_to(scene, "inspect", site="blocks.0.attn.masked")
    hidden = run.value("blocks.0.attn.mask").isinf().sum().item()
    assert masked.fields["facts"]["statistics"]["minus_infinite"] == hidden > 0


def test_graph_is_told_as_pairs_of_positions_in_the_steps(scene: Scene, run: Run) -> None:
    keys = ["tokens", *(site.key for site in sites(run.model, len(run.tokens)))]
    edges = answer_to(scene, "graph").arrays["edges"]
    assert {(keys[a], keys[b]) for a, b in edges} == set(run.graph.edges)


@pytest.mark.parametrize("kind", [name for name, kind in kinds().items() if kind.of_the_model])
def test_what_is_kept_once_for_a_model_is_the_same_for_every_text_and_edit(scene: Scene, kind: str) -> None:
    other = replace(scene, prompt="Another one, and longer than the first", edits=(), special=False)
    one, two = (answer_to(of, kind) for of in (scene, other))
    assert one.fields == two.fields
    assert {name: array.tolist() for name, array in one.arrays.items()} == {
        name: array.tolist() for name, array in two.arrays.items()
    }


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("value", {"site": "blocks.9.attn.q"}, "there is no site 'blocks.9.attn.q' in this model"),
        (
            "value",
            {"site": "blocks.0.attn.q", "at": {"H": -1}},
            "there is no position -1 on axis H of blocks.0.attn.q: it has 0 to 3",
        ),
        ("next_token", {"k": -1}, "next_token: 'k' is -1, not a whole number from 0 up"),
        ("split", {"position": -1}, "split: 'position' is -1, not a whole number from 0 up"),
        ("value", {"site": "blocks.0.attn.q", "at": {"V": 1}}, "blocks.0.attn.q has axes H T D, not V"),
        (
            "value",
            {"site": "blocks.0.attn.q", "at": {"H": 4}},
            "there is no position 4 on axis H of blocks.0.attn.q: it has 0 to 3",
        ),
        (
            "value",
            {"site": "blocks.0.attn.q", "at": {"H": 1.5}},
            "value: 'at' of H is 1.5, not a whole number",
        ),
        (
            "value",
            {"site": "blocks.0.attn.q", "at": {"H": True}},
            "value: 'at' of H is True, not a whole number",
        ),
        ("value", {"site": {"H": 1}}, "value: 'site' is {'H': 1}, not text"),
        ("value", {}, "value: no 'site' is said"),
        ("value", {"site": "tokens", "SITE": "x"}, "value: there is no 'SITE'; there are site, at"),
        ("next_token", {"k": "3"}, "next_token: 'k' is '3', not a whole number from 0 up"),
        ("overview", {"side": [3]}, "overview: 'side' is [3], not a whole number"),
        ("inspect", {"site": "tokens", "at": "H"}, "inspect: 'at' is 'H', not an object"),
        ("run", {"k": 3}, "run: there is no 'k'; there are none"),
        ("inspect", {"site": "tokens"}, "there is no site 'tokens' in this model"),
        ("overview", {"word": "out"}, "'out' is no map of who looks at whom"),
        ("overview", {"word": "q"}, "'q' is no map of who looks at whom"),
        ("overview", {"word": "patern"}, "there is no site 'blocks.0.attn.patern' in this model"),
        ("roles", {"on": "moon"}, "roles: 'on' is 'moon', not one of prompt, probe"),
        ("norm", {"module": "blocks.0.attn"}, "there is no norm 'blocks.0.attn' in this model"),
        ("rope", {"layer": 3, "head": 0}, "query: there is no layer 3; this model has layers 0 to 2"),
        ("rope", {"layer": 0, "head": -1}, "query: there is no head -1; this model has heads 0 to 3"),
    ],
)
def test_query_for_what_is_not_there_says_so_and_the_next_is_answered(
    llama: Scene, kind: str, arguments: dict[str, Any], message: str
) -> None:
    error, run, done = local(ask(5, llama, (kind, arguments), ("run", {})))
    assert error.fields == failure(Place(5, 0), message, {"kind": kind, "arguments": arguments}).fields
    assert [run.kind, done.kind] == ["answer", "done"]


def test_scenes_of_one_request_are_answered_in_turn_and_one_that_cannot_be_run_holds_up_no_other(
    models: dict[str, str],
) -> None:
    one, none, two = (
        Scene(models[family], text)
        for family, text in (("llama", "The cat"), ("llama", ""), ("gpt2", "A dog"))
    )
    asks = [(one, [RunSummary(), NextTokens(k=3)]), (none, [RunSummary()]), (two, [RunSummary()])]
    told = local(Frame("ask", 9, asks_to_json(asks)))
    assert [(frame.kind, frame.fields.get("scene")) for frame in told] == [
        ("answer", 0),
        ("answer", 0),
        ("error", 1),
        ("answer", 2),
        ("done", None),
    ]
    for frame, scene in ((told[0], one), (told[3], two)):
        (alone, _) = local(ask(10, scene, ("run", {})))
        assert facts_of(frame) == facts_of(alone)


def test_an_edit_is_answered_as_by_an_engine_that_knows_no_run_without_it(llama: Scene) -> None:
    edited = replace(llama, edits=("ablate L2H1",))
    request = ask(1, edited, ("value", {"site": "logits"}), ("value", {"site": "blocks.2.attn.pattern"}))
    engine = Engine(lambda frame: None)
    local(ask(1, llama, ("run", {})), engine=engine)
    plain, _ = engine.kept.runs[llama]
    warm, cold = local(request, engine=engine), local(request)
    run, _ = engine.kept.runs[edited]
    assert run.calls["blocks.1"] is plain.calls["blocks.1"]
    assert run.calls["blocks.2"] is not plain.calls["blocks.2"]
    for one, other in zip(warm[:2], cold[:2], strict=True):
        assert np.array_equal(one.arrays["values"], other.arrays["values"])


def test_models_and_runs_of_pinned_scenes_stay(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LOADED_BYTES", 0)
    engine = Engine(lambda frame: None)
    pinned = Scene(models["llama"], "The cat")
    names = [name for name in models if name != "llama"][:4]
    for scene in (pinned, *(Scene(models[name], text) for name in names for text in ("one", "two", "three"))):
        request = Frame("ask", 1, asks_to_json([(scene, [RunSummary()])], [pinned]))
        local(request, engine=engine)
    assert pinned in engine.kept.runs
    assert pinned.opened in engine.kept.models
    assert len(engine.kept.models) <= 3
    for name in names:
        local(ask(2, Scene(models[name], "unpinned"), ("run", {})), engine=engine)
    assert pinned.opened not in engine.kept.models
    assert pinned not in engine.kept.runs


@pytest.mark.parametrize("spoken", [None, 2, "3", [3]])
def test_who_speaks_another_protocol_is_refused_in_one_line(spoken: object) -> None:
    (error,) = local(Frame("hello", 4, {} if spoken is None else {"protocol": spoken}))
    assert error.kind == "error"
    assert error.fields["message"].startswith(
        f"the window speaks protocol {spoken!r} and this engine {PROTOCOL}: "
    )


def refused(scene: Scene) -> dict[str, Any]:
    error, done = local(ask(6, scene, ("run", {})))
    assert [error.kind, done.kind] == ["error", "done"]
    assert error.fields["scene"] == 0
    assert error.fields["query"] is None
    assert error.fields["fault"] is False
    return error.fields


def test_scene_that_cannot_be_run_is_refused_in_one_line(models: dict[str, str]) -> None:
    path = models["llama"]
    wrong = {
        Scene("no such model", PROMPT): "there is no model 'no such model'",
        Scene(path, ""): "the prompt is empty",
        Scene(path, PROMPT, device="abacus"): "there is no device 'abacus' here",
        Scene(path, PROMPT, dtype="float7"): "there is no dtype 'float7'",
        Scene(path, PROMPT, edits=("ablate L0H9",)): "there is no head 9",
        Scene(path, PROMPT, edits=("dance",)): "no edit reads 'dance'",
    }
    for scene, message in wrong.items():
        said = refused(scene)["message"]
        assert message in said
        assert "\n" not in said


def test_every_edit_that_cannot_be_made_is_named_with_why(models: dict[str, str]) -> None:
    edits = ("ablate L0H9", "mask off", "mask off L7", "ablate cross L0H0")
    said = refused(Scene(models["llama"], PROMPT, edits=edits))["edits"]
    assert list(said) == ["ablate L0H9", "mask off L7", "ablate cross L0H0"]
    assert said["mask off L7"] == "there is no layer 7; this model has layers 0 to 2"
    assert list(refused(Scene(models["llama"], PROMPT, edits=("dance",)))["edits"]) == ["dance"]
    assert refused(Scene(models["llama"], ""))["edits"] is None


def test_prompt_that_is_too_long_comes_back_with_one_that_fits(models: dict[str, str]) -> None:
    scene = Scene(models["llama"], PROMPT * 10)
    error = refused(scene)
    assert "more than the context of 24" in error["message"]
    fixed = Scene(models["llama"], error["fix"]["prompt"])
    assert scene.prompt.startswith(fixed.prompt)
    assert len(answer_to(fixed, "run").fields["facts"]["tokens"]) == CONTEXT


def test_of_a_prompt_of_a_million_words_only_the_beginning_is_encoded(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    encode = TiktokenTokenizer.encode
    monkeypatch.setattr(
        TiktokenTokenizer, "encode", lambda self, text: (read.append(len(text)), encode(self, text))[1]
    )
    error = refused(Scene(models["llama"], "The cat " * 1_000_000))
    assert error["message"] == (
        "the prompt has 8,000,000 characters, far more than the context of 24 tokens: shorten it"
    )
    assert max(read) <= LONGEST_TOKEN * CONTEXT
    assert (
        len(answer_to(Scene(models["llama"], error["fix"]["prompt"]), "run").fields["facts"]["tokens"])
        == CONTEXT
    )


def test_a_long_text_of_few_tokens_is_read_whole(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = TiktokenTokenizer.encode
    monkeypatch.setattr(TiktokenTokenizer, "encode", lambda self, text: encode(self, text.replace("x", "")))
    long = Scene(models["llama"], "x" * LONGEST_TOKEN * CONTEXT + "The cat")
    short = Scene(models["llama"], "The cat")
    assert (
        answer_to(long, "run").fields["facts"]["tokens"] == answer_to(short, "run").fields["facts"]["tokens"]
    )


@pytest.mark.parametrize("where", ["run", "view"])
def test_memory_that_ran_out_is_no_fault_and_says_what_to_do(
    llama: Scene, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    if where == "run":
        monkeypatch.setattr(kept, "Run", exhausted)
    else:
        monkeypatch.setitem(QUESTIONS, RunSummary, lambda context, asked: exhausted())
    error = local(ask(1, llama, ("run", {})))[0].fields
    assert error["fault"] is False
    assert error["message"].startswith(f"this {where} needs more memory than is free: use a shorter prompt")


def test_cancelled_run_is_not_kept_but_its_model_is(llama: Scene) -> None:
    here = Engine(lambda frame: None)
    (done,) = local(ask(1, llama, ("run", {})), cancelled=True, engine=here)
    assert done.fields == {"cancelled": True, "milliseconds": 0.0}
    assert list(here.kept.models) == [llama.opened]
    assert list(here.kept.runs) == []
    answer, done = local(ask(2, llama, ("run", {})), engine=here)
    assert answer.kind == "answer"


def test_scene_is_run_once_for_all_its_requests(llama: Scene) -> None:
    here = Engine(lambda frame: None)
    local(ask(1, llama, ("run", {})), engine=here)
    run = here.kept.runs[llama]
    local(ask(2, llama, ("overview", {})), engine=here)
    assert here.kept.runs[llama] is run


def test_models_and_runs_used_longest_ago_make_room(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LOADED_BYTES", 0)
    here = Engine(lambda frame: None)
    scenes = [Scene(models["llama"], PROMPT, dtype=dtype) for dtype in ("float32", "float64", "bfloat16")]
    for scene in (scenes[0], scenes[1], scenes[0], scenes[2]):
        local(ask(1, scene, ("run", {})), engine=here)
    assert [dtype for *_, dtype, _ in here.kept.models] == ["float32", "bfloat16"]
    assert list(here.kept.runs) == [scenes[0], scenes[2]]
    for n in range(kept.KEPT_RUNS):
        local(ask(2, Scene(models["llama"], f"{PROMPT} {n}"), ("run", {})), engine=here)
    assert len(here.kept.runs) == kept.KEPT_RUNS
    assert scenes[0] not in here.kept.runs


def test_runs_that_are_kept_stay_within_their_bytes_and_the_newest_is_always_kept(
    llama: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Engine(lambda frame: None)
    scenes = [replace(llama, prompt=f"{PROMPT} {n}") for n in range(3)]
    local(ask(1, scenes[0], ("run", {})), engine=here)
    one = here.kept.runs[scenes[0]][0].nbytes
    monkeypatch.setattr(kept, "KEPT_BYTES", round(2.2 * one))
    local(ask(2, scenes[1], ("run", {})), engine=here)
    assert list(here.kept.runs) == scenes[:2]
    # Blocks that are replayed count as well, at once.
    local(ask(2, scenes[0], ("overview", {})), engine=here)
    assert here.kept.runs[scenes[0]][0].nbytes > 1.3 * one
    assert list(here.kept.runs) == [scenes[0]]
    for n, left in ((1, [scenes[1]]), (2, scenes[1:])):
        local(ask(3, scenes[n], ("run", {})), engine=here)
        assert list(here.kept.runs) == left
    monkeypatch.setattr(kept, "KEPT_BYTES", 1)
    local(ask(4, scenes[0], ("run", {})), engine=here)
    assert list(here.kept.runs) == [scenes[0]]
