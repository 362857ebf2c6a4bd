"""The families: one file each: what it is, how it is built, where its weights lie. Importing this registers all."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
