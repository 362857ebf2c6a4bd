"""A run keeps little and can show everything: each block's input is kept, the rest is computed again when asked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from model_core.api.edits import Edit, Told, beyond
from model_core.api.errors import InputError
from model_core.api.names import Site
from model_core.parts.attention import Attention
from model_core.parts.cache import LayerCache
from model_core.parts.model import Model
from model_core.runs.edited import ReadSite, no_files, prepare
from model_core.runs.graph import dry_run, measured, texts_of, without_values
from model_core.runs.past import Past
from model_core.runs.stages import Call, CallRecorder, Changes, Enough, ReplayRecorder, StageRecorder
from model_core.taps.tap import Recorder, Stage, record, using
from model_core.taps.trace import Trace

REPLAY_BYTES = 256 << 20


class Run:
    """One forward pass: model, texts and edits, with every value of every site at hand.

    inputs  the tokens of each text that the model reads; of an encoder-decoder source and target
    tokens  the last of them, which the logits are about
    start   how many positions of the last text were read before

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
        parent: "Run | None" = None,
        past: Past | None = None,
        read_site: ReadSite = no_files,
        cancelled: Callable[[], bool] = lambda: False,
        visited: Callable[[str], None] = lambda key: None,
    ) -> None:
        """target     what the decoder of an encoder-decoder reads; the prompt as well where it is empty
        parent     a run of the same texts after the same past: what the edits of both leave alike is taken from it
        past       what the last text goes on after
        read_site  gives what edits refer to, of a file and a key
        """
        if not tokens:
            raise InputError("the prompt is empty: type some text")
        self.model = model
        self.inputs = [list(tokens), list(target or tokens)][: len(model.inputs)]
        self.tokens = self.inputs[-1]
        self.edits = tuple(edits)
        self.past = past
        self.start = 0 if past is None else past.length
        self.changes = Changes(self.edits, prepare(model, edits, read_site, cached=past is not None))
        self.stages = {path: module for path, module in model.named_modules() if isinstance(module, Stage)}
        self.replays: OrderedDict[str, Trace] = OrderedDict()
        self.calls: dict[str, Call] = {}
        given: dict[str, Call] = {}
        if past is not None:
            past.check(edits)
            if past.calls:
                assert past.others == self.inputs[:-1], "a past of other texts"
                given = {path: past.calls[path] for path in self.like(past.changes) if path in past.calls}
            self.cache = past.cache.after(self.start, len(self.tokens))
        if parent is not None:
            alike = parent.model is model and parent.inputs == self.inputs and parent.past is past
            assert alike, "a parent of another model or other texts"
            given |= {path: parent.calls[path] for path in self.like(parent.changes)}
            self.replays |= {path: trace for path, trace in parent.replays.items() if path in given}
            self.take_cache(given)
        told = Told(self.changes.tensors, growing=past is not None)
        recorder = StageRecorder(model, self.keeps, edits, cancelled, visited, "", told, given=given)
        device = next(model.parameters()).device
        with torch.inference_mode(), using(recorder) as self.trace:
            ids = [torch.tensor([text], device=device) for text in self.inputs]
            model(*ids) if past is None else model(*ids, cache=self.cache)
        self.calls = recorder.calls

    def take_cache(self, given: dict[str, Call]) -> None:
        """What the stages that are not computed have written into their cache is in that of this run as well."""
        for path, call in given.items():
            if call.cache is not None:
                layer, end = int(path.rpartition(".")[2]), self.start + len(self.tokens)
                self.cache.keys[layer, :, :, self.start : end] = call.cache.keys[:, :, self.start : end]
                self.cache.values[layer, :, :, self.start : end] = call.cache.values[:, :, self.start : end]

    def like(self, other: Changes) -> list[str]:
        """The stages of which the edits make what another run's make, and all before them as well."""
        keys = list(self.graph)
        first = self.changes.first_unlike(other, keys)
        unlike = set(map(self.stage_of, keys[first:]))
        return [path for path in self.stages if path not in unlike]

    def after(self) -> Past:
        """The past of a run that goes on after this one, which has one itself."""
        assert self.past is not None, "a run without a cache"
        others = {key for key in self.calls if self.calls[key].cache is None}
        return Past(
            self.cache,
            self.start + len(self.tokens),
            self.inputs[:-1],
            {path: self.calls[path] for path in others},
            self.changes,
        )

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
        if stage is None or key not in (trace := self.replay(stage, cancelled, key)):
            raise InputError(f"there is no site '{key}' in this model")
        return trace[key]

    def replay(
        self, stage: str, cancelled: Callable[[], bool] = lambda: False, key: str | None = None
    ) -> Trace:
        """The values of one stage, computed again from its stored input.

        key  what is wanted of them; of an attention's, nothing is computed that comes after it
        """
        last = key and self.end_of(stage, key)
        wanted = last or f"{stage}.resid_post"
        if stage not in self.replays or wanted not in self.replays[stage]:
            had = self.replays.get(stage, Trace())
            recorder = ReplayRecorder(*self.about(stage, ["*"], cancelled), last=last, had=had)
            self.again(stage, recorder)
            self.replays[stage] = recorder.trace
            while len(self.replays) > 1 and self._replayed_bytes > REPLAY_BYTES:
                self.replays.popitem(last=False)
        self.replays.move_to_end(stage)
        return self.replays[stage]

    def head(self, attention: str, head: int, cancelled: Callable[[], bool] = lambda: False) -> Trace:
        """The values of one head of an attention ("blocks.3.attn"), computed alone: axes H and G have one place.

        Its `out` is what the head adds to the stream. Nothing is kept. InputError where there is no such head.
        """
        module, asked = self.called(attention, cancelled)
        if wrong := beyond(head, module.heads, "head"):
            raise InputError(wrong)
        group = module.group(head)
        args = [alone_in(one, group) for one in asked.args]
        kwargs = {name: alone_in(one, group) for name, one in asked.kwargs.items()}
        one, told = module.one_head(head), replace(asked.told, alone={"H": head, "G": group})
        with torch.inference_mode(), using(self.alone(one, attention, told, cancelled)) as trace:
            one(*args, **kwargs)
        return trace

    def maps(
        self, attention: str, word: str, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Tensor]:
        """A value [T S] of each head of an attention in turn: "scores", "masked" or "pattern"; one is held at a time.

        InputError where there is no such attention.
        """
        module, asked = self.called(attention, cancelled)
        stage, key = attention.rpartition(".")[0], f"{attention}.{word}"
        # What the heads look with is computed for all of them, and is little beside their maps.
        *_, before = takewhile(lambda site: site != f"{attention}.mask", self.sites)
        found = ReplayRecorder(*self.about(stage, ["*"], cancelled), last=before, had=Trace())
        self.again(stage, found)
        q, k, v = (
            next(
                found.trace[site] for name in names.split() if (site := f"{attention}.{name}") in found.trace
            )
            for names in ("q_rot q_norm q", "k_all k_rot k_norm k", "v_all v")
        )
        mask = asked.args[1]
        one = module.one_head(0)  # any: its weights have no part in how it looks
        for head in range(module.heads):
            group = module.group(head)
            told = replace(asked.told, alone={"H": head, "G": group})
            alone = self.alone(one, attention, told, cancelled, key)
            with torch.inference_mode(), using(alone) as trace, suppress(Enough):
                one.look(q[:, head : head + 1], k[:, group : group + 1], v[:, group : group + 1], mask)
            yield trace[key][0, 0]

    def called(self, attention: str, cancelled: Callable[[], bool]) -> tuple[Attention, CallRecorder]:
        """An attention, and how it was called in the pass. InputError where there is none such."""
        module = dict(self.model.named_modules()).get(attention)
        stage = self.stage_of(attention + ".")
        if not isinstance(module, Attention) or stage is None:
            raise InputError(f"there is no attention '{attention}' in this model")
        asked = CallRecorder(*self.about(stage, (), cancelled), part=module)
        self.again(stage, asked)
        return module, asked

    def alone(
        self,
        one: Attention,
        attention: str,
        told: Told,
        cancelled: Callable[[], bool],
        last: str | None = None,
    ) -> ReplayRecorder:
        """What records a head that is computed alone, to its end or to the site `last`."""
        # What is made of the sum of all heads is nothing that one of them writes.
        edits = [edit for edit in self.edits if f"{attention}.out" not in edit.sites]
        about = (one, ["*"], edits, cancelled, lambda key: None, attention, told)
        return ReplayRecorder(*about, last=last, had=Trace())

    def about(self, stage: str, keep: Sequence[str], cancelled: Callable[[], bool]) -> tuple[Any, ...]:
        """What a recorder of a stage is made of."""
        told = Told(self.changes.tensors, self.calls[stage].queries_from, self.past is not None)
        return self.stages[stage], keep, self.edits, cancelled, lambda key: None, stage, told

    def again(self, stage: str, recorder: Recorder) -> None:
        """Call a stage as it was called in the pass, until the recorder has enough."""
        call = self.calls[stage]
        with torch.inference_mode(), using(recorder), suppress(Enough):
            self.stages[stage](*call.args, **call.kwargs)

    def end_of(self, stage: str, key: str) -> str | None:
        """The last site of the attention that a site lies in, None where it lies in none."""
        attention = key.rpartition(".")[0]
        inside = isinstance(dict(self.stages[stage].named_modules(prefix=stage)).get(attention), Attention)
        return f"{attention}.out" if inside else None

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
        lengths = {size: sum(spans) for size, (_, *spans) in self.measures.items()}
        return [site.at_lengths(lengths) for _, site in self.graph.nodes(data="site")]

    def texts(self, key: str) -> dict[str, int]:
        """Which of the inputs the axes T and S of a site (or of an input) run along."""
        site: Site = self.graph.nodes[key]["site"]
        sizes = zip(site.dims.split(), site.shape, strict=True)
        return {letter: self.measures[size][0] for letter, size in sizes if letter in "TS"}

    @property
    def measures(self) -> dict[int, tuple[int, int, int]]:
        """What a length in the measured graph stands for: which text, how much of its past, how much that is new."""
        count = len(self.inputs)
        found = {n: (n - 1, 0, len(text)) for n, text in enumerate(self.inputs, 1)}
        return found | {2 * count + 1: (count - 1, self.start, len(self.tokens))}

    @property
    def graph(self) -> nx.DiGraph:
        """The measured graph; shapes of its nodes are those of `measured`."""
        return measured(self.model, self.past is not None)

    @property
    def logits(self) -> Tensor:
        """[T V], of the whole prompt; with a past, of what is new"""
        return self.trace["logits"][0]


def alone_in(argument: Any, group: int) -> Any:
    """An argument of an attention, for one key/value head."""
    return argument.of_group(group) if isinstance(argument, LayerCache) else argument


def sites(model: Model, *lengths: int) -> list[Site]:
    """Every site with its shape for texts of these lengths, in order; a dry run without weights or compute."""
    with torch.inference_mode(), record(model, ["*"]) as trace:
        dry_run(model, texts_of(model, lengths), without_values(model))
    return list(trace.sites.values())
