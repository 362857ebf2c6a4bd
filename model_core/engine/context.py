"""What a question is asked about: a loaded model, its run, and whether somebody wants it to stop."""

from collections.abc import Callable

from torch import Tensor

from model_core.analysis.not_finite import first_not_finite
from model_core.api.errors import InputError
from model_core.api.names import Site
from model_core.api.scene import Scene
from model_core.checkpoint.building import Loaded
from model_core.runs.run import Run


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


def prefix_of(scene: Scene, loaded: Loaded) -> tuple[int, ...]:
    """What is put before every text of a scene: the model's own BOS, unless the scene leaves it away.

    Tokens that were given have it where they begin with it.
    """
    prefix = loaded.tokenizer.prefix
    there = scene.ids[: len(prefix)] == tuple(prefix) if scene.ids else scene.special
    return prefix if there else ()
