"""A run keeps little and can show everything: each block's input is kept, the rest is computed again when asked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn

from model_core.api.edits import Edit
from model_core.api.errors import InputError
from model_core.api.names import Site
from model_core.parts.model import Model
from model_core.runs.edited import ReadSite, no_files, prepare
from model_core.runs.graph import dry_run, measured, texts_of, without_values
from model_core.taps.tap import Stage, record
from model_core.taps.trace import Trace

REPLAY_BYTES = 256 << 20

Call = tuple[tuple[Any, ...], dict[str, Any]]


class Run:
    """One forward pass: model, texts and edits, with every value of every site at hand.

    inputs  the tokens of each text that the model reads; of an encoder-decoder source and target
    tokens  the last of them, which the logits are about

    The pass itself uses the fused attention and keeps what lies outside the blocks (embedding, logits, ...) and each
    block's input. `value` replays the block that a site belongs to, by the same forward, edits and cache, with all
    its taps on; replayed blocks stay within `REPLAY_BYTES`.
    """

    def __init__(
        self,
        model: Model,
        tokens: Sequence[int],
        edits: Sequence[Edit] = (),
        *,
        target: Sequence[int] = (),
        read_site: ReadSite = no_files,
        cancelled: Callable[[], bool] = lambda: False,
        visited: Callable[[str], None] = lambda key: None,
    ) -> None:
        """target     what the decoder of an encoder-decoder reads; the prompt as well where it is empty
        read_site  gives what edits refer to, of a file and a key
        """
        if not tokens:
            raise InputError("the prompt is empty: type some text")
        self.tensors = prepare(model, edits, read_site)
        self.model = model
        self.inputs = [list(tokens), list(target or tokens)][: len(model.inputs)]
        self.tokens = self.inputs[-1]
        self.edits = tuple(edits)
        self.stages = {path: module for path, module in model.named_modules() if isinstance(module, Stage)}
        self.replays: OrderedDict[str, Trace] = OrderedDict()
        device = next(model.parameters()).device
        with (
            torch.inference_mode(),
            calls_of(self.stages) as self.calls,
            record(
                model, self.keeps, edits, cancelled=cancelled, visited=visited, tensors=self.tensors
            ) as self.trace,
        ):
            model(*(torch.tensor([text], device=device) for text in self.inputs))

    def keeps(self, key: str) -> bool:
        return key.endswith(".resid_pre") or self.stage_of(key) is None

    def stage_of(self, key: str) -> str | None:
        """The path of the stage that computes a site, None for what lies outside."""
        return next((path for path in self.stages if key.startswith(path + ".")), None)

    def value(self, key: str, cancelled: Callable[[], bool] = lambda: False) -> Tensor:
        """The tensor at a site. InputError where the model has no such site."""
        if key in self.trace:
            return self.trace[key]
        stage = self.stage_of(key)
        if stage is None or key not in (trace := self.replay(stage, cancelled)):
            raise InputError(f"there is no site '{key}' in this model")
        return trace[key]

    def replay(self, stage: str, cancelled: Callable[[], bool] = lambda: False) -> Trace:
        """Every value of one stage, computed again from its stored input."""
        if stage not in self.replays:
            args, kwargs = self.calls[stage]
            module = self.stages[stage]
            with (
                torch.inference_mode(),
                record(
                    module, ["*"], self.edits, cancelled=cancelled, root=stage, tensors=self.tensors
                ) as trace,
            ):
                module(*args, **kwargs)
            self.replays[stage] = trace
            while len(self.replays) > 1 and self._replayed_bytes > REPLAY_BYTES:
                self.replays.popitem(last=False)
        self.replays.move_to_end(stage)
        return self.replays[stage]

    @property
    def _replayed_bytes(self) -> int:
        return sum(trace.nbytes for trace in self.replays.values())

    @property
    def nbytes(self) -> int:
        """Bytes held by the pass and by the blocks that were replayed."""
        return self.trace.nbytes + self._replayed_bytes

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Every site that has a value, with its shape in this run, in order of computation."""
        return {site.key: site for site in self.steps if site.key not in self.model.inputs}

    @cached_property
    def steps(self) -> list[Site]:
        """The nodes of the graph as they are in this run: the texts, and every site in order of computation."""
        lengths = {n: len(text) for n, text in enumerate(self.inputs, 1)}
        return [site.at_lengths(lengths) for _, site in self.graph.nodes(data="site")]

    def texts(self, key: str) -> dict[str, int]:
        """Which of the inputs the axes T and S of a site (or of an input) run along."""
        site: Site = self.graph.nodes[key]["site"]
        sizes = zip(site.dims.split(), site.shape, strict=True)
        return {letter: size - 1 for letter, size in sizes if letter in "TS"}

    @property
    def graph(self) -> nx.DiGraph:
        """The measured graph; shapes of its nodes are those of `measured`."""
        return measured(self.model)

    @property
    def logits(self) -> Tensor:
        """[T V], of the whole prompt"""
        return self.trace["logits"][0]


@contextmanager
def calls_of(stages: dict[str, Stage]) -> Iterator[dict[str, Call]]:
    """The arguments with which each stage is called inside the block, by path."""
    calls: dict[str, Call] = {}

    def note(path: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        return lambda module, args, kwargs: calls.__setitem__(path, (args, kwargs))

    with ExitStack() as hooks:
        for path, stage in stages.items():
            hooks.callback(stage.register_forward_pre_hook(note(path), with_kwargs=True).remove)
        yield calls


def sites(model: Model, *lengths: int) -> list[Site]:
    """Every site with its shape for texts of these lengths, in order; a dry run without weights or compute."""
    with torch.inference_mode(), record(model, ["*"]) as trace:
        dry_run(model, texts_of(model, lengths), without_values(model))
    return list(trace.sites.values())
