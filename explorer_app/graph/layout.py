"""Where the boxes and lines of a model graph go: pure numbers, no Qt.

    plan = Plan(graph, width_of)               order, rows and columns, once a model
    plan.layout(folded={"blocks.1", ...})      boxes and lines; folding changes heights only

Sites are leaves, their modules are boxes around them. Each box is laid out on its own, in rows by longest path
(Sugiyama, Tagawa and Toda, 1981): a line enters through a port in the box's top edge, leaves through one in its bottom
edge, and runs past other rows in a lane of its own, so that it crosses no leaf. A box that carries a residual stream
(a site whose word begins with "resid") has it as a straight axis at the left; what branches off stands at its right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from explorer_app.graph.lazy import lazy

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy("networkx")

LEAF = 21.0
"""Height of a leaf, in units of one pixel at 100 %."""
HEAD = 19.0
"""Height of a box's title line."""
GAP = 16.0
"""Between two rows: a line of text fits."""
PAD = 6.0
SPACE = 6.0
"""Between two neighbours in a row."""
LANE = 2.0
NARROW = 40.0
"""The least width of a leaf."""
ROW = 170.0
"""A row that is wider than this goes on in the next."""

ENTRY, EXIT = -1, -2
Slot = tuple[str, int, int]
"""What stands in a row: ("title", 0, 0), ("child", number, 0), or the lane of a net in a row ("lane", net, row)."""


@dataclass(frozen=True)
class Box:
    """kind: "site" (a leaf), "open" (a module with its title line) or "folded". `title`: from x, that wide."""

    path: str
    kind: str
    label: str
    x: float
    y: float
    width: float
    height: float
    title_x: float = 0.0
    sites: tuple[str, ...] = ()

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Line:
    """A piece of the way from site `source` to sites `targets`: down x1 from y1 to `bend`, then over to (x2, y2)."""

    source: str
    targets: frozenset[str]
    x1: float
    y1: float
    bend: float
    x2: float
    y2: float
    arrives: bool
    stream: bool


@dataclass(frozen=True)
class Layout:
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float

    def box(self, path: str) -> Box | None:
        return next((box for box in self.boxes if box.path == path), None)


# --- what lies in what --------------------------------------------------------------------------------------


@dataclass(eq=False)
class Part:
    """A site, or a module with its parts in order of computation."""

    path: str
    label: str
    sites: tuple[str, ...]
    parts: list[Part] = field(default_factory=list)
    word: str = ""

    @property
    def leaf(self) -> bool:
        return not self.parts

    @property
    def streams(self) -> bool:
        return self.word.startswith("resid") or any(part.streams for part in self.parts)


def module_path(module: str) -> list[str]:
    """ "blocks.0.attn" -> ["blocks.0", "attn"]: a numbered part belongs to its list."""
    steps: list[str] = []
    for name in filter(None, module.split(".")):
        if name.isdigit() and steps:
            steps[-1] += "." + name
        else:
            steps.append(name)
    return steps


def spoken(step: str) -> str:
    """ "blocks.0" -> "block 0" """
    name, _, number = step.rpartition(".")
    return f"{name.removesuffix('s')} {number}" if number.isdigit() else step


def tree(graph: nx.DiGraph) -> Generator[None, None, Part]:
    """The modules of a graph as boxes in boxes; a box in each piece.

    Modules that need each other's values in turn cannot stand one below the other: such a box is left out, its parts
    stay.
    """
    paths = {key: module_path(key.rpartition(".")[0]) for key in graph}
    parts = yield from _parts(graph, paths, list(graph), 0, "")
    return Part("", "", tuple(graph), parts)


