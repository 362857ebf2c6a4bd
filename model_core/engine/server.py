"""The engine: the models in a process of their own, answering queries over stdin and stdout.

    layerscope engine        reads frames, writes frames (protocol.py); prints and logs go to stderr

    ->  hello                               <-  hello     devices, dtypes, presets, families
    ->  size    model, config, device       <-  size      parameters, bytes, free, error
    ->  ask     scene, queries              <-  progress  what, share
                                            <-  answer    query, facts + arrays      one for each query
                                            <-  error     message, query (or null), fault, fix, asks, edits, opening
                                            <-  done      milliseconds
    ->  cancel                              stops the request under way

The newest `ask` wins: a running one stops at its next tap, except that a model being loaded goes on when the newer
request wants the same one. What it can answer is a registry of small functions: `@answers("value")`.
"""

import contextlib
import importlib
import math
import os
import queue
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from inspect import signature
from typing import Any, BinaryIO

# A spinning OpenMP thread beside any busy process makes a pass 20 times slower; read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from torch import Tensor

from model_core.analysis import conventions, derive, roles
from model_core.analysis.not_finite import first_not_finite, is_sound, is_sound_run
from model_core.api import model_ref
from model_core.api.edits import beyond, parse
from model_core.api.errors import Cancelled, DoesNotFit, InputError, TooLong
from model_core.api.names import AttentionKind, Site
from model_core.api.plain_text import one_line
from model_core.api.protocol import BadFrame, Frame, FrameReader, encode
from model_core.api.queries import Answer, Scene, axis_index, layer_of, left_axes
from model_core.api.role_list import roles_of
from model_core.api.schema import Count, shown
from model_core.api.schema import value as fit
from model_core.api.stamp import stamp
from model_core.api.steps import pack
from model_core.checkpoint.building import Loaded
from model_core.engine import describe
from model_core.parts.norm import LayerNorm, RMSNorm, StdLayerNorm
from model_core.parts.position import Rope
from model_core.runs.replay import Run
from model_core.sources.presets import NAMES, grown, open_model, recorded
from model_core.system.devices import DTYPES, check, configure_threads, devices, memory_errors
from model_core.taps.trace import to_array
from model_core.text.merges import Split
from model_core.text.tokenizer import IdTokenizer, Tokenizer
from model_core.training.evaluation import answers_dates
from model_core.training.plan import FINE_TUNING

LOADED_MODELS = 2
LOADED_BYTES = 64 << 20  # more models are kept while all together are no larger: the steps of a growing one
KEPT_RUNS = 4
KEPT_BYTES = 1 << 30  # of all runs together, with their replayed blocks; the newest is kept in any case
FEW_IDS = 8
LONGEST_TOKEN = 200  # characters; no published vocabulary has a longer one but for runs of blanks
TELL_SECONDS = 0.05

ANGLES = "rope.angles"

Question = Callable[..., Answer]
QUESTIONS: dict[str, Question] = {}


def answers(kind: str) -> Callable[[Question], Question]:
    """Register a function (context, **arguments) -> Answer as what answers queries of a kind."""

    def registered(function: Question) -> Question:
        QUESTIONS[kind] = function
        return function

    return registered


class Context:
    """What a question is asked about: a loaded model, its run, and whether somebody wants it to stop.

    prefix  how many tokens of each text were put before it
    """

    def __init__(
        self, scene: Scene, loaded: Loaded, run: Run, cancelled: Callable[[], bool], milliseconds: float
    ) -> None:
        self.scene = scene
        self.prefix = len(prefix_of(scene, loaded))
        self.loaded = loaded
        self.run = run
        self.cancelled = cancelled
        self.milliseconds = milliseconds

    def value(self, site: str) -> Tensor:
        """The tensor at a site, without its batch axis where it has one. InputError for an unknown site."""
        value, dims = self.run.value(site, self.cancelled), self.site(site).dims
        return value[0] if dims.startswith("B ") else value

    def not_finite(self) -> str:
        """Where the run left the finite numbers, in words; "" where it did not."""
        return str(first_not_finite(self.run, self.cancelled) or "")

    def site(self, key: str) -> Site:
        if (site := self.run.sites.get(key)) is None:
            raise InputError(f"there is no site '{key}' in this model")
        return site


