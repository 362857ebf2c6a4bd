"""Sessions that were answered, and what their signals said."""

from typing import Any

from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from model_core.api.scene import Scene
from tests.support.window.fake_run import one_text as run
from tests.support.window.fake_run import sites

SCENE = Scene("tales-llama", "a b c")


def answered(scene: Scene = SCENE) -> Session:
    session = Session(scene)
    session.take(scene, RUN, run())
    session.take(scene, SITES, sites("embed.out", "blocks.0.attn.q", "blocks.2.attn.q", "logits"))
    return session


def heard(signal: Any) -> list[Any]:
    told: list[Any] = []
    # psygnal keeps only a weak reference to a bound method, and list.append has no owner to die.
    signal.connect(lambda *values: told.append(values[0] if len(values) == 1 else values))
    return told


PRESETS = {
    "tales-llama": {"task": "text", "example": {"prompt": "a b c", "target": ""}},
    "growth": {"task": "text", "example": {"prompt": "d e d", "target": ""}},
    "dates": {"task": "dates", "example": {"prompt": "3 March", "target": "03"}},
}


def texts(session: Session) -> tuple[str, str]:
    return session.scene.prompt, session.scene.target
