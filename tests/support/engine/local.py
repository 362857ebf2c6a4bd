"""The engine in this process, asked about a text."""

from typing import Any

from model_core.api.protocol import Frame
from model_core.api.scene import Scene
from model_core.engine.answering import Engine
from tests.support.engine.engine_process import ask

PROMPT = "The cat sat on the mat"


def local(request: Frame, *, cancelled: bool = False, engine: Engine | None = None) -> list[Frame]:
    """What an engine in this process says to a request, progress aside."""
    said: list[Frame] = []
    engine = engine or Engine(said.append)
    engine.send = said.append
    engine.handle(request, lambda: cancelled)
    return [frame for frame in said if frame.kind != "progress"]


def answer_to(scene: Scene, kind: str, **arguments: Any) -> Frame:
    answer, done = local(ask(1, scene, (kind, arguments)))
    assert done.kind == "done"
    return answer


def facts_of(frame: Frame) -> dict[str, Any]:
    return {name: fact for name, fact in frame.fields["facts"].items() if name != "milliseconds"}
