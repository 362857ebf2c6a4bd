"""A request asks about scenes; what cannot be run is refused in a line, and what was run is kept."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model_core.api.protocol import PROTOCOL, Frame
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.run import RunSummary
from model_core.api.scene import Scene, asks_to_json
from model_core.engine import kept
from model_core.engine.answering import Engine
from model_core.engine.kept import LONGEST_TOKEN
from model_core.engine.questions.registry import QUESTIONS
from model_core.text.tokenizer import TiktokenTokenizer
from tests.support.engine.engine_process import ask
from tests.support.engine.local import PROMPT, answer_to, facts_of, local
from tests.support.models.tiny import CONTEXT

pytestmark = pytest.mark.process


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
