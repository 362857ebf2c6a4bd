"""What the window reads: its settings, the first screen, the record of a growth, and frames of the protocol."""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from explorer_app.state.session import Session
from explorer_app.state.settings import Kept, Layout, Recent, Settings, kept_of, to_json
from explorer_app.state.training import Spec, spec_of
from explorer_app.window import first_screen
from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.protocol import BadFrame, Frame, FrameReader, encode_bytes
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.run import GrowthRecord, RunSummary, SiteList
from model_core.api.queries.values import HeadMaps, SiteTable, SiteValue
from model_core.api.scene import Scene
from model_core.engine.answering import Engine
from model_core.engine.questions.run import growth_
from model_core.sources import growth
from tests.fuzz.formats import FORMATS, Files, Format, unfailing, written

# Settings: read, and kept again


def settings() -> Files:
    specs = (
        Spec(out="runs/tales", preset="tales-llama", data=("tales.txt",), lr=0.002),
        Spec(out="runs/more", source="models/mine", config=("heads=8",), device="cuda", dtype="bfloat16"),
    )
    kept = Kept(
        theme="dark",
        layout=Layout(bytes(range(70)), bytes(range(256)) * 3),
        recent=(Recent("models/mine", ("heads=8",)), Recent("growth@16")),
        folder="models",
        trainings=specs,
    )
    return {"settings.json": json.dumps(to_json(kept), indent=1).encode()}


def remembered(folder: Path) -> None:
    path = folder / "settings.json"
    kept = Settings(path).kept
    assert kept_of(to_json(kept)) == kept
    for spec in kept.trainings:
        assert spec_of(json.loads(json.dumps(spec.to_json()))) == spec
        assert [word.encode() for word in spec.words()]
    Settings(path).change(folder="elsewhere")
    assert Settings(path).kept.folder == "elsewhere"


FORMATS["settings"] = Format(settings, unfailing(remembered))


# The first screen: the session that it becomes, walked through


def screen() -> Files:
    bundled = asset(first_screen.FILE).read_bytes()
    return {first_screen.FILE: first_screen.write(*first_screen.read(bundled), limit=60_000)}


def walked(folder: Path) -> None:
    session = first_screen.session_of((folder / first_screen.FILE).read_bytes())
    for step in range(len(session.sites)):
        session.go_to_step(step)
        session.hover(step, step)
    for kind in session.kinds:
        session.select(stack=kind.name, layer=kind.layers, head=kind.heads, query=0, key=0)
    for text in session.texts:
        assert len(text["tokens"]) == len(text["strings"])


FORMATS["first screen"] = Format(screen, unfailing(walked))


# The record of a growth: answered by the engine, shown by the slider


def grown() -> Files:
    tables = [[[n / 8, n / 9], [n / 10, n / 11]] for n in range(9)]
    moments = [
        growth.Moment(
            4**n, 64 * 4**n, dict(zip(("previous", "induction", "duplicate"), tables[n:], strict=False))
        )
        for n in range(4)
    ]
    return written(lambda folder: growth.write(folder, moments))


def slid(folder: Path) -> None:
    growth.moments(folder)
    scene = Scene(str(folder), "1 2 3")
    answer = growth_(SimpleNamespace(scene=scene), GrowthRecord())
    (frame,) = FrameReader().feed(encode_bytes(Frame("answer", 0, {"facts": answer.facts}, answer.arrays)))
    assert isinstance(frame, Frame)
    show(scene, Answer(frame.fields["facts"], frame.arrays))


def show(scene: Scene, answer: Answer) -> None:
    """Draw the panel of it."""
    from explorer_app.panels.growth import GROWTH, Growth
    from explorer_app.window.snapshot import application, start_application
    from tests.support.window.fake_run import one_text

    start_application()
    session, run = Session(scene), one_text()
    run.facts["grows"] = True
    session.take(scene, RunSummary(), run)
    session.take(scene, GROWTH, answer)
    panel = Growth(session)
    panel.draw({GROWTH: answer})
    panel.grab()
    for step in range(len(answer["steps"])):
        panel.go_to(step)
    panel.detach()
    panel.deleteLater()
    application().processEvents()


FORMATS["growth"] = Format(grown, slid)


# Frames: whatever comes over the pipe, read and answered by an engine


def frames() -> Files:
    scene = Scene("growth", "The cat saw the cat", edits=("mask off L0",))
    asked = [
        RunSummary(),
        SiteList(),
        NextTokens(k=3),
        HeadMaps(side=3),
        SiteValue(site="blocks.1.attn.pattern", at={"H": 1}),
        SiteTable(site="blocks.0.attn.q", at={"H": 0}, limit=4),
    ]
    ask = {"asks": [{"scene": scene.to_json(), "queries": [one.to_json() for one in asked]}]}
    size = {"model": "untrained:gpt2/124M", "config": ["layers=2"], "device": "cpu"}
    arrays = {"wide": np.arange(6, dtype=np.float64).reshape(2, 3), "narrow": np.zeros(5, np.uint8)}
    said = [
        Frame("ask", 1, ask),
        Frame("size", 2, size),
        Frame("answer", 3, {"facts": {"dims": "T D"}}, arrays),
    ]
    return {"stream.frames": b"".join(map(encode_bytes, said))}


@cache
def answering() -> tuple[Engine, list[Frame]]:
    """An engine, which keeps its models, and what it sends."""
    sent: list[Frame] = []
    return Engine(sent.append), sent


def answered(folder: Path) -> None:
    data, whole, pieces = (folder / "stream.frames").read_bytes(), FrameReader(), FrameReader()
    came = whole.feed(data)
    cut = [one for at in range(0, len(data), 97) for one in pieces.feed(data[at : at + 97])]
    assert [type(one) for one in came] == [type(one) for one in cut]
    engine, sent = answering()
    sent.clear()
    for frame in came:
        if isinstance(frame, Frame):
            engine.handle(frame, lambda: False)
    encoded = [encode_bytes(frame) for frame in sent]
    assert all(not frame.fields.get("fault") for frame in sent), [f.fields.get("message") for f in sent]
    if any(isinstance(one, BadFrame) for one in came) or not encoded:
        raise InputError("what is no frame was said to be none")


FORMATS["frames"] = Format(frames, answered)
