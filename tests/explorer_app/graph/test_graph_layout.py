"""The layout of any graph: boxes apart, lines down and around, nothing moved by folding but heights."""

from itertools import combinations, pairwise, permutations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer_app.graph.labels import free_spans
from explorer_app.graph.layered import SPACE, spread
from explorer_app.graph.layout import GAP, HEAD, LEAF, Box, Layout
from explorer_app.graph.plan import Plan
from explorer_app.graph.tree import constants, module_path, spoken, twins, walk

pytestmark = pytest.mark.unit

MODULES = [
    "",
    "a",
    "a.b",
    "a.b.c",
    "blocks.0",
    "blocks.0.attn",
    "blocks.0.attn.heads.1",
    "blocks.1",
    "blocks.1.mlp",
]
SLACK = 1e-6


def width_of(text: str) -> float:
    return 6.0 * len(text)


@st.composite
def graphs(draw: st.DrawFn) -> nx.DiGraph:
    """Any order of modules, any edges that lead onward: also modules that need each other in turn."""
    graph = nx.DiGraph()
    for n in range(draw(st.integers(1, 22))):
        module = draw(st.sampled_from(MODULES))
        word = draw(st.sampled_from(["resid_", "w", "a_rather_long_word_"])) + str(n)
        graph.add_node(f"{module}.{word}" if module else word, dims="T C", shape=(3, 4))
    keys = list(graph)
    pairs = list(combinations(range(len(keys)), 2))
    if pairs:
        chosen = draw(st.lists(st.sampled_from(pairs), max_size=40))
        graph.add_edges_from((keys[a], keys[b]) for a, b in chosen)
    return graph


@st.composite
def folded_plans(draw: st.DrawFn) -> tuple[Plan, set[str]]:
    plan = Plan(draw(graphs()), width_of)
    groups = [part.path for part in plan.groups]
    return plan, set(draw(st.lists(st.sampled_from(groups)))) if groups else set()


def block(n: int) -> list[tuple[str, list[str]]]:
    """The sites of a block as families have them, each with what it is computed from."""
    b, before = f"blocks.{n}", "embed.out" if n == 0 else f"blocks.{n - 1}.resid_post"
    return [
        (f"{b}.resid_pre", [before]),
        (f"{b}.norm1.out", [f"{b}.resid_pre"]),
        (f"{b}.attn.q", [f"{b}.norm1.out", "rope.angles"]),
        (f"{b}.attn.k", [f"{b}.norm1.out", "rope.angles"]),
        (f"{b}.attn.v", [f"{b}.norm1.out"]),
        (f"{b}.attn.mask", []),
        (f"{b}.attn.scores", [f"{b}.attn.q", f"{b}.attn.k"]),
        (f"{b}.attn.pattern", [f"{b}.attn.scores", f"{b}.attn.mask"]),
        (f"{b}.attn.out", [f"{b}.attn.pattern", f"{b}.attn.v"]),
        (f"{b}.resid_mid", [f"{b}.resid_pre", f"{b}.attn.out"]),
        (f"{b}.mlp.pre", [f"{b}.resid_mid"]),
        (f"{b}.mlp.out", [f"{b}.mlp.pre"]),
        (f"{b}.resid_post", [f"{b}.resid_mid", f"{b}.mlp.out"]),
    ]


def decoder(layers: int) -> nx.DiGraph:
    graph = nx.DiGraph()
    sites: list[tuple[str, list[str]]] = [("tokens", []), ("embed.out", ["tokens"]), ("rope.angles", [])]
    for n in range(layers):
        sites += block(n)
    sites += [("norm.out", [f"blocks.{layers - 1}.resid_post"]), ("logits", ["norm.out"])]
    for key, sources in sites:
        graph.add_node(key, dims="B T C", shape=(1, 3, 4))
        graph.add_edges_from((source, key) for source in sources)
    return graph


def apart(one: Box, other: Box) -> bool:
    return (
        one.right <= other.x + SLACK
        or other.right <= one.x + SLACK
        or one.bottom <= other.y + SLACK
        or other.bottom <= one.y + SLACK
    )


def holds(outer: Box, inner: Box) -> bool:
    return (
        outer.x <= inner.x
        and outer.right >= inner.right - SLACK
        and outer.y + HEAD <= inner.y
        and outer.bottom >= inner.bottom - SLACK
    )


def filled(layout: Layout) -> list[tuple[str, float, float, float, float]]:
    """(name, left, right, top, bottom) of leaves, folded boxes and titles: what no line may cross."""
    solid = [(b.path, b.x, b.right, b.y, b.bottom) for b in layout.boxes if b.kind != "open"]
    titles = [
        (f"title of {b.path}", b.title_x, b.title_x + width_of(b.label) + HEAD, b.y, b.y + HEAD)
        for b in layout.boxes
        if b.kind == "open"
    ]
    return solid + titles