def _parts(
    graph: nx.DiGraph, paths: Mapping[str, Sequence[str]], keys: Sequence[str], depth: int, prefix: str
) -> Generator[None, None, list[Part]]:
    inner: dict[str, list[str]] = {}
    for key in keys:
        steps = paths[key]
        inner.setdefault(steps[depth] if len(steps) > depth else f" {key}", []).append(key)
    parts: list[Part] = []
    for step, inside in inner.items():
        word = inside[0].rpartition(".")[2]
        if step.startswith(" "):
            parts.append(Part(inside[0], word, (inside[0],), word=word))
            continue
        label, path = spoken(step), f"{prefix}{step}"
        if len(inside) == 1:
            parts.append(
                Part(inside[0], label if word == "out" else f"{label}.{word}", tuple(inside), word=word)
            )
            continue
        below = yield from _parts(graph, paths, inside, depth + 1, f"{path}.")
        if len(below) == 1:
            only = below[0]
            parts.append(Part(only.path, f"{label}.{only.label}", only.sites, only.parts, only.word))
        else:
            parts.append(Part(path, label, tuple(inside), below))
    yield
    return _without_cycles(graph, keys, parts)


def _without_cycles(graph: nx.DiGraph, keys: Sequence[str], parts: list[Part]) -> list[Part]:
    within = set(keys)
    edges = [(a, b) for a in keys for b in graph.succ[a] if b in within]
    while True:
        owner = {site: n for n, part in enumerate(parts) for site in part.sites}
        between = nx.DiGraph()
        between.add_nodes_from(range(len(parts)))
        between.add_edges_from({(owner[a], owner[b]) for a, b in edges if owner[a] != owner[b]})
        tangled = {n for knot in nx.strongly_connected_components(between) if len(knot) > 1 for n in knot}
        if not tangled:
            return parts
        parts = [
            piece
            for n, part in enumerate(parts)
            for piece in (part.parts if n in tangled and part.parts else [part])
        ]


def constants(graph: nx.DiGraph) -> set[str]:
    """The sites that depend on no input: whatever nothing outside of all modules leads to."""
    inputs = [key for key in graph if "." not in key and graph.in_degree(key) == 0]
    reached = set(inputs).union(*(nx.descendants(graph, key) for key in inputs))
    return set(graph) - reached if inputs else set()


def twins(graph: nx.DiGraph, root: Part) -> dict[str, str]:
    """Numbered modules that have the same sites, axes, shapes and inner edges as an earlier one: path -> its path.

    Nodes need the attributes dims and shape.
    """
    first: dict[tuple[str, object], str] = {}
    found: dict[str, str] = {}
    for part in walk(root):
        family, _, number = part.path.rpartition(".")
        if part.leaf or not number.isdigit():
            continue
        inside = set(part.sites)
        cut = len(part.path) + 1
        nodes = tuple((key[cut:], graph.nodes[key]["dims"], graph.nodes[key]["shape"]) for key in part.sites)
        edges = frozenset((a[cut:], b[cut:]) for a in part.sites for b in graph.successors(a) if b in inside)
        like = first.setdefault((family, (nodes, edges)), part.path)
        if like != part.path:
            found[part.path] = like
    return found


def walk(part: Part) -> Iterator[Part]:
    """A part and all parts in it, outer ones first."""
    yield part
    for inner in part.parts:
        yield from walk(inner)


# --- one box: rows, order, columns --------------------------------------------------------------------------


@dataclass(frozen=True)
class Net:
    """The way of one value inside a box: from a child or ENTRY to children or EXIT, each with its port's offset.

    weight  how much it matters that its line is straight
    """

    source: tuple[int, float]
    targets: tuple[tuple[int, float], ...]
    weight: float
    enters_on_axis: bool = False
    leaves_on_axis: bool = False


@dataclass(frozen=True)
class Room:
    """What one box asks of its layout; equal rooms, such as identical blocks, are laid out once.

    widths  of the children, in order of computation
    title   width of the title, 0 for none
    axis    the children on the residual stream, and where in them it runs
    """

    widths: tuple[float, ...]
    title: float
    axis: tuple[tuple[int, float], ...]
    nets: tuple[Net, ...]


@dataclass(frozen=True)
class Segment:
    """From a slot of one row to a slot of the next, with the offsets of the ports in them."""

    net: int
    upper: Slot
    upper_port: float
    lower: Slot
    lower_port: float
    stream: bool


@dataclass(frozen=True)
class Placed:
    rows: tuple[tuple[Slot, ...], ...]
    segments: tuple[tuple[Segment, ...], ...]
    """Between row i and row i + 1."""
    x: dict[Slot, float]
    width: float


