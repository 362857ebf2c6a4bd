"""Taps: how a value inside a forward pass is seen, kept and edited. This is the whole mechanism.

A model says what it computes where it computes it; `tap` stands where a shape comment would:

    q = self.tap("q", self.split(self.q(x)), "B H T D")

Nobody records: a tap returns its value, about 0.1 µs. Somebody records: the tap names the site (module path plus
the word), checks the axis letters, applies the edits of that site, keeps the value if it was asked for, and is
the point where a cancelled run stops.

One legend of axis letters serves the whole project:

    B batch            T query position   S key position     C width (residual stream)
    H query heads      G key/value heads  D head width       P rotary pairs (D/2)
    F hidden (MLP)     V vocabulary
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor, nn

from model_core.api.errors import Cancelled
from model_core.api.names import AXES, Site, matcher
from model_core.taps.trace import Trace


class Edit(Protocol):
    """A change of one kind of site: which (a glob over keys) and what happens to the value there."""

    @property
    def sites(self) -> str: ...

    def apply(self, value: Tensor, dims: str) -> Tensor: ...


class Tapped(nn.Module):
    """A module whose inner values have names. A module shared by several layers must not tap: its caller does."""

    def tap(self, word: str, value: Tensor, dims: str) -> Tensor:
        """The value, unchanged unless a recorder edits it. `dims` has one axis letter for each dimension."""
        recorder = _recorder.get()
        return value if recorder is None else recorder.visit(self, word, value, dims)

    def watched(self, *words: str) -> bool:
        """True where somebody keeps or edits one of these words here, so that a fused kernel may not hide them."""
        recorder = _recorder.get()
        return recorder is not None and any(recorder.watches(self, word) for word in words)


class Stage(Tapped):
    """A part that a run can call again on its own: its call is remembered, and all its taps come on in a replay."""


class Recorder:
    """What one `record` block sees. `visit` is called by every tap of the model, in the order of the forward pass."""

    def __init__(
        self,
        model: nn.Module,
        keep: Iterable[str] | Callable[[str], bool],
        edits: Sequence[Edit],
        cancelled: Callable[[], bool],
        visited: Callable[[str], None],
        root: str,
    ) -> None:
        prefix = root + "." if root else ""
        self.paths = {module: prefix + name if name else root for name, module in model.named_modules()}
        self.trace = Trace()
        self.keeps = keep if callable(keep) else matcher(keep)
        self.edits = [(matcher([edit.sites]), edit) for edit in edits]
        self.cancelled = cancelled
        self.visited = visited

    def key(self, module: nn.Module, word: str) -> str:
        path = self.paths[module]
        return f"{path}.{word}" if path else word

    def watches(self, module: nn.Module, word: str) -> bool:
        key = self.key(module, word)
        return self.keeps(key) or any(matches(key) for matches, _ in self.edits)

    def visit(self, module: nn.Module, word: str, value: Tensor, dims: str) -> Tensor:
        if self.cancelled():
            raise Cancelled
        key = self.key(module, word)
        letters = dims.split()
        if len(letters) != value.ndim or any(letter not in AXES for letter in letters):
            raise AssertionError(f"{key}: axes '{dims}' do not describe shape {tuple(value.shape)}")
        for matches, edit in self.edits:
            if matches(key):
                value = edit.apply(value, dims)
        self.trace.sites[key] = Site(key, dims, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        if self.keeps(key):
            self.trace.values[key] = value
        self.visited(key)
        return value


_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def record(
    model: nn.Module,
    keep: Iterable[str] | Callable[[str], bool] = ("*",),
    edits: Sequence[Edit] = (),
    *,
    cancelled: Callable[[], bool] = lambda: False,
    visited: Callable[[str], None] = lambda key: None,
    root: str = "",
) -> Iterator[Trace]:
    """Record the forward passes of `model` inside the block; nothing is left on the model afterwards.

    keep       globs of the keys whose values are kept ("*.resid_pre", "blocks.3.attn.*"), or a predicate
    edits      applied at their sites, in order, before the value is kept
    cancelled  asked at every tap; True raises Cancelled there
    visited    told every key in the order of computation (progress)
    root       path of `model` in the model that it is part of ("blocks.3")
    """
    with using(Recorder(model, keep, edits, cancelled, visited, root)) as trace:
        yield trace


@contextmanager
def using(recorder: Recorder) -> Iterator[Trace]:
    """Make `recorder` the one that taps report to, for this thread and this block only."""
    token = _recorder.set(recorder)
    try:
        yield recorder.trace
    finally:
        _recorder.reset(token)
