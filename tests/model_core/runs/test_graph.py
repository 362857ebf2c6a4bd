"""The measured graph says what was computed from what."""

import re
from pathlib import Path

import networkx as nx
import pytest
import torch

import model_core
from model_core.runs.graph import graph
from model_core.runs.graph import measured as remembered
from model_core.runs.run import sites
from tests.support.models.tiny import CONFIGS, ENCODER_DECODERS, LAYERS, POSITIONS, built, tiny

pytestmark = pytest.mark.unit

LENGTH = 7
TOKENS = "tokens"
families = pytest.mark.parametrize("family", CONFIGS)

CONSTANTS = {
    family: {*positions, *(f"blocks.{n}.attn.mask" for n in range(LAYERS))}
    for family, positions in POSITIONS.items()
}
# Where the value of each site of a block comes from; the families differ in positions and in the MLP.
ATTENTION = {
    "norm1.out": {"resid_pre"},
    "attn.q": {"norm1.out"},
    "attn.k": {"norm1.out"},
    "attn.v": {"norm1.out"},
    "attn.masked": {"attn.scores", "attn.mask"},
    "attn.pattern": {"attn.masked"},
    "attn.z": {"attn.pattern", "attn.v"},
    "attn.out": {"attn.z"},
    "resid_mid": {"resid_pre", "attn.out"},
    "norm2.out": {"resid_mid"},
    "resid_post": {"resid_mid", "mlp.out"},
}
ROTARY = ATTENTION | {
    "attn.q_rot": {"attn.q", "rope.angles"},
    "attn.k_rot": {"attn.k", "rope.angles"},
    "attn.scores": {"attn.q_rot", "attn.k_rot"},
}
PLAIN = ATTENTION | {"attn.scores": {"attn.q", "attn.k"}}
MLP = {
    "mlp.pre": {"norm2.out"},
    "mlp.post": {"mlp.pre"},
    "mlp.out": {"mlp.post"},
}
LLAMA = ROTARY | {
    "mlp.gate": {"norm2.out"},
    "mlp.up": {"norm2.out"},
    "mlp.post": {"mlp.gate", "mlp.up"},
    "mlp.out": {"mlp.post"},
}
SOURCES = {
    "gpt2": PLAIN | MLP,
    "gpt2 without qkv_bias": PLAIN | MLP,
    "mini": PLAIN | MLP,
    "mini learned silu": PLAIN | MLP,
    "mini rope gelu": ROTARY | MLP,
    "mini none": PLAIN | MLP,
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA
    | {
        "attn.q_norm": {"attn.q"},
        "attn.k_norm": {"attn.k"},
        "attn.q_rot": {"attn.q_norm", "rope.angles"},
        "attn.k_rot": {"attn.k_norm", "rope.angles"},
    },
    "mistral": LLAMA,
}