TITLE: Slot = ("title", 0, 0)
ROOMS = 512
"""Layouts of boxes that are remembered; a model has some twenty that differ."""


@lru_cache(maxsize=ROOMS)
def place(room: Room) -> Placed:
    """Rows from top to bottom: the title and the ports, the children, the ports at the bottom."""
    row_of = _rows_of(room)
    last = max(row_of.values(), default=0) + 1
    rows: list[list[Slot]] = [[] for _ in range(last + 1)]
    if room.title:
        rows[0].append(TITLE)
    for child, row in row_of.items():
        rows[row].append(("child", child, 0))
    axis = dict(room.axis)
    pinned = {("child", child, 0): port for child, port in room.axis}
    segments: list[list[Segment]] = [[] for _ in range(last)]

    def on_axis(child: int, port: float) -> bool:
        return child in axis and math.isclose(axis[child], port)

    for n, net in enumerate(room.nets):
        source, port = net.source
        ends = {target: last if target == EXIT else row_of[target] for target, _ in net.targets}
        begins_on_axis = net.enters_on_axis if source == ENTRY else on_axis(source, port)
        stream_until = max(
            (
                ends[target]
                for target, at in net.targets
                if begins_on_axis and (net.leaves_on_axis if target == EXIT else on_axis(target, at))
            ),
            default=0,
        )
        above: Slot = ("child", source, 0)
        top = 0 if source == ENTRY else row_of[source]
        if source == ENTRY:
            above, port = ("lane", n, 0), LANE / 2
            rows[0].append(above)
            if stream_until:
                pinned[above] = port
        for row in range(top + 1, max(ends.values()) + 1):
            for target, at in net.targets:
                if target != EXIT and ends[target] == row:
                    stream = row <= stream_until and on_axis(target, at)
                    segments[row - 1].append(Segment(n, above, port, ("child", target, 0), at, stream))
            if row < max(ends.values()) or EXIT in ends:
                lane: Slot = ("lane", n, row)
                rows[row].append(lane)
                if row <= stream_until:
                    pinned[lane] = LANE / 2
                segments[row - 1].append(Segment(n, above, port, lane, LANE / 2, row <= stream_until))
                above, port = lane, LANE / 2
    rows = _ordered(room, rows, segments, pinned)
    return Placed(
        tuple(map(tuple, rows)), tuple(map(tuple, segments)), *_columns(room, rows, segments, pinned)
    )


def _rows_of(room: Room) -> dict[int, int]:
    """The row of each child: one below the lowest that it needs, the next where a row is full."""
    needs = nx.DiGraph()
    needs.add_nodes_from(range(len(room.widths)))
    fed = {target for net in room.nets if net.source[0] == ENTRY for target, _ in net.targets}
    for net in room.nets:
        if net.source[0] != ENTRY:
            needs.add_edges_from((net.source[0], target) for target, _ in net.targets if target != EXIT)
    row_of: dict[int, int] = {}
    filled: dict[int, float] = {}
    for child in nx.lexicographical_topological_sort(needs):
        row = 1 + max((row_of[above] for above in needs.predecessors(child)), default=0)
        while row in filled and filled[row] + SPACE + room.widths[child] > ROW:
            row += 1
        row_of[child] = row
        filled[row] = filled.get(row, -SPACE) + SPACE + room.widths[child]
    for child in list(row_of):
        # What needs nothing, such as a mask, stands right above what needs it; in a row of its own where that is full.
        if needs.in_degree(child) == 0 and needs.out_degree(child) and child not in fed:
            above = min(row_of[below] for below in needs.successors(child)) - 1
            beside = sum(room.widths[n] + SPACE for n, row in row_of.items() if row == above and n != child)
            if beside + room.widths[child] > ROW:
                above += 1
                row_of = {n: row + (row >= above) for n, row in row_of.items()}
            row_of[child] = above
    return row_of