class Engine:
    """Answers requests one after the other; `send` gets every frame that goes back, in order."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self.send = send
        self.models: OrderedDict[tuple[str, tuple[str, ...], str, str, str], Loaded] = OrderedDict()
        self.runs: OrderedDict[Scene, tuple[Run, float]] = OrderedDict()
        self.told = 0.0

    def handle(self, request: Frame, cancelled: Callable[[], bool], other_model: Callable[[], bool]) -> None:
        """Answer one request. `other_model` is asked while a model loads: is it still wanted?"""
        try:
            if request.kind == "hello":
                self.send(Frame("hello", request.id, greeting()))
            elif request.kind == "ask":
                self.ask(request, cancelled, other_model)
            elif request.kind == "size":
                self.size(request)
            else:
                self.fail(request.id, f"frames of kind '{request.kind}' are not known here")
        except Cancelled:
            self.send(Frame("done", request.id, {"cancelled": True, "milliseconds": 0.0}))
        except InputError as error:
            self.fail(request.id, error.window, fix=error.fix, edits=error.edits)
        except Exception:
            self.fault(request.id)

    def ask(self, request: Frame, cancelled: Callable[[], bool], other_model: Callable[[], bool]) -> None:
        begun = time.perf_counter()
        try:
            scene = Scene.from_json(request.fields["scene"])
            queries = [(str(query["kind"]), dict(query["arguments"])) for query in request.fields["queries"]]
        except (KeyError, TypeError, ValueError):
            self.fail(request.id, "this request has no readable scene and queries")
            return
        try:
            with memory_errors(f"opening {scene.model}", "a smaller dtype or another device"):
                loaded = self.loaded(scene, request.id, other_model)
        except InputError as error:
            self.fail(request.id, error.window, asks=error.asks, fix=error.fix, opening=True)
            return
        with memory_errors("this run"):
            context = self.context(scene, loaded, request.id, cancelled)
        try:
            for kind, arguments in queries:
                if cancelled():
                    raise Cancelled
                self.answer(request.id, context, kind, arguments)
        finally:
            self.forget_runs()  # blocks that were replayed for an answer count as well
        milliseconds = (time.perf_counter() - begun) * 1000
        self.send(Frame("done", request.id, {"cancelled": False, "milliseconds": milliseconds}))

    def size(self, request: Frame) -> None:
        """What a model without training would take; needs no loaded one."""
        try:
            words = [str(request.fields[name]) for name in ("model", "device")]
            config = [str(word) for word in request.fields["config"]]
        except (KeyError, TypeError):
            self.fail(request.id, "this request has no readable model, config and device")
            return
        self.send(Frame("size", request.id, describe.size(words[0], config, words[1])))

    def answer(self, id: int, context: Context, kind: str, arguments: dict[str, Any]) -> None:
        asked = {"kind": kind, "arguments": arguments}
        if kind not in QUESTIONS:
            self.fail(id, f"queries of kind '{kind}' are not known here", asked)
            return
        try:
            with memory_errors("this view"), torch.inference_mode():
                answer = QUESTIONS[kind](context, **fitting(kind, arguments))
            self.send(Frame("answer", id, {"query": asked, "facts": answer.facts}, answer.arrays))
        except InputError as error:
            self.fail(id, error.window, asked)
        except Cancelled:
            raise
        except Exception:
            self.fault(id, asked)

    def loaded(self, scene: Scene, id: int, other_model: Callable[[], bool]) -> Loaded:
        """The model of a scene; loaded once, the least recently used makes room."""
        key = scene.opened
        if key not in self.models:
            check(scene.device, scene.dtype)
            try:
                self.models[key] = self.opened(scene, id, other_model)
            except DoesNotFit:
                # The model on screen stays, whatever happens; others are kept only where there is room.
                if len(self.models) < 2:
                    raise
                self.forget_models(1)
                self.models[key] = self.opened(scene, id, other_model)
            self.forget_models(LOADED_MODELS, LOADED_BYTES)
        self.models.move_to_end(key)
        return self.models[key]

    def opened(self, scene: Scene, id: int, other_model: Callable[[], bool]) -> Loaded:
        """The model of a scene, loaded. InputError, with the version to ask for, where its files were replaced."""
        check_version(scene)
        loaded = open_model(
            scene.model,
            scene.device,
            scene.dtype,
            config=scene.config,
            progress=lambda share: self.progress(id, "loading", share),
            needs=lambda words: self.progress(id, "loading", 0.0, words),
            cancelled=other_model,
        )
        check_version(scene)
        return loaded

    def load_ahead(self) -> bool:
        """Load one more step of the growing model that was asked for last, the nearest that is not there yet.

        False where none is left, or all of them together would be too large to keep.
        """
        here = next(reversed(self.models), None)
        if here is None or (found := grown(here[0])) is None:
            return False
        name, step, kept = found
        steps = [moment.step for moment in kept]
        if self.models[here].model.nbytes * len(steps) > LOADED_BYTES:
            return False
        index = steps.index(step)
        for n in sorted(range(len(steps)), key=lambda n: abs(n - index)):
            model = model_ref.at(name, n, steps)
            if n != index and (model, *here[1:]) not in self.models:
                try:
                    self.models[model, *here[1:]] = open_model(model, here[2], here[3], config=here[1])
                except InputError:
                    return False
                self.models.move_to_end(here)
                return True
        return False

    def forget_models(self, left: int, size: int = 0) -> None:
        """Let go of the least recently used models, and their runs, until so many are left, or all fit the size."""
        while len(self.models) > left and sum(one.model.nbytes for one in self.models.values()) > size:
            old, _ = self.models.popitem(last=False)
            for run in [scene for scene in self.runs if scene.opened == old]:
                del self.runs[run]

    def forget_runs(self) -> None:
        """Let go of the least recently used runs until there are few enough, and they are small enough."""
        while len(self.runs) > KEPT_RUNS or (
            len(self.runs) > 1 and sum(run.nbytes for run, _ in self.runs.values()) > KEPT_BYTES
        ):
            self.runs.popitem(last=False)

    def context(self, scene: Scene, loaded: Loaded, id: int, cancelled: Callable[[], bool]) -> Context:
        """The run of a scene, computed now or a moment ago."""
        if scene not in self.runs:
            fields = ("prompt", "target")[: len(loaded.model.inputs)]
            tokens, *others = (self.tokens(scene, loaded, field) for field in fields)
            layers = sum(
                {kind.site(0, "").split(".")[0]: kind.layers for kind in loaded.model.attentions}.values()
            )

            def visited(key: str) -> None:
                self.progress(id, "running", (layer_of(key) or 0) / layers)

            begun = time.perf_counter()
            run = Run(
                loaded.model,
                tokens,
                [parse(edit) for edit in scene.edits],
                target=others[0] if others else (),
                cancelled=cancelled,
                visited=visited,
            )
            self.progress(id, "running", 1.0)
            self.runs[scene] = run, (time.perf_counter() - begun) * 1000
        self.runs.move_to_end(scene)
        self.forget_runs()
        run, milliseconds = self.runs[scene]
        return Context(scene, loaded, run, cancelled, milliseconds)

    def tokens(self, scene: Scene, loaded: Loaded, field: str) -> list[int]:
        """The ids of a text of the scene. TooLong, with the part of it that fits, where it is too long.

        Of a model that has no tokenizer the ids themselves; InputError, with some to begin with, for anything else.
        """
        text, prefix, limit = getattr(scene, field), prefix_of(scene, loaded), loaded.model.context
        if field == "target" and not text:
            return list(prefix)
        # Of what is far too long the tokens are not worth the seconds that they take to count.
        most = LONGEST_TOKEN * limit
        try:
            tokens = loaded.tokenizer.encode(text[:most])
            if len(tokens) <= limit and len(text) > most:
                tokens = loaded.tokenizer.encode(text)
        except InputError as refused:
            if isinstance(loaded.tokenizer, IdTokenizer):
                some = range(min(FEW_IDS, loaded.tokenizer.vocab_size, limit))
                refused.fix = {field: loaded.tokenizer.decode(some)}
            raise
        if len(prefix) + len(tokens) > limit:
            error: InputError = TooLong(len(prefix) + len(tokens), limit)
            if len(text) > most:
                error = InputError(
                    f"the prompt has {len(text):,} characters, far more than the context of {limit} tokens: shorten it"
                )
            error.fix = {field: loaded.tokenizer.decode(tokens[: limit - len(prefix)])}
            raise error
        return [*prefix, *tokens]

    def progress(self, id: int, what: str, share: float, needs: str = "") -> None:
        """Tell how far a load or a run is: its end, now and then on the way, and first what memory it needs."""
        if needs or share == 1.0 or time.monotonic() - self.told > TELL_SECONDS:
            self.told = time.monotonic()
            self.send(Frame("progress", id, {"what": what, "share": share, "needs": needs}))

    def fail(self, id: int, message: str, asked: dict[str, Any] | None = None, **more: Any) -> None:
        """What the person did wrong; `more` as `failure` takes it."""
        self.send(failure(id, message, asked, **more))

    def fault(self, id: int, asked: dict[str, Any] | None = None) -> None:
        """An error of ours: the whole story goes to the log, one line to the window."""
        traceback.print_exc(file=sys.stderr)
        kind, error, _ = sys.exc_info()
        what = kind.__name__ if kind else "unknown"
        message = f"the engine failed ({what}: {' '.join(str(error).split())[:200]}); see its log"
        self.send(failure(id, message, asked, fault=True))


def failure(
    id: int,
    message: str,
    asked: dict[str, Any] | None = None,
    *,
    fault: bool = False,
    fix: dict[str, Any] | None = None,
    asks: list[dict[str, Any]] | None = None,
    edits: dict[str, str] | None = None,
    opening: bool = False,
) -> Frame:
    """What went wrong.

    asked    the query that it was about, None for the whole request
    fault    whether it is ours and no one else's
    fix      fields of a scene that would work, to be offered
    asks     what the files of a model do not say, to be filled into the scene's config
    edits    the edits that cannot be made, in their words, and why
    opening  whether it is the model that cannot be had
    """
    # A name in a file may be as long as the file.
    fields = {
        "message": one_line(message),
        "query": asked,
        "fault": fault,
        "fix": fix,
        "asks": asks,
        "edits": edits,
    }
    return Frame("error", id, {**fields, "opening": opening})


def greeting() -> dict[str, Any]:
    """What this engine has: devices with their memory, dtypes, presets and those that can be seen growing, families.

    damaged      preset -> why it is none
    order        the names of all presets, as they are listed
    fine_tuning  the recipe by which a model on screen is trained further
    """
    presets, damaged = describe.presets()
    return {
        "devices": [device.__dict__ for device in devices()],
        "dtypes": list(DTYPES),
        "presets": presets,
        "damaged": damaged,
        "order": list(NAMES),
        "growing": [name for name in NAMES if grown(name)],
        "fine_tuning": asdict(FINE_TUNING),
        "families": describe.families(),
        "pid": os.getpid(),
    }


def check_version(scene: Scene) -> None:
    """InputError where the files of the model are not those that the scene was made for."""
    if scene.version and scene.version != (now := stamp(scene.model)):
        error = InputError("the files of this model were replaced since it was opened")
        error.fix = {"version": now}
        raise error


def prefix_of(scene: Scene, loaded: Loaded) -> tuple[int, ...]:
    """What is put before every text of a scene: the model's own BOS, unless the scene leaves it away."""
    return loaded.tokenizer.prefix if scene.special else ()


