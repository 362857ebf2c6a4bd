"""The register of panels: what the window is told of each."""

from collections.abc import Callable
from dataclasses import dataclass

from explorer_app.panel.base import Panel


@dataclass(frozen=True)
class Registered:
    """area: "left", "centre" (tabs), "right" or "bottom"; order: place within it."""

    name: str
    title: str
    area: str
    order: int
    build: type[Panel]


PANELS: dict[str, Registered] = {}


def panel(name: str, title: str, *, area: str, order: int) -> Callable[[type[Panel]], type[Panel]]:
    """Register a Panel class under a name."""

    def registered(cls: type[Panel]) -> type[Panel]:
        PANELS[name] = Registered(name, title, area, order, cls)
        return cls

    return registered
