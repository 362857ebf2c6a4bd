"""A laid-out graph: boxes and lines in absolute places, in units of one pixel at 100 %."""

from dataclasses import dataclass

LEAF = 21.0
"""Height of a leaf."""
HEAD = 19.0
"""Height of a box's title line."""
GAP = 16.0
"""Between two rows: a line of text fits."""


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

    @property
    def front(self) -> float:
        """The height of what lies before the boxes inside: of an open module its title line."""
        return HEAD if self.kind == "open" else self.height

    def lies_in(self, outer: "Box") -> bool:
        return (
            outer is not self
            and outer.x <= self.x
            and outer.y <= self.y
            and outer.right >= self.right
            and outer.bottom >= self.bottom
        )


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
