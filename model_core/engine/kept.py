"""The models and runs that are kept, so that what was asked for a moment ago needs no computing."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from model_core.api import model_ref
from model_core.api.edits import parse
from model_core.api.errors import DoesNotFit, InputError, TooLong
from model_core.api.names import layer_of
from model_core.api.scene import Opened, Scene
from model_core.api.stamp import stamp
from model_core.checkpoint.building import Loaded
from model_core.checkpoint.traced import read_site
from model_core.engine.context import Context, prefix_of
from model_core.runs.run import Run
from model_core.sources.presets import grown, open_model
from model_core.system.devices import check
from model_core.text.tokenizer import IdTokenizer

LOADED_MODELS = 2
LOADED_BYTES = 64 << 20  # more models are kept while all together are no larger: the steps of a growing one
KEPT_RUNS = 4
KEPT_BYTES = 1 << 30  # of all runs together, with their replayed blocks; the newest is kept in any case
FEW_IDS = 8
LONGEST_TOKEN = 200  # characters; no published vocabulary has a longer one but for runs of blanks


Progress = Callable[..., None]
"""(id, what, share, needs): how far a load or a run of a request is."""


class Kept:
    """Loaded models and their runs; the least recently used make room."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.models: OrderedDict[Opened, Loaded] = OrderedDict()
        self.runs: OrderedDict[Scene, tuple[Run, float]] = OrderedDict()
        self.pinned: frozenset[Scene] = frozenset()

    def pin(self, scenes: frozenset[Scene]) -> None:
        """These scenes are asked about again and again: their models and runs stay, whatever else makes room."""
        self.pinned = scenes

    def use(self, scene: Scene) -> None:
        """This is the scene on screen: its model is the last that makes room."""
        if scene.opened in self.models:
            self.models.move_to_end(scene.opened)

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
        """Let go of the least recently used models, and their runs, until so many are left, or all fit the size.

        Those of pinned scenes stay.
        """
        pinned = {scene.opened for scene in self.pinned}
        for old in [one for one in self.models if one not in pinned]:
            if len(self.models) <= left or sum(one.model.nbytes for one in self.models.values()) <= size:
                return
            del self.models[old]
            for run in [scene for scene in self.runs if scene.opened == old]:
                del self.runs[run]

    def forget_runs(self) -> None:
        """Let go of the least recently used runs until there are few enough, and they are small enough.

        The newest stays, and those of pinned scenes.
        """
        for scene in [one for one in list(self.runs)[:-1] if one not in self.pinned]:
            held = sum(run.nbytes for run, _ in self.runs.values())
            if len(self.runs) <= KEPT_RUNS + len(self.pinned) and held <= KEPT_BYTES:
                return
            del self.runs[scene]

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
                parent=self.like(scene),
                read_site=read_site,
                cancelled=cancelled,
                visited=visited,
            )
            self.progress(id, "running", 1.0)
            self.runs[scene] = run, (time.perf_counter() - begun) * 1000
        self.runs.move_to_end(scene)
        self.forget_runs()
        run, milliseconds = self.runs[scene]
        return Context(scene, loaded, run, cancelled, milliseconds)

    def like(self, scene: Scene) -> Run | None:
        """The newest run that differs in its edits alone: what they leave alike need not be computed again."""
        plain = replace(scene, edits=())
        return next(
            (run for other, (run, _) in reversed(self.runs.items()) if replace(other, edits=()) == plain),
            None,
        )

    def tokens(self, scene: Scene, loaded: Loaded, field: str) -> list[int]:
        """The ids of a text of the scene. TooLong, with the part of it that fits, where it is too long.

        Of a model that has no tokenizer the ids themselves; InputError, with some to begin with, for anything else.
        """
        text, prefix, limit = getattr(scene, field), prefix_of(scene, loaded), loaded.model.context
        if field == "prompt" and scene.ids:
            return given(scene.ids, loaded)
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


def given(ids: Sequence[int], loaded: Loaded) -> list[int]:
    """Tokens as they were given. InputError where the vocabulary has none such, TooLong where they are too many."""
    loaded.tokenizer.strings(list(ids))
    if len(ids) > loaded.model.context:
        raise TooLong(len(ids), loaded.model.context)
    return list(ids)


def check_version(scene: Scene) -> None:
    """InputError where the files of the model are not those that the scene was made for."""
    if scene.version and scene.version != (now := stamp(scene.model)):
        error = InputError("the files of this model were replaced since it was opened")
        error.fix = {"version": now}
        raise error