@pytest.fixture(scope="module", params=CONFIGS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def measured(family: str) -> nx.DiGraph:
    return graph(tiny(family), LENGTH)


def test_graph_has_the_tokens_and_every_site_once_in_order(family: str, measured: nx.DiGraph) -> None:
    described = sites(tiny(family), LENGTH)
    assert list(measured) == [TOKENS, *(site.key for site in described)]
    assert [site for _, site in measured.nodes(data="site")][1:] == described


def test_graph_is_acyclic_and_leads_forward(measured: nx.DiGraph) -> None:
    assert nx.is_directed_acyclic_graph(measured)
    order = {key: n for n, key in enumerate(measured)}
    assert all(order[source] < order[target] for source, target in measured.edges)


def test_every_site_but_the_constants_is_computed_from_the_tokens(family: str, measured: nx.DiGraph) -> None:
    reached = nx.descendants(measured, TOKENS)
    assert set(measured) - reached - {TOKENS} == CONSTANTS[family]
    assert {key for key in CONSTANTS[family] if measured.in_degree(key)} == set()


def test_every_site_reaches_the_logits(measured: nx.DiGraph) -> None:
    assert nx.ancestors(measured, "logits") == set(measured) - {"logits"}
    assert [key for key in measured if measured.out_degree(key) == 0] == ["logits"]


def test_edges_within_a_block_are_those_of_its_formulas(family: str, measured: nx.DiGraph) -> None:
    for layer in range(LAYERS):
        path = f"blocks.{layer}."
        for word, sources in SOURCES[family].items():
            expected = {name if name.startswith("rope") else path + name for name in sources}
            assert set(measured.predecessors(path + word)) == expected
        block = {key.removeprefix(path) for key in measured if key.startswith(path)}
        assert block == SOURCES[family].keys() | {"resid_pre", "attn.mask"}


def test_every_weight_comes_in_at_the_site_that_its_module_computes(
    family: str, measured: nx.DiGraph
) -> None:
    model = tiny(family)
    named = {"head": "logits", "attn.o": "attn.out", "mlp.down": "mlp.out"}
    named |= {path: f"{path}.out" for path in ("embed", "pos", "norm", "norm1", "norm2")}
    if "mlp.pre" in SOURCES[family]:
        named["mlp.up"] = "mlp.pre"
    for name, weight in model.named_parameters():
        # A model written head by head has matrices for each of them, and one site for all.
        module = re.sub(r"head\.\d+\.", "", name.rpartition(".")[0])
        found = re.match(r"(blocks\.\d+\.)?(.*)", module)
        assert found is not None
        expected = {(found[1] or "") + named.get(found[2], found[2])}
        if name == "embed.weight" and model.head.weight is weight:
            expected.add("logits")
        assert {
            key for key, weights in measured.nodes(data="weights", default=()) if name in weights
        } == expected


def test_blocks_are_chained_from_the_embedding_to_the_head(family: str, measured: nx.DiGraph) -> None:
    position = set(POSITIONS[family]) - {"rope.angles"}
    assert set(measured.predecessors("embed.out")) == {TOKENS}
    assert set(measured.predecessors("blocks.0.resid_pre")) == {"embed.out"} | position
    for layer in range(1, LAYERS):
        assert set(measured.predecessors(f"blocks.{layer}.resid_pre")) == {f"blocks.{layer - 1}.resid_post"}
    assert set(measured.predecessors("norm.out")) == {f"blocks.{LAYERS - 1}.resid_post"}
    assert set(measured.predecessors("logits")) == {"norm.out"}


def test_an_edge_knows_the_operations_on_the_way(family: str, measured: nx.DiGraph) -> None:
    def operations(source: str, key: str) -> tuple[str, ...]:
        found: tuple[str, ...] = measured.edges[f"blocks.1.{source}", f"blocks.1.{key}"]["operations"]
        return found

    assert operations("attn.masked", "attn.pattern") == ("_softmax",)
    assert operations("attn.mask", "attn.masked") == ("add",)
    assert operations("resid_pre", "resid_mid") == ("add",)
    scores = "q_rot" if "blocks.1.attn.q_rot" in measured else "q"
    assert [name for name in operations(f"attn.{scores}", "attn.scores") if "view" not in name] == [
        "expand",
        "bmm",
        "mul",
    ]
    assert operations("attn.pattern", "attn.z").count("bmm") == 1
    assert any(name in ("mm", "addmm") for name in operations("mlp.post", "mlp.out"))
    assert measured.edges[TOKENS, "embed.out"]["operations"] == ("embedding",)
    assert all(edge["operations"] is not None for *_, edge in measured.edges(data=True))


def test_a_site_knows_the_line_of_its_tap(family: str, measured: nx.DiGraph) -> None:
    root = Path(model_core.__file__).parent.parent
    for key, node in measured.nodes(data=True):
        if key == TOKENS:
            continue
        line = (root / node["file"]).read_text(encoding="utf-8").splitlines()[node["line"] - 1]
        assert re.search(rf'tap\("{node["site"].word}"', line), (key, line)


@pytest.mark.parametrize("family", [*CONFIGS, *ENCODER_DECODERS])
def test_with_a_past_new_keys_and_values_go_into_all_so_far(family: str) -> None:
    model = built((CONFIGS | ENCODER_DECODERS)[family])
    plain, past = (remembered(model, past) for past in (False, True))
    assert set(past) - set(plain) == {key for key in past if key.endswith("_all")}
    attentions = [key.removesuffix(".k_all") for key in past if key.endswith(".k_all")]
    assert len(attentions) == LAYERS
    for path in attentions:
        key = "k_rot" if f"{path}.k_rot" in past else "k_norm" if f"{path}.k_norm" in past else "k"
        assert set(past.predecessors(f"{path}.k_all")) == {f"{path}.{key}"}
        assert set(past.predecessors(f"{path}.v_all")) == {f"{path}.v"}
        assert set(past.predecessors(f"{path}.z")) == {f"{path}.pattern", f"{path}.v_all"}
        assert f"{path}.k_all" in set(past.predecessors(f"{path}.scores"))
        assert "copy_" in past.edges[f"{path}.v", f"{path}.v_all"]["operations"]
    for source, key in plain.edges:
        assert past.has_edge(source, key) or past.has_edge(
            f"{source.rpartition('.')[0]}.{key_of(source)}_all", key
        )


def key_of(site: str) -> str:
    """k of "blocks.1.attn.k_rot"."""
    return site.rpartition(".")[2].partition("_")[0]


def test_measuring_reads_no_weight_and_changes_none(family: str) -> None:
    model = tiny(family)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    expected = graph(model, LENGTH)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(float("nan"))
    assert nx.utils.graphs_equal(graph(model, LENGTH), expected)