def fitting(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a query in the types that its answer takes. InputError for others."""
    _, *takes = signature(QUESTIONS[kind]).parameters.values()
    known = {one.name: one for one in takes}
    if others := [name for name in said if name not in known]:
        raise InputError(f"{kind}: there is no {shown(others[0])}; there are {', '.join(known) or 'none'}")
    if missing := [name for name, one in known.items() if one.default is one.empty and name not in said]:
        raise InputError(f"{kind}: no '{missing[0]}' is said")
    return {name: fit(f"{kind}: '{name}'", one, known[name].annotation) for name, one in said.items()}


def number(value: int, count: int, what: str) -> int:
    """A layer, head or token of a query; InputError where there is none of that number."""
    if wrong := beyond(value, count, what):
        raise InputError(f"query: {wrong}")
    return value


@answers("run")
def run_(context: Context) -> Answer:
    """The texts with their tokens and token strings, the kinds of attention, the model's shape, what the run took.

    texts       what was read, in the order of the model's inputs; the last is what "tokens" and "strings" are
    special     positions of tokens that stand for no text
    prefix      how many tokens were put before each text; "prefixes" are those that the model's configuration wants
    attentions  the fields of AttentionKind; its queries and keys count the texts
    grows       whether there is a record of its training, be it a damaged one, of which "growth" says why
    task        what kind of text it reads: "text", "dates", or "ids" where it has no tokenizer
    not_finite  where what was computed stopped being finite numbers, in words; "" where it did not
    """
    tokenizer, run, model = context.loaded.tokenizer, context.run, context.loaded.model
    texts = [
        {
            "name": name,
            "tokens": tokens,
            "strings": tokenizer.strings(tokens),
            "special": [at for at, token in enumerate(tokens) if token in tokenizer.special],
        }
        for name, tokens in zip(model.inputs, run.inputs, strict=True)
    ]
    return Answer(
        {
            "tokens": texts[-1]["tokens"],
            "strings": texts[-1]["strings"],
            "special": texts[-1]["special"],
            "prefix": context.prefix,
            "prefixes": tokenizer.strings(tokenizer.prefix),
            "texts": texts,
            "attentions": [kind.__dict__ for kind in model.attentions],
            "model": context.loaded.name,
            "family": context.loaded.family.name,
            "family_title": context.loaded.family.title,
            "parameters": model.parameter_count,
            "context": model.context,
            "vocab_size": model.config.vocab_size,
            "milliseconds": context.milliseconds,
            "kept_bytes": run.trace.nbytes,
            "edits": [str(edit) for edit in run.edits],
            "task": task_of(context.loaded),
            "grows": grows(context.scene.model),
            "not_finite": "" if is_sound_run(run) else context.not_finite(),
        }
    )


def task_of(loaded: Loaded) -> str:
    """What kind of text a model reads."""
    if isinstance(loaded.tokenizer, IdTokenizer):
        return "ids"
    return "dates" if answers_dates(loaded) else "text"


def grows(model: str) -> bool:
    try:
        return recorded(model) is not None
    except InputError:
        return True


@answers("growth")
def growth_(context: Context) -> Answer:
    """The steps of the model's training that were kept: tokens seen, and each score of every head there, [N L H].

    name, step  what "growth@16" is made of: the model, and the step of the one on screen
    scores      the names of the scores; no steps where none were kept

    InputError where the record of them is damaged.
    """
    found = recorded(context.scene.model)
    if found is None:
        return Answer({"name": context.scene.model, "step": 0, "steps": [], "tokens": [], "scores": []})
    name, step, kept = found
    scores = {one: np.array([moment.scores[one] for moment in kept], np.float32) for one in kept[0].scores}
    steps, tokens = [moment.step for moment in kept], [moment.tokens for moment in kept]
    return Answer(
        {"name": name, "step": step, "steps": steps, "tokens": tokens, "scores": list(scores)}, scores
    )


@answers("sites")
def sites_(context: Context) -> Answer:
    """The steps of the forward pass as `steps.pack` has them: what is read, then every site in order of computation."""
    sites = context.run.steps
    return pack(sites, [context.run.texts(site.key) for site in sites])


@answers("value")
def value(context: Context, site: str, at: dict[str, int] | None = None) -> Answer:
    """The tensor at a site as float32, at the given positions of some axes ({"H": 3}); the batch axis is dropped."""
    chosen, axes = chosen_part(context, site, at or {})
    return Answer(
        {"dims": " ".join(axes), "dtype": context.site(site).dtype},
        {"values": to_array(chosen)},
    )


def chosen_part(context: Context, site: str, at: dict[str, int]) -> tuple[Tensor, list[str]]:
    """The tensor at a site without its batch axis, at the given positions of some axes, and the axes that are left."""
    whole, dims = context.value(site), context.site(site).dims.removeprefix("B ")
    for letter, position in at.items():
        if letter not in dims.split():
            raise InputError(f"{site} has axes {dims}, not {letter}")
        length = whole.shape[dims.split().index(letter)]
        if not 0 <= position < length:
            raise InputError(
                f"there is no position {position} on axis {letter} of {site}: it has 0 to {length - 1}"
            )
    return whole[axis_index(dims, at)], list(left_axes(dims, at))


@answers("overview")
def overview(context: Context, word: str = "pattern", stack: str = "", side: int = 48) -> Answer:
    """The maps of every layer and head, [L H t s]; longer ones shrunk to `side`, each cell the largest it covers.

    stack  the name of the kind of attention
    size   rows and columns of the maps as they are, before they were shrunk
    """
    kind = kind_named(context, stack)
    if context.site(kind.site(0, word)).dims.split()[-2:] != ["T", "S"]:
        raise InputError(f"'{word}' is no map of who looks at whom")
    whole = [context.value(kind.site(layer, word)) for layer in range(kind.layers)]
    maps = [derive.shrink(maps, max(1, side)) for maps in whole]
    return Answer({"size": list(whole[0].shape[-2:])}, {"maps": to_array(torch.stack(maps))})


def kind_named(context: Context, name: str) -> AttentionKind:
    """The kind of attention of that name. InputError where the model has none such."""
    for kind in context.run.model.attentions:
        if kind.name == name:
            return kind
    raise InputError(f"this model has no attention of the kind {name!r}")


@answers("roles")
def roles_(context: Context, on: str = "prompt", stack: str = "") -> Answer:
    """What the heads of a kind of attention do: scores [L H] of each role, NaN where the text has no say in it.

    on     "prompt": the present run, edits included; "probe": distinct random tokens twice, the model as it is
    roles  the fields of `role_list.Role` of each, in order
    """
    kind, run = kind_named(context, stack), context.run
    if on == "probe":
        found = roles.probe_roles(run.model, cancelled=context.cancelled)
    elif on == "prompt":
        queries, keys = (torch.tensor(run.inputs[text]) for text in (kind.queries, kind.keys))
        layers = []
        for layer in range(kind.layers):
            if context.cancelled():
                raise Cancelled
            visible = context.value(kind.site(layer, "masked")) > -torch.inf
            pattern = context.value(kind.site(layer, "pattern"))
            layers.append(roles.role_scores(pattern, visible, queries, keys, kind))
        found = {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
    else:
        raise InputError(f"roles are measured on the prompt or on the probe, not on {on!r}")
    return Answer(
        {"roles": [asdict(role) for role in roles_of(kind)]},
        {name: to_array(scores) for name, scores in found.items()},
    )


@answers("next_token")
def next_token(context: Context, k: Count = 20) -> Answer:
    """The k likeliest next tokens, and log-probability (nats) and rank of every prompt token but the first.

    texts  what each of the k adds to the prompt; None where its bytes form no character, or it stands for no text
    end    the token after which the model writes nothing more, None where it has none
    """
    run, tokenizer = context.run, context.loaded.tokenizer
    result = derive.next_token(run.logits, run.tokens, k)
    ids, typed = result.ids.tolist(), run.tokens[context.prefix :]
    return Answer(
        {
            "ids": ids,
            "strings": tokenizer.strings(ids),
            "texts": added(tokenizer, typed, ids),
            "special": [id in tokenizer.special for id in ids],
            "end": tokenizer.eos,
        },
        {
            "probabilities": to_array(result.probabilities),
            "log_probs": result.log_probs.cpu().numpy(),
            "ranks": result.ranks.cpu().numpy(),
        },
    )


def added(tokenizer: Tokenizer, typed: Sequence[int], ids: Sequence[int]) -> list[str | None]:
    """What each of the ids adds to the text of those typed; None where no text would be read as it.

    A special token has a text where the tokenizer reads its name as the token itself.
    """

    def text_of(id: int, text: str) -> str | None:
        if id not in tokenizer.special:
            return None if "\ufffd" in text else text
        name = tokenizer.token(id)
        with contextlib.suppress(InputError):
            return name if tokenizer.encode(name) == [id] else None
        return None

    return [text_of(id, text) for id, text in zip(ids, tokenizer.continuations(typed, ids), strict=True)]


@answers("split")
def split(context: Context, position: Count, text: int | None = None) -> Answer:
    """Why the word around a token of a text (the last without `text`) was cut so: the fields of `merges.Split`.

    A position behind the last token is the last: a text may have become shorter since somebody chose it.
    """
    tokenizer, run, scene = context.loaded.tokenizer, context.run, context.scene
    text = number(len(run.inputs) - 1 if text is None else text, len(run.inputs), "text")
    tokens = run.inputs[text]
    position = min(position, len(tokens) - 1)
    if position < context.prefix:
        found = Split("special", position, (tokens[position],), (tokenizer.token(tokens[position]),))
    else:
        typed = scene.target if text > 0 and scene.target else scene.prompt
        found = tokenizer.split(typed, position - context.prefix)
        found = replace(found, first=found.first + context.prefix)
    return Answer(asdict(found))


@answers("norm")
def norm(context: Context, module: str) -> Answer:
    """One norm: statistics of each token, what went in and came out [T C], the gain (and bias) [C]."""
    part = dict(context.run.model.named_modules()).get(module)
    if not isinstance(part, LayerNorm | StdLayerNorm | RMSNorm):
        raise InputError(f"there is no norm '{module}' in this model")
    sources = [source for source, _ in context.run.graph.in_edges(f"{module}.out")]
    before = context.value(sources[0])
    arrays = {"before": before, "after": context.value(f"{module}.out"), "gain": part.weight}
    if not isinstance(part, RMSNorm):
        arrays["bias"] = part.bias
    arrays |= derive.norm_statistics(part, before)
    return Answer(
        {"kind": type(part).__name__, "eps": part.eps, "source": sources[0]},
        {name: to_array(array) for name, array in arrays.items()},
    )


@answers("rope")
def rope_(context: Context, layer: int, head: int) -> Answer:
    """Angles [T P] and frequencies [P] (radians a position), q and k of a head before and after rotation [T D]."""
    model = context.run.model
    rope: Rope | None = getattr(model, "rope", None)
    if rope is None:
        raise InputError("this model has no rotary positions")
    (kind,) = model.attentions
    layer, head = number(layer, kind.layers, "layer"), number(head, kind.heads, "head")
    group = head // (kind.heads // kind.kv_heads)
    at = f"blocks.{layer}.attn"
    # What is turned is q and k themselves, or their norms where a model has such.
    before = {
        name: next(
            source for source in context.run.graph.predecessors(f"{at}.{name}_rot") if source != ANGLES
        )
        for name in "qk"
    }
    arrays = {
        "angles": context.value(ANGLES),
        "frequencies": rope.frequencies(torch.device("cpu")),
        "q": context.value(before["q"])[head],
        "q_rot": context.value(f"{at}.q_rot")[head],
        "k": context.value(before["k"])[group],
        "k_rot": context.value(f"{at}.k_rot")[group],
    }
    facts = {
        "theta": rope.theta,
        "rescaled": rope.rescale is not None,
        "group": group,
        "scale": 1 / math.sqrt(kind.head_dim),
    }
    return Answer(facts, {name: to_array(a) for name, a in arrays.items()})


@answers("rope_conventions")
def rope_conventions(context: Context, layer: int, head: int, query: int, key: int) -> Answer:
    """One head's rotation in both conventions, computed in float64 from the run's own q and k: one score, and all.

    pairs, halves       the score of `query` at `key` either way; run: what the model computed itself
    max_difference      of the two, over all scores of the head; largest: the largest of them in magnitude
    q_pairs, q_halves   the turned q of `query` [D] in either order
    """
    rope = rope_(context, layer, head)
    q, k, angles = (torch.from_numpy(rope.arrays[name]) for name in ("q", "k", "angles"))
    at = number(query, len(q), "query token"), number(key, len(k), "key token")
    in_pairs, in_halves = conventions.both(q, k, angles, rope["scale"])
    (kind,) = context.run.model.attentions
    turned = conventions.rotate_pairs(q.double(), angles.double())[query]
    numbers = {
        "pairs": in_pairs[at],
        "halves": in_halves[at],
        "run": context.value(kind.site(layer, "scores"))[head][at].double().cpu(),
        "max_difference": (in_pairs - in_halves).abs().max(),
        "largest": in_pairs.abs().max(),
        "q_pairs": turned,
        "q_halves": turned[conventions.halves_from_pairs(len(turned))],
    }
    # Any of them may be NaN, which an array can say and a fact cannot.
    return Answer({}, {name: values.numpy() for name, values in numbers.items()})


@answers("architecture")
def architecture(context: Context) -> Answer:
    """What the model is made of and where it came from: `describe.architecture`."""
    return Answer(describe.architecture(context.loaded))


@answers("positions")
def positions(context: Context) -> Answer:
    """How the model knows where a token stands: "rotary", "table" (rows [T C] and their cosines [T T]), or "none".

    learned  whether the rows of the table are parameters, or computed
    text     which of the texts they belong to: of several, the longest
    """
    model, sites = context.run.model, context.run.sites
    if ANGLES in sites:
        return Answer({"kind": "rotary"})
    tables = {key: site.shape[0] for key, site in sites.items() if key.endswith("pos.out")}
    if not tables:
        return Answer({"kind": "none"})
    longest = max(tables, key=lambda key: tables[key])
    table, module = context.value(longest), model.get_submodule(sites[longest].module)
    facts = {
        "kind": "table",
        "learned": any(True for _ in module.parameters()),
        "text": context.run.texts(longest)["T"],
    }
    return Answer(facts, {"table": to_array(table), "cosines": to_array(derive.cosines(table))})


@answers("inspect")
def inspect(context: Context, site: str, at: dict[str, int] | None = None, limit: int = 512) -> Answer:
    """A site's slice as a table [rows columns] of at most `limit` each, statistics and histogram of the whole slice.

    not_finite  where the run left the finite numbers, in words, where this value is of those beyond; else ""
    """
    chosen, axes = chosen_part(context, site, at or {})
    values: np.ndarray[Any, Any] = derive.wide(chosen).cpu().contiguous().numpy()
    flat = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    counts, edges = derive.histogram(values)
    described = context.site(site)
    return Answer(
        {
            "site_dims": described.dims,
            "site_shape": list(described.shape),
            "dtype": described.dtype,
            "axes": axes,
            "shape": list(values.shape),
            "statistics": derive.statistics(values),
            "not_finite": "" if is_sound(site, chosen) else context.not_finite(),
        },
        {"table": np.ascontiguousarray(flat[:limit, :limit]), "counts": counts, "edges": edges},
    )


@answers("graph")
def graph_(context: Context) -> Answer:
    """The edges of the measured graph [E 2]: pairs of positions in the steps, which are its nodes."""
    graph = context.run.graph
    index = {key: n for n, key in enumerate(graph)}
    edges = np.array([(index[a], index[b]) for a, b in graph.edges], np.int32)
    return Answer({}, {"edges": edges.reshape(-1, 2)})


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer the frames of `source` on `sink` until it ends. A thread reads, so that a newer request stops an older."""
    configure_threads()
    writing = threading.Lock()

    def send(frame: Frame) -> None:
        with writing:
            for buffer in encode(frame):
                sink.write(buffer)
            sink.flush()

    waiting: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    counting: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    newest = Frame("none", -1)
    stopped: Frame | None = None  # by itself: numbers are the window's, and need not rise

    def read() -> None:
        nonlocal newest, stopped
        reader = FrameReader()
        while data := os.read(source.fileno(), 1 << 20):
            for frame in reader.feed(data):
                if isinstance(frame, BadFrame):
                    send(failure(frame.id or 0, f"unreadable frame: {frame.reason}"))
                elif frame.kind == "cancel":
                    stopped = newest
                elif frame.kind == "size":
                    counting.put(frame)
                else:
                    newest = frame if frame.kind == "ask" else newest
                    waiting.put(frame)
        stopped = newest
        waiting.put(None)

    def count() -> None:
        """Sizes are counted while a model loads or runs; only the newest is of interest."""
        while (request := counting.get()) is not None:
            if counting.empty():
                engine.handle(request, lambda: False, lambda: False)

    def model_of(frame: Frame) -> object:
        """What decides which model a request needs; None where its scene cannot be read."""
        try:
            return Scene.from_json(frame.fields["scene"]).opened
        except (KeyError, TypeError):
            return None

    engine = Engine(send)
    threading.Thread(target=read, name="read", daemon=True).start()
    # It is waited for at the end: torch aborts a process that leaves while another thread is inside it.
    counter = threading.Thread(target=count, name="count", daemon=True)
    counter.start()
    with contextlib.suppress(BrokenPipeError):
        while (request := waiting.get()) is not None:
            current = request

            def cancelled(current: Frame = current) -> bool:
                return current.kind == "ask" and (current is not newest or current is stopped)

            def other_model(current: Frame = current) -> bool:
                return stopped in (current, newest) or (
                    current is not newest and model_of(current) != model_of(newest)
                )

            if current.kind == "ask" and other_model():
                send(Frame("done", current.id, {"cancelled": True, "milliseconds": 0.0}))
            else:
                engine.handle(current, cancelled, other_model)
            if current.kind == "hello" and waiting.empty():
                # The first dry run on meta tensors loads this, a second long; better now, while nobody waits.
                importlib.import_module("torch._dynamo")
            while waiting.empty() and engine.load_ahead():
                pass
    counting.put(None)
    counter.join()


def main() -> int:
    """`layerscope engine`. The real stdout is taken aside for frames; whatever prints goes to stderr."""
    frames = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, frames)
    return 0