def _ordered(
    room: Room, rows: list[list[Slot]], segments: list[list[Segment]], pinned: Collection[Slot]
) -> list[list[Slot]]:
    """Each row sorted towards its neighbours, up and down, keeping the order with the fewest crossings."""

    def rank(slot: Slot) -> int:
        return 0 if slot in pinned else 1 if slot == TITLE else 2

    def ends(order: list[list[Slot]], between: int) -> list[tuple[float, float]]:
        """Of each segment below a row, its place among the slots above and below, and between a slot's ports."""
        above, below = ({slot: n for n, slot in enumerate(row)} for row in order[between : between + 2])
        return [
            (
                above[s.upper] + s.upper_port / _width(room, s.upper),
                below[s.lower] + s.lower_port / _width(room, s.lower),
            )
            for s in segments[between]
        ]

    order = [sorted(row, key=rank) for row in rows]
    best, fewest = order, math.inf
    for sweep in range(7):
        crossings = sum(_crossings(ends(order, between)) for between in range(len(segments)))
        if crossings < fewest:
            best, fewest = order, crossings
        order = [list(row) for row in order]
        down = sweep % 2 == 0
        for at in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
            between = at - 1 if down else at
            pull: dict[Slot, list[float]] = {}
            for s, (above, below) in zip(segments[between], ends(order, between), strict=True):
                pull.setdefault(s.lower if down else s.upper, []).append(above if down else below)
            wish = {slot: fmean(pull.get(slot, [n])) for n, slot in enumerate(order[at])}
            order[at] = sorted(order[at], key=lambda slot: (rank(slot), wish[slot]))
    return best


def _crossings(ends: list[tuple[float, float]]) -> int:
    above, below = np.array(ends).reshape(-1, 2).T
    return int(((above[:, None] < above) & (below[:, None] > below)).sum())


def _columns(
    room: Room, rows: list[list[Slot]], segments: list[list[Segment]], pinned: dict[Slot, float]
) -> tuple[dict[Slot, float], float]:
    """The left edge of every slot: near what it is joined to, in order, within the least width; and that width."""
    wide = {slot: _width(room, slot) for row in rows for slot in row}
    axis = max(pinned.values(), default=0.0)
    x: dict[Slot, float] = {}
    free: list[tuple[list[Slot], float]] = []
    width = 0.0
    for row in rows:
        edge = 0.0
        for slot in row:
            if slot in pinned:
                # Two on the axis in one row is unusual: the second stands beside the first.
                x[slot] = max(axis - pinned[slot], edge)
                edge = x[slot] + wide[slot] + SPACE
        rest = [slot for slot in row if slot not in pinned]
        free.append((rest, edge))
        width = max(width, edge - SPACE, edge + sum(wide[slot] + SPACE for slot in rest) - SPACE)
    for rest, edge in free:
        for slot in rest:
            x[slot] = edge
            edge += wide[slot] + SPACE
    for sweep in range(8):
        down = sweep % 2 == 0
        both = sweep >= 6
        for at in range(len(rows)) if down else reversed(range(len(rows))):
            rest, edge = free[at]
            if not rest:
                continue
            pull = {slot: [(x[slot], 0.01)] for slot in rest}
            if TITLE in pull:
                pull[TITLE] = [(edge, 1000.0)]
            if at and (down or both):
                for s in segments[at - 1]:
                    if s.lower in pull:
                        pull[s.lower].append((x[s.upper] + s.upper_port - s.lower_port, _weight(room, s)))
            if at < len(rows) - 1 and (both or not down):
                for s in segments[at]:
                    if s.upper in pull:
                        pull[s.upper].append((x[s.lower] + s.lower_port - s.upper_port, _weight(room, s)))
            weights = [sum(weight for _, weight in pull[slot]) for slot in rest]
            wishes = [
                sum(wish * weight for wish, weight in pull[slot]) / total
                for slot, total in zip(rest, weights, strict=True)
            ]
            spots = spread(wishes, weights, [wide[slot] for slot in rest], edge, width)
            x.update(zip(rest, spots, strict=True))
    return x, width


def _width(room: Room, slot: Slot) -> float:
    kind, number, _ = slot
    return {"title": room.title, "lane": LANE}.get(kind) or room.widths[number]


def _weight(room: Room, segment: Segment) -> float:
    """Straight lanes matter most; the numbers are those of Gansner and others (1993), section 4.2."""
    return (
        room.nets[segment.net].weight
        * (1.0, 2.0, 8.0)[(segment.upper[0] == "lane") + (segment.lower[0] == "lane")]
    )


