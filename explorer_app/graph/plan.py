"""Where the boxes and lines of a model graph go: pure numbers, no Qt.

    plan = Plan(graph, width_of)               order, rows and columns, once a model
    plan.layout(folded={"blocks.1", ...})      boxes and lines; folding changes heights only

Sites are leaves, their modules are boxes around them. Each box is laid out on its own, in rows by longest path
(Sugiyama, Tagawa and Toda, 1981): a line enters through a port in the box's top edge, leaves through one in its bottom
edge, and runs past other rows in a lane of its own, so that it crosses no leaf. A box that carries a residual stream
(a site whose word begins with "resid") has it as a straight axis at the left; what branches off stands at its right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from explorer_app.graph.layered import ENTRY, EXIT, LANE, TITLE, Net, Placed, Room, Segment, Slot, place
from explorer_app.graph.layout import GAP, HEAD, LEAF, Box, Layout, Line
from explorer_app.graph.lazy import lazy
from explorer_app.graph.tree import Part, constants, tree, walk

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy("networkx")

PAD = 6.0
NARROW = 40.0
"""The least width of a leaf."""


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
