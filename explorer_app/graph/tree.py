"""What lies in what: the sites of a graph as leaves, their modules as boxes around them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from explorer_app.graph.lazy import lazy

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy("networkx")


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
