"""One box on its own: what stands in which row, in which order, and at which place across.

Rows by longest path (Sugiyama, Tagawa and Toda, 1981), the order in them by the fewest crossings, the columns by least
squares. It knows numbers and widths, no names.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from explorer_app.graph.lazy import lazy

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy("networkx")

SPACE = 6.0
"""Between two neighbours in a row."""
LANE = 2.0
ROW = 170.0
"""A row that is wider than this goes on in the next."""

ENTRY, EXIT = -1, -2
Slot = tuple[str, int, int]
"""What stands in a row: ("title", 0, 0), ("child", number, 0), or the lane of a net in a row ("lane", net, row)."""


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