def owner(plan: Plan, folded: set[str]) -> dict[str, str]:
    return {site: plan.seen(site, folded) for site in plan.graph}


@given(folded_plans())
@pytest.mark.process
def test_boxes_are_apart_or_one_inside_the_other(case: tuple[Plan, set[str]]) -> None:
    plan, folded = case
    layout = plan.layout(folded)
    for one, other in combinations(layout.boxes, 2):
        nested = one.kind == "open" and holds(one, other)
        assert nested or apart(one, other), f"{one} and {other}"
    for box in layout.boxes:
        assert box.x >= 0
        assert box.right <= layout.width + SLACK
        assert box.bottom <= layout.height + SLACK


@given(folded_plans())
@pytest.mark.process
def test_every_site_is_shown_once_by_its_own_box_or_a_folded_one(case: tuple[Plan, set[str]]) -> None:
    plan, folded = case
    layout = plan.layout(folded)
    shown = [site for box in layout.boxes if box.kind != "open" for site in box.sites]
    assert sorted(shown) == sorted(plan.graph)
    for site, path in owner(plan, folded).items():
        box = layout.box(path)
        assert box is not None
        assert site in box.sites


@given(folded_plans())
@pytest.mark.process
def test_every_edge_points_down_and_is_drawn_without_a_break(case: tuple[Plan, set[str]]) -> None:
    plan, folded = case
    layout, own = plan.layout(folded), owner(plan, folded)
    for line in layout.lines:
        assert line.y1 <= line.bend + SLACK
        assert line.bend <= line.y2 + SLACK
    for a, b in plan.graph.edges:
        if own[a] == own[b]:
            continue
        start, end = layout.box(own[a]), layout.box(own[b])
        assert start is not None
        assert end is not None
        assert start.bottom < end.y, f"{a} -> {b}"
        way = sorted(
            (x for x in layout.lines if x.source == a and b in x.targets), key=lambda x: (x.y1, x.y2)
        )
        assert (way[0].y1, way[-1].y2) == pytest.approx((start.bottom, end.y))
        assert start.x <= way[0].x1 <= start.right
        assert end.x <= way[-1].x2 <= end.right
        assert way[-1].arrives
        for upper, lower in pairwise(way):
            assert (upper.x2, upper.y2) == pytest.approx((lower.x1, lower.y1))


@given(folded_plans())
@pytest.mark.process
def test_no_line_crosses_a_box_or_a_title(case: tuple[Plan, set[str]]) -> None:
    plan, folded = case
    layout = plan.layout(folded)
    for line in layout.lines:
        upright = (line.x1, line.x1, line.y1, line.bend)
        bent = (min(line.x1, line.x2), max(line.x1, line.x2), line.bend, line.y2)
        for name, left, right, top, bottom in filled(layout):
            for x1, x2, y1, y2 in (upright, bent):
                meets = x1 < right - SLACK and x2 > left + SLACK and y1 < bottom - SLACK and y2 > top + SLACK
                assert not meets, f"{line} crosses {name}"


@given(folded_plans(), st.data())
@pytest.mark.process
def test_folding_a_box_moves_nothing_sideways_and_nothing_above(
    case: tuple[Plan, set[str]], data: st.DataObject
) -> None:
    plan, folded = case
    if not plan.groups:
        return
    toggled = data.draw(st.sampled_from([part.path for part in plan.groups]))
    before = {box.path: box for box in plan.layout(folded).boxes}
    after = {box.path: box for box in plan.layout(folded ^ {toggled}).boxes}
    both = [path for path in before if path in after]
    for path in both:
        assert (before[path].x, before[path].width) == (after[path].x, after[path].width)
        if toggled in before and before[path].y <= before[toggled].y:
            assert before[path].y == after[path].y
    for one, other in permutations(both, 2):
        same_column = before[one].x < before[other].right and before[other].x < before[one].right
        if same_column and before[one].bottom <= before[other].y:
            assert after[one].bottom <= after[other].y


@given(folded_plans(), st.booleans())
@pytest.mark.process
def test_the_room_for_a_text_below_a_leaf_is_free_of_other_boxes(
    case: tuple[Plan, set[str]], shared: bool
) -> None:
    layout = case[0].layout(case[1])
    for path, (low, high) in free_spans(layout, shared).items():
        leaf = layout.box(path)
        assert leaf is not None
        assert low <= (leaf.x + leaf.right) / 2 <= high
        room = Box("", "", "", low, leaf.bottom, high - low, GAP)
        others = [box for box in layout.boxes if not (box.kind == "open" and box.y < leaf.y < box.bottom)]
        assert all(apart(room, box) for box in others)


