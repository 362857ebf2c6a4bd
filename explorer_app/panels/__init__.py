"""The panels: one file or one folder each, under `@panel`, found by looking. None imports another."""

import importlib
import pkgutil

from explorer_app.panel.registry import PANELS, Registered


def load_panels() -> list[Registered]:
    """Every panel, by area and order."""
    for _, name, _ in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{name}")
    return sorted(PANELS.values(), key=lambda p: (p.area, p.order))
