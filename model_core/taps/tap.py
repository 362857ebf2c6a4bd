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
from typing import Any

from torch import Tensor, nn

from model_core.api.edits import At, Edit, Told
from model_core.api.errors import Cancelled, InputError
from model_core.api.names import AXES, Site, matcher
from model_core.taps.trace import Trace

NOTHING_TOLD = Told()


class Tapped(nn.Module):
    """A module whose inner values have names. A module shared by several layers must not tap: its caller does."""

    def tap(self, word: str, value: Tensor, dims: str, keys_from: int = 0) -> Tensor:
        """The value, unchanged unless a recorder edits it. `dims` has one axis letter for each dimension.

        keys_from  the position of the first key on an axis S
        """
        recorder = _recorder.get()
        return value if recorder is None else recorder.visit(self, word, value, dims, keys_from)

    def queries_from(self, position: int) -> None:
        """From here on the axis T begins at this position of its text."""
        if (recorder := _recorder.get()) is not None:
            recorder.queries_from = position

    def watched(self, *words: str) -> bool:
        """True where somebody keeps or edits one of these words here, so that a fused kernel may not hide them."""
        recorder = _recorder.get()
        return recorder is not None and any(recorder.watches(self, word) for word in words)

    def edited(self, *words: str) -> bool:
        """True where somebody edits one of these words here."""
        recorder = _recorder.get()
        return recorder is not None and any(recorder.changes(recorder.key(self, word)) for word in words)


class Part(Tapped):
    """A part that can be called again on its own: whoever records is told how it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = _recorder.get()
        compute = super().__call__
        return compute(*args, **kwargs) if recorder is None else recorder.call(self, compute, args, kwargs)


class Stage(Part):
    """A part whose call a run remembers; all its taps come on in a replay."""


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
        told: Told = NOTHING_TOLD,
    ) -> None:
        prefix = root + "." if root else ""
        self.paths = {module: prefix + name if name else root for name, module in model.named_modules()}
        self.trace = Trace()
        self.keeps = keep if callable(keep) else matcher(keep)
        self.edits = [(matcher(edit.sites), edit) for edit in edits]
        self.read = {key for edit in edits for key in edit.reads}
        self.told = told
        self.queries_from = told.queries_from
        self.values: dict[str, Tensor] = {}
        self.cancelled = cancelled
        self.visited = visited

    def call(
        self, part: Part, compute: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        """What a part gives, which `compute` computes."""
        return compute(*args, **kwargs)

    def key(self, module: nn.Module, word: str) -> str:
        path = self.paths[module]
        return f"{path}.{word}" if path else word

    def watches(self, module: nn.Module, word: str) -> bool:
        key = self.key(module, word)
        return self.keeps(key) or self.changes(key)

    def changes(self, key: str) -> bool:
        return any(matches(key) for matches, _ in self.edits)

    def visit(self, module: nn.Module, word: str, value: Tensor, dims: str, keys_from: int = 0) -> Tensor:
        if self.cancelled():
            raise Cancelled
        key = self.key(module, word)
        letters = dims.split()
        if len(letters) != value.ndim or any(letter not in AXES for letter in letters):
            raise AssertionError(f"{key}: axes '{dims}' do not describe shape {tuple(value.shape)}")
        site = Site(key, dims, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for matches, edit in self.edits:
            if matches(key):
                value = self.edited(edit, value, site, keys_from)
        self.trace.sites[key] = site
        if key in self.read:
            self.values[key] = value
        if self.keeps(key):
            self.trace.values[key] = value
        self.visited(key)
        return value

    def edited(self, edit: Edit, value: Tensor, site: Site, keys_from: int) -> Tensor:
        """What an edit makes of a value. InputError, which begins with the edit, where it has no place here."""
        sizes = dict(zip(site.dims.split(), site.shape, strict=True))
        queries = range(self.queries_from, self.queries_from + sizes.get("T", 0))
        keys = range(keys_from, keys_from + sizes.get("S", 0))
        try:
            return edit.apply(value, site, At(queries, keys, self.values, self.told))
        except InputError as error:
            raise InputError(f"{edit}: {error}") from None


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
    told: Told = NOTHING_TOLD,
) -> Iterator[Trace]:
    """Record the forward passes of `model` inside the block; nothing is left on the model afterwards.

    keep       globs of the keys whose values are kept ("*.resid_pre", "blocks.3.attn.*"), or a predicate
    edits      applied at their sites, in order, before the value is kept
    cancelled  asked at every tap; True raises Cancelled there
    visited    told every key in the order of computation (progress)
    root       path of `model` in the model that it is part of ("blocks.3")
    told       what edits are told beside the values
    """
    with using(Recorder(model, keep, edits, cancelled, visited, root, told)) as trace:
        yield trace


@contextmanager
def using(recorder: Recorder) -> Iterator[Trace]:
    """Make `recorder` the one that taps report to, for this thread and this block only."""
    token = _recorder.set(recorder)
    try:
        yield recorder.trace
    finally:
        _recorder.reset(token)
