"""What the first window shows before the engine is up: the engine's own answers to how its model opens, stored.

    python -m explorer_app.window.first_screen        asks the engine again and rewrites assets/first_screen.frames

The file holds protocol frames: the scene with what to select, one answer a frame, and a checksum. It is written by
driving the window that will show it through its tabs, layers and steps while a real engine answers; what it asked for
is kept.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.files.regular_file import read_regular
from model_core.api.names import layer_of
from model_core.api.opening import Opening, opening_in
from model_core.api.protocol import Frame, FrameReader, encode_bytes
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.query import read as read_query
from model_core.api.scene import Scene

from explorer_app.state.session import Session

MODEL = "tales-llama"
FILE = "first_screen.frames"
LIMIT = 2_000_000

Focus = dict[str, int | str]
"""Fields of a selection: the layer, the head, and the kind of attention where the model has several."""


def beginning() -> tuple[Scene, Focus]:
    """The scene and the selection that the recipe of the model opens with; no text where nobody can read it."""
    try:
        opening = opening_in(asset("presets", MODEL))
    except InputError:
        opening = Opening()
    stack: Focus = {"stack": opening.stack} if opening.stack else {}
    return Scene(MODEL, opening.prompt, opening.target), {
        "layer": opening.layer,
        "head": opening.head,
        **stack,
    }


def load() -> Session:
    """The session of the bundled first screen; the same scene with nothing to show where the file is missing."""
    try:
        data = read_regular(asset(FILE), LIMIT)
    except InputError:
        data = b""
    return session_of(data)


def session_of(data: bytes) -> Session:
    """A session that shows the stored answers, and still has the engine asked for them."""
    scene, selection, answers = read(data)
    session = Session(scene)
    for asked, answer in answers.items():
        session.take(scene, asked, answer, stored=True)
    session.select(**selection)
    return session


def read(data: bytes) -> tuple[Scene, Focus, dict[Query, Answer]]:
    """Scene, selection and answers; of anything but what `write` wrote the beginning and nothing to show."""
    if data[-SEAL:] != seal(data[:-SEAL]):
        return *beginning(), {}
    head, *rest, _ = (frame for frame in FrameReader().feed(data) if isinstance(frame, Frame))
    answers = {
        read_query(**frame.fields["query"]): Answer(frame.fields["facts"], frame.arrays) for frame in rest
    }
    return Scene.from_json(head.fields["scene"]), dict(head.fields["selection"]), answers


def seal(data: bytes) -> bytes:
    """The frame behind all others: panels trust what the engine says, and so what is stored of it."""
    return encode_bytes(Frame("seal", 0, {"sha256": hashlib.sha256(data).hexdigest()}))


SEAL = len(seal(b""))


def write(scene: Scene, selection: Focus, answers: Mapping[Query, Answer], limit: int = LIMIT) -> bytes:
    """The frames of a scene and of its answers, in order, as far as they stay within `limit` bytes."""
    data = encode_bytes(Frame("scene", 0, {"scene": scene.to_json(), "selection": dict(selection)}))
    for asked, answer in answers.items():
        frame = encode_bytes(
            Frame("answer", 0, {"query": asked.to_json(), "facts": answer.facts}, answer.arrays)
        )
        if len(data) + len(frame) + SEAL <= limit:
            data += frame
    return data + seal(data)


def record(scene: Scene, selection: Focus) -> bytes:
    """The frames of a scene, as a real engine answers now. selection  what to see first"""
    from explorer_app.window.snapshot import closing, settle
    from explorer_app.window.window import MainWindow

    session = Session(scene)
    window = MainWindow(session)
    with closing(window):
        window.show()
        window.client.start()
        settle(window.client)
        # What is seen first comes first in the file; the rest as far as there is room.
        answers: dict[Query, Answer] = {}
        for visit in visits(window, selection):
            visit()
            settle(window.client)
            answers |= {asked: known(session, asked) for asked in window.wanted()}
    return write(scene, selection, answers)


def visits(window: Any, selection: Focus) -> Iterator[Callable[[], object]]:
    """Where a person may look first, most likely first: the tabs, the layers, the steps of the layer in focus."""
    session: Session = window.session
    yield partial(session.select, **selection)
    for dock in reversed(window.arrangement.of_area("centre")):
        yield dock.raise_
    for layer in range(session.kinds[0].layers):
        yield partial(session.select, layer=layer)
    for step, site in enumerate(session.sites):
        if layer_of(site["key"]) in (selection["layer"], None):
            yield partial(session.go_to_step, step)


def known(session: Session, asked: Query) -> Answer:
    answer = session.answer(asked)
    assert answer is not None, asked
    return answer


def main() -> int:
    from explorer_app import theme
    from explorer_app.window.snapshot import application, start_application

    start_application()
    theme.apply(application(), "light")
    data = record(*beginning())
    asset(FILE).write_bytes(data)
    _, selection, answers = read(data)
    print(f"{FILE}: {len(answers)} answers, {len(data):,} bytes, {selection}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
