"""The commands, one file each, which registers itself: importing this registers all of them. None loads torch yet."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
