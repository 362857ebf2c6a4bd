"""Edits are values: each says in words what it changes, names the sites, and changes them at their taps.

One file a kind, which registers itself; importing this registers all. Layers, heads and positions count from 0,
positions with what was put in front of the text (BOS). Of a model with several kinds of attention, their name stands
before the layer: ablate cross L3H5, mask off decoder. Edits of a run are made in their order. No torch here: the window
reads and writes the same words, and tensors are changed by their own methods.
"""

import importlib
import pkgutil

from model_core.api.edits.ablate import AblateHead
from model_core.api.edits.edit import At, Edit, Told, beyond
from model_core.api.edits.mask_off import MaskOff
from model_core.api.edits.registry import KINDS, check, from_json, misfit, parse, toggled

__all__ = [
    "KINDS",
    "AblateHead",
    "At",
    "Edit",
    "MaskOff",
    "Told",
    "beyond",
    "check",
    "from_json",
    "misfit",
    "parse",
    "toggled",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
