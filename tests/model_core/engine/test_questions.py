"""Each question is answered by what the run computed, and what is not there is said in a line."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model_core.analysis import derive, roles
from model_core.api import role_list
from model_core.api.names import Site
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import kinds
from model_core.api.scene import Scene
from model_core.api.steps import unpack
from model_core.engine.answering import Place, failure
from model_core.runs.run import Run, sites
from model_core.sources.presets import open_model
from tests.support.engine.engine_process import ask
from tests.support.engine.local import PROMPT, answer_to, local
from tests.support.models.tiny import CONTEXT, HEADS, LAYERS

pytestmark = pytest.mark.process


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
