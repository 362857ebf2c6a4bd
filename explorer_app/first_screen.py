"""What the first window shows before the engine is up: the engine's own answers to the default scene, stored.

    python -m explorer_app.first_screen        asks the engine again and rewrites assets/first_screen.frames

The file holds protocol frames: the scene with what to select, one answer a frame, and a checksum. It is written by
driving the window that will show it through its tabs, layers and steps while a real engine answers; what it asked for
is kept.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from model_core.assets import asset
from model_core.errors import InputError
from model_core.protocol import Frame, FrameReader, encode_bytes
from model_core.queries import Answer, Query, Scene, layer_of, query
from model_core.regular_file import read_regular
from numpy.typing import NDArray

from explorer_app.session import Session

SCENE = Scene("tales-llama", "the blue cat ate my old shoe. the blue cat ate my old")
FILE = "first_screen.frames"
LIMIT = 2_000_000
CLEAR = 0.4


def load() -> Session:
    """The session of the bundled first screen; the same scene with nothing to show where the file is missing."""
    try:
        return session_of(read_regular(asset(FILE), LIMIT))
    except InputError:
        return Session(SCENE)


def session_of(data: bytes) -> Session:
    """A session that shows the stored answers, and still has the engine asked for them."""
    scene, selection, answers = read(data)
    session = Session(scene)
    for asked, answer in answers.items():
        session.take(scene, asked, answer, stored=True)
    session.select(**selection)
    return session


def read(data: bytes) -> tuple[Scene, dict[str, int], dict[Query, Answer]]:
    """Scene, selection and answers; of anything but what `write` wrote the default scene and nothing to show."""
    if data[-SEAL:] != seal(data[:-SEAL]):
        return SCENE, {}, {}
    head, *rest, _ = (frame for frame in FrameReader().feed(data) if isinstance(frame, Frame))
    answers = {
        query(frame.fields["query"]["kind"], **frame.fields["query"]["arguments"]): Answer(
            frame.fields["facts"], frame.arrays
        )
        for frame in rest
    }
    return Scene.from_json(head.fields["scene"]), dict(head.fields["selection"]), answers


def seal(data: bytes) -> bytes:
    """The frame behind all others: panels trust what the engine says, and so what is stored of it."""
    return encode_bytes(Frame("seal", 0, {"sha256": hashlib.sha256(data).hexdigest()}))


SEAL = len(seal(b""))


def write(
    scene: Scene, selection: Mapping[str, int], answers: Mapping[Query, Answer], limit: int = LIMIT
) -> bytes:
    """The frames of a scene and of its answers, in order, as far as they stay within `limit` bytes."""
    data = encode_bytes(Frame("scene", 0, {"scene": scene.to_json(), "selection": dict(selection)}))
    for asked, answer in answers.items():
        frame = encode_bytes(
            Frame("answer", 0, {"query": asked.to_json(), "facts": answer.facts}, answer.arrays)
        )
        if len(data) + len(frame) + SEAL <= limit:
            data += frame
    return data + seal(data)


def induction(pattern: NDArray[Any], tokens: Sequence[int]) -> NDArray[np.float64]:
    """[H] of a pattern [H T S]: how much the repeated tokens attend to what followed them before, 0..1.

    Prefix matching as in Olsson et al., "In-context Learning and Induction Heads" (2022).
    """
    earlier = {at: [k + 1 for k in range(at - 1) if tokens[k] == token] for at, token in enumerate(tokens)}
    looks = [pattern[:, at, keys].sum(-1) for at, keys in earlier.items() if keys]
    return np.mean(looks, axis=0) if looks else np.zeros(len(pattern))


def previous(pattern: NDArray[Any]) -> NDArray[np.float64]:
    """[H] of a pattern [H T S]: how much the tokens attend to the one before them, 0..1."""
    diagonal = np.diagonal(pattern, offset=-1, axis1=1, axis2=2)
    return diagonal.mean(-1) if diagonal.size else np.zeros(len(pattern))


def telling_head(patterns: Sequence[NDArray[Any]], tokens: Sequence[int]) -> tuple[int, int]:
    """(layer, head) that a person recognises at once: the strongest induction head, else the best at looking back."""
    scores = np.stack([induction(pattern, tokens) for pattern in patterns])
    if scores.max() < CLEAR:
        scores = np.stack([previous(pattern) for pattern in patterns])
    layer, head = np.unravel_index(scores.argmax(), scores.shape)
    return int(layer), int(head)


def record(scene: Scene) -> bytes:
    """The frames of a scene, as a real engine answers now."""
    from explorer_app.engine_client import EngineClient
    from explorer_app.snapshot import closing, settle
    from explorer_app.window import MainWindow

    patterns: list[Query] = []
    session = Session(scene)
    window = MainWindow(session, connect=lambda of, wanted: EngineClient(of, lambda: [*wanted(), *patterns]))
    with closing(window):
        window.show()
        window.client.start()
        settle(window.client)
        assert session.run is not None
        attention, tokens = session.kinds[0], session.run["tokens"]
        patterns += [query("value", site=attention.site(n, "pattern")) for n in range(attention.layers)]
        settle(window.client)
        layer, head = telling_head([known(session, asked)["values"] for asked in patterns], tokens)
        patterns.clear()
        # What is seen first comes first in the file; the rest as far as there is room.
        answers: dict[Query, Answer] = {}
        for visit in visits(window, layer, head):
            visit()
            settle(window.client)
            answers |= {asked: known(session, asked) for asked in window.wanted()}
    return write(scene, {"layer": layer, "head": head}, answers)


def visits(window: Any, layer: int, head: int) -> Iterator[Callable[[], object]]:
    """Where a person may look first, most likely first: the tabs, the layers, the steps of the layer in focus."""
    session: Session = window.session
    yield partial(session.select, layer=layer, head=head)
    for dock in reversed(window.of_area("centre")):
        yield dock.raise_
    for other in range(session.kinds[0].layers):
        yield partial(session.select, layer=other)
    for step, site in enumerate(session.sites):
        if layer_of(site["key"]) in (layer, None):
            yield partial(session.go_to_step, step)


def known(session: Session, asked: Query) -> Answer:
    answer = session.answer(asked)
    assert answer is not None, asked
    return answer


def main() -> int:
    from explorer_app import theme
    from explorer_app.snapshot import application, start_application

    start_application()
    theme.apply(application(), "light")
    data = record(SCENE)
    asset(FILE).write_bytes(data)
    _, selection, answers = read(data)
    print(f"{FILE}: {len(answers)} answers, {len(data):,} bytes, {selection}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