@given(graphs())
@pytest.mark.process
def test_equal_graphs_have_equal_layouts(graph: nx.DiGraph) -> None:
    assert Plan(graph, width_of).layout(()) == Plan(graph.copy(), width_of).layout(())


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 9), st.floats(1, 30)), min_size=1, max_size=8),
    st.floats(0, 40),
)
def test_spreading_keeps_order_spacing_and_bounds(
    items: list[tuple[float, float, float]], spare: float
) -> None:
    wishes, weights, widths = (list(column) for column in zip(*items, strict=True))
    high = 5 + sum(widths) + SPACE * (len(items) - 1) + spare
    spots = spread(wishes, weights, widths, 5, high)
    assert spots[0] >= 5 - SLACK
    assert spots[-1] + widths[-1] <= high + SLACK
    for spot, width, after in zip(spots, widths, spots[1:], strict=False):
        assert after - spot >= width + SPACE - SLACK


def test_the_residual_stream_is_one_straight_line_from_tokens_to_logits() -> None:
    plan = Plan(decoder(4), width_of)
    layout = plan.layout({"blocks.1", "blocks.2"})
    stream = [line for line in layout.lines if line.stream]
    assert len({round(x, 6) for line in stream for x in (line.x1, line.x2)}) == 1
    axis = stream[0].x1
    for path in ("tokens", "embed.out", "blocks.0.resid_pre", "blocks.3.resid_mid", "norm.out", "logits"):
        box = layout.box(path)
        assert box is not None
        assert (box.x + box.right) / 2 == pytest.approx(axis)


def test_sublayers_stand_beside_the_stream_and_rejoin_it() -> None:
    layout = Plan(decoder(2), width_of).layout(())
    axis = next(line.x1 for line in layout.lines if line.stream)
    for path in ("blocks.0.norm1.out", "blocks.0.attn", "blocks.1.mlp"):
        box = layout.box(path)
        assert box is not None
        assert box.x > axis
    back = next(
        x
        for x in layout.lines
        if x.source == "blocks.0.attn.out" and "blocks.0.resid_mid" in x.targets and x.arrives
    )
    assert back.x2 == axis


def test_a_folded_block_keeps_its_width_and_is_one_line_high() -> None:
    plan = Plan(decoder(2), width_of)
    unfolded, folded = plan.layout(()).box("blocks.1"), plan.layout({"blocks.1"}).box("blocks.1")
    assert unfolded is not None
    assert folded is not None
    assert folded.width == unfolded.width
    assert folded.height <= LEAF
    assert unfolded.height > 8 * LEAF


def test_a_block_fits_a_narrow_column() -> None:
    assert Plan(decoder(2), width_of).layout(()).width < 230


def test_what_depends_on_no_token_is_constant() -> None:
    graph = decoder(2)
    assert constants(graph) == {"rope.angles", "blocks.0.attn.mask", "blocks.1.attn.mask"}


def test_identical_blocks_are_found_and_different_ones_are_not() -> None:
    graph = decoder(4)
    assert twins(graph, Plan(graph, width_of).root) == {f"blocks.{n}": "blocks.0" for n in (1, 2, 3)}
    graph.nodes["blocks.2.mlp.pre"]["shape"] = (1, 3, 9)
    assert twins(graph, Plan(graph, width_of).root) == {f"blocks.{n}": "blocks.0" for n in (1, 3)}
    graph.add_edge("blocks.3.resid_pre", "blocks.3.mlp.pre")
    assert twins(graph, Plan(graph, width_of).root) == {"blocks.1": "blocks.0"}


def test_a_module_with_one_value_is_a_leaf_with_its_name() -> None:
    labels = {part.path: part.label for part in walk(Plan(decoder(1), width_of).root)}
    assert labels["embed.out"] == "embed"
    assert labels["blocks.0.norm1.out"] == "norm1"
    assert labels["rope.angles"] == "rope.angles"
    assert labels["blocks.0"] == "block 0"
    assert labels["blocks.0.attn"] == "attn"


def test_numbers_belong_to_the_list_that_they_count() -> None:
    assert module_path("encoder.blocks.12.attn.heads.3") == ["encoder", "blocks.12", "attn", "heads.3"]
    assert [spoken(step) for step in ("blocks.12", "heads.3", "attn")] == ["block 12", "head 3", "attn"]


def test_modules_that_need_each_other_in_turn_are_drawn_without_their_boxes() -> None:
    graph = nx.DiGraph([("a.x", "b.x"), ("b.x", "a.y"), ("a.y", "b.y")])
    assert [part.path for part in Plan(graph, width_of).groups] == []


def test_forty_eight_blocks_are_laid_out_once() -> None:
    from explorer_app.graph.layered import place

    place.cache_clear()
    Plan(decoder(48), width_of)
    # One each for attn and mlp, and for the first, the inner and the last block; and one for the whole.
    assert place.cache_info().misses <= 6


def test_a_plan_that_is_made_in_pieces_is_the_plan_made_at_once() -> None:
    graph = decoder(3)
    pieces = Plan(graph, width_of, in_pieces=True)
    assert sum(1 for _ in pieces.making()) > len(pieces.groups) + len(graph)
    assert pieces.layout(()) == Plan(graph, width_of).layout(())