def spread(
    wishes: Sequence[float], weights: Sequence[float], widths: Sequence[float], low: float, high: float
) -> list[float]:
    """Left edges nearest to the wishes (least squares) that keep order, spacing and the bounds.

    Isotonic regression by pooling adjacent violators (Ayer and others, 1955).
    """
    steps = np.concatenate([[0.0], np.cumsum(np.asarray(widths) + SPACE)])
    pools: list[list[float]] = []
    for wish, weight, step in zip(wishes, weights, steps, strict=False):
        pools.append([wish - step, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value, heavy, count = pools.pop()
            before = pools[-1]
            before[0] = (before[0] * before[1] + value * heavy) / (before[1] + heavy)
            before[1] += heavy
            before[2] += count
    flat = np.repeat([pool[0] for pool in pools], [int(pool[2]) for pool in pools])
    return [float(v) for v in flat.clip(low, max(low, high - (steps[-1] - SPACE))) + steps[:-1]]


# --- the whole ----------------------------------------------------------------------------------------------


@dataclass
class _Way:
    """A net before it is numbered: the value of a site inside one box."""

    source: int
    targets: dict[int, set[str]] = field(default_factory=dict)


class Plan:
    """The layout of a graph but for what is folded.

    graph      nodes are the keys of sites in order of computation
    width_of   the width of a text, in units of one pixel at 100 %
    in_pieces  whether `making` is left to be gone through; there is nothing before
    """

    def __init__(
        self, graph: nx.DiGraph, width_of: Callable[[str], float], *, in_pieces: bool = False
    ) -> None:
        self.graph = graph
        self._width_of = width_of
        self._chain: dict[str, list[Part]] = {}
        self._placed: dict[Part, Placed] = {}
        self._nets: dict[Part, list[str]] = {}
        self._axis: dict[Part, tuple[tuple[int, float], ...]] = {}
        if not in_pieces:
            for _ in self.making():
                pass

    def making(self) -> Iterator[None]:
        """Lay the graph out in small pieces: of a deep model it takes longer than a key may wait."""
        self.root = yield from tree(self.graph)
        self.constants = constants(self.graph)
        yield
        boxes = [part for part in walk(self.root) if not part.leaf]
        self._ways: dict[Part, dict[str, _Way]] = {box: {} for box in boxes}
        yield from self._find_ways()
        for box in reversed(boxes):  # the inner ones first
            spine = self._spine(box)
            yield
            self._place(box, spine)
            yield

    @property
    def groups(self) -> list[Part]:
        """Every module that can be folded, outer ones first."""
        return [part for part in walk(self.root) if part.parts and part is not self.root]

    def seen(self, site: str, folded: Collection[str]) -> str:
        """The path of the box that stands for a site: its own, or that of the outermost folded module around it."""
        for part in self._chain[site]:
            if part.path in folded:
                return part.path
        return site

    def layout(self, folded: Collection[str]) -> Layout:
        """Boxes and lines in absolute places, outer boxes first; what is folded shows nothing inside."""
        boxes: list[Box] = []
        lines: list[Line] = []
        height = self._draw(self.root, 0.0, 0.0, folded, boxes, lines)
        return Layout(tuple(boxes), tuple(lines), self._width(self.root), height)

    # What leads where

    def _find_ways(self) -> Iterator[None]:
        number: dict[Part, int] = {}

        def descend(part: Part, chain: list[Part]) -> None:
            for n, inner in enumerate(part.parts):
                number[inner] = n
                descend(inner, [*chain, part])
            if part.leaf:
                self._chain[part.path] = [*chain, part]

        descend(self.root, [])
        for a in self.graph:
            for b in self.graph.successors(a):
                out, into = self._chain[a], self._chain[b]
                shared = next(
                    n for n, (one, other) in enumerate(zip(out, into, strict=False)) if one is not other
                )
                self._way(out[shared - 1], a, number[out[shared]], number[into[shared]], b)
                for box, inner in pairwise(out[shared:]):
                    self._way(box, a, number[inner], EXIT, b)
                for box, inner in pairwise(into[shared:]):
                    self._way(box, a, ENTRY, number[inner], b)
            yield

    def _way(self, box: Part, value: str, source: int, target: int, site: str) -> None:
        way = self._ways[box].setdefault(value, _Way(source))
        way.targets.setdefault(target, set()).add(site)

    # Rows and columns of every box, from the inside out

    def _place(self, box: Part, spine: Sequence[int]) -> None:
        ways = self._ways[box]
        values = list(ways)
        enters = next(
            (
                v
                for v in values
                if spine
                and ways[v].source == ENTRY
                and spine[0] in ways[v].targets
                and v not in self.constants
            ),
            None,
        )
        leaves = next(
            (v for v in values if spine and ways[v].source == spine[-1] and EXIT in ways[v].targets), None
        )
        axis = tuple((n, self._axis_in(box.parts[n])) for n in spine)
        nets = tuple(
            Net(
                (
                    way.source,
                    0.0 if way.source == ENTRY else self._port(box.parts[way.source], value, leaving=True),
                ),
                tuple(
                    (target, 0.0 if target == EXIT else self._port(box.parts[target], value, leaving=False))
                    for target in way.targets
                ),
                0.2 if value in self.constants else 1.0,
                value == enters,
                value == leaves,
            )
            for value, way in ways.items()
        )
        title = 0.0 if box is self.root else self._width_of(box.label) + HEAD
        widths = tuple(self._width(part) for part in box.parts)
        self._nets[box], self._axis[box] = values, axis
        self._placed[box] = place(Room(widths, title, axis, nets))

    def _spine(self, box: Part) -> list[int]:
        """The children on the residual stream: what carries it, and what no edge between others jumps over."""
        if not box.streams:
            return []
        within = nx.DiGraph()
        moving = [n for n, part in enumerate(box.parts) if not self.constants.issuperset(part.sites)]
        within.add_nodes_from(moving)
        for way in self._ways[box].values():
            if way.source in within:
                within.add_edges_from((way.source, target) for target in way.targets if target in within)
        order = list(nx.lexicographical_topological_sort(within))
        after: dict[int, set[int]] = {}
        before: dict[int, set[int]] = {}
        for reach, beside, walked in ((after, within.succ, reversed(order)), (before, within.pred, order)):
            for n in walked:
                reach[n] = set(beside[n]).union(*(reach[other] for other in beside[n]))

        def passed(n: int) -> bool:
            everything = len(after[n]) + len(before[n]) + 1 == len(moving)
            return everything and not any(a in before[n] and b in after[n] for a, b in within.edges)

        return [n for n in order if box.parts[n].streams or passed(n)]

    def _width(self, part: Part) -> float:
        if part.leaf:
            return max(NARROW, self._width_of(part.label) + 2 * PAD)
        return self._placed[part].width + (0 if part is self.root else 2 * PAD)

    def _axis_in(self, part: Part) -> float:
        """Where in a part's box the stream runs: its middle, or its own axis."""
        if part.leaf or not self._axis[part]:
            return self._width(part) / 2
        child, port = self._axis[part][0]
        return PAD + self._placed[part].x["child", child, 0] + port

    def _port(self, part: Part, value: str, leaving: bool) -> float:
        """Where a value enters or leaves a part's box, from its left edge."""
        if part.leaf:
            return self._width(part) / 2
        placed = self._placed[part]
        row = len(placed.rows) - 1 if leaving else 0
        return PAD + placed.x["lane", self._nets[part].index(value), row] + LANE / 2

    # Heights

    def _height(self, part: Part, folded: Collection[str]) -> float:
        if part.leaf:
            return LEAF
        if part.path in folded and part is not self.root:
            return HEAD + 2
        heights = [self._row_height(part, row, folded) for row in self._placed[part].rows[1:-1]]
        return self._top(part) + sum(heights) + GAP * len(heights)

    def _row_height(self, part: Part, row: Sequence[Slot], folded: Collection[str]) -> float:
        return max(
            (self._height(part.parts[n], folded) for kind, n, _ in row if kind == "child"), default=0.0
        )

    def _top(self, part: Part) -> float:
        """How far below the top edge the first row begins."""
        return 0.0 if part is self.root else HEAD + GAP / 2

    def _draw(
        self, part: Part, x: float, y: float, folded: Collection[str], boxes: list[Box], lines: list[Line]
    ) -> float:
        """Append what a part shows at (x, y); returns its height."""
        height = self._height(part, folded)
        width = self._width(part)
        if part.leaf:
            boxes.append(Box(part.path, "site", part.label, x, y, width, height, sites=part.sites))
            return height
        placed = self._placed[part]
        left = x
        if part is not self.root:
            left += PAD
            kind = "folded" if part.path in folded else "open"
            boxes.append(
                Box(part.path, kind, part.label, x, y, width, height, left + placed.x[TITLE], part.sites)
            )
            if kind == "folded":
                return height
        tops = [y]
        bottoms = [y]
        below = y + self._top(part)
        for row in placed.rows[1:-1]:
            tops.append(below)
            bottoms.append(below + self._row_height(part, row, folded))
            below = bottoms[-1] + GAP
        tops.append(y + height)
        bottoms[0] = tops[1] - GAP / 2 if part is not self.root and len(tops) > 1 else y
        ends: dict[Slot, float] = {}
        for row, top in zip(placed.rows, tops, strict=True):
            for slot in row:
                kind, n, _ = slot
                if kind == "child":
                    inside = self._draw(part.parts[n], left + placed.x[slot], top, folded, boxes, lines)
                    ends[slot] = top + inside
                else:
                    ends[slot] = top
        for row_at, pairs in enumerate(placed.segments):
            for s in pairs:
                value = self._nets[part][s.net]
                kind, n, _ = s.lower
                lines.append(
                    Line(
                        value,
                        frozenset(self._reached(part, value, s, row_at + 1)),
                        left + placed.x[s.upper] + s.upper_port,
                        ends[s.upper],
                        bottoms[row_at],
                        left + placed.x[s.lower] + s.lower_port,
                        tops[row_at + 1],
                        kind == "child" and (part.parts[n].leaf or part.parts[n].path in folded),
                        s.stream,
                    )
                )
        return height

    def _reached(self, part: Part, value: str, segment: Segment, row: int) -> Iterator[str]:
        """The sites that a segment's value is on its way to."""
        targets = self._ways[part][value].targets
        kind, n, _ = segment.lower
        if kind == "child":
            yield from targets[n]
            return
        rows = self._placed[part].rows
        further = {m for below in rows[row + 1 :] for at, m, _ in below if at == "child"}
        for target, sites in targets.items():
            if target == EXIT or target in further:
                yield from sites


def free_spans(layout: Layout, shared: bool) -> dict[str, tuple[float, float]]:
    """From where to where the gap below each leaf is free of other boxes.

    `shared`: within the modules around it, and up to halfway to the leaf beside it.
    """
    places = np.array([(box.x, box.right, box.y, box.bottom) for box in layout.boxes]).reshape(-1, 4)
    left, right, top, bottom = places.T
    leaf = np.array([box.kind == "site" for box in layout.boxes], bool)
    spans: dict[str, tuple[float, float]] = {}
    for box in (box for box in layout.boxes if box.kind == "site"):
        middle, end = (box.x + box.right) / 2, box.bottom + GAP
        around = (left <= box.x) & (right >= box.right) & (top < box.y) & (bottom >= box.bottom)
        beside = (top < end - 0.5) & (bottom > box.bottom + 0.5) & ~around
        low = right[beside & (right <= middle)].max(initial=0.0)
        high = left[beside & (left >= middle)].min(initial=layout.width)
        if shared:
            row = leaf & (np.abs(bottom - box.bottom) < GAP) & (left != box.x)
            low = max(low, left[around].max(initial=0.0))
            low = max(low, (right[row & (right <= middle)].max(initial=-np.inf) + box.x) / 2)
            high = min(high, right[around].min(initial=layout.width))
            high = min(high, (left[row & (left >= middle)].min(initial=np.inf) + box.right) / 2)
        spans[box.path] = (float(low), float(high))
    return spans
