"""Modules that load when they are first used: what is slow to import must not keep the window from the screen."""

import importlib.util
import sys
from threading import Thread
from types import ModuleType


def lazy(name: str) -> ModuleType:
    """The module, loaded at the first look at one of its attributes (importlib's own recipe)."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


_loading: dict[str, Thread] = {}


def loaded(name: str) -> bool:
    """Whether a lazy module is there. Where it is not, a thread loads it, and the event loop goes on meanwhile.

    Nothing else may look at the module before this is true.
    """
    if name not in _loading:
        _loading[name] = Thread(target=getattr, args=(sys.modules[name], "__doc__"), name=f"load {name}")
        _loading[name].start()
    return not _loading[name].is_alive()
