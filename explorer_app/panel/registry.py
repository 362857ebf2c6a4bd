"""The register of panels: what the window is told of each."""

from collections.abc import Callable
from dataclasses import dataclass

from explorer_app.panel.base import Panel


@dataclass(frozen=True)
class Registered:
    """What the window knows of a panel.

    area    "left", "centre" (tabs), "right" or "bottom"
    order   its place within that
    height  its share of the height at a side, beside the shares of the others there
    """

    name: str
    title: str
    area: str
    order: int
    build: type[Panel]
    height: int


PANELS: dict[str, Registered] = {}


def panel(
    name: str, title: str, *, area: str, order: int, height: int = 20
) -> Callable[[type[Panel]], type[Panel]]:
    """Register a Panel class under a name."""

    def registered(cls: type[Panel]) -> type[Panel]:
        PANELS[name] = Registered(name, title, area, order, cls, height)
        return cls

    return registered
