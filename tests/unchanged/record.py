"""Everything that a model of each kind shows and prints: `python -m tests.unchanged.record FOLDER [MODELS]`.

FOLDER gets one file of arrays and one of facts for each scene; MODELS are the tiny checkpoints, made there where they
are not yet. What it writes is named alike in every state of the code, so that two records can be compared.
"""

import contextlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from model_core.api.protocol import Frame
from model_core.api.queries.heads import HeadRoles
from model_core.api.queries.model import MeasuredGraph, ModelFacts
from model_core.api.queries.norms import NormStatistics
from model_core.api.queries.positions import PositionTable, RopeConventions, RopeOfHead
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.query import Query, kinds
from model_core.api.queries.run import GrowthRecord, RunSummary, SiteList
from model_core.api.queries.values import HeadMaps, SiteTable, SiteValue
from model_core.api.queries.words import TextSplit
from model_core.api.scene import Scene
from model_core.cli.__main__ import main as command
from model_core.engine.answering import Engine
from model_core.sources.presets import NAMES
from model_core.system.devices import configure_threads
from tests.support.models import tiny

PROMPT = "Once upon a time there was a girl. Once upon a time"
SHORT = "The cat saw the dog"
DATE = "the 3rd of March 1987"
EDITS: tuple[tuple[str, ...], ...] = ((), ("mask off",), ("mask off L1H1", "ablate L0H1"))
OF_TWO_TEXTS: tuple[tuple[str, ...], ...] = ((), ("ablate cross L1H1", "ablate encoder L0H0"))
UNTIMED = {"milliseconds", "pid", "source_path"}


def models(folder: Path) -> dict[str, str]:
    """Name -> what is asked for: the presets, and a tiny checkpoint of each family."""
    found = {name: name for name in NAMES}
    for family in (*tiny.CONFIGS, *tiny.ENCODER_DECODERS):
        path = folder / family.replace(" ", "-")
        if not path.exists():
            tiny.save(path, family)
        found[path.name] = str(path)
    return found


def scenes(model: str, name: str) -> Iterator[tuple[str, Scene]]:
    two = name.startswith(("seq2seq", "dates"))
    prompt = DATE if name == "dates" else PROMPT if name in NAMES else SHORT
    for number, edits in enumerate(OF_TWO_TEXTS if two else EDITS):
        yield f"{name}-{number}", Scene(model, prompt, target="1987" if name == "dates" else "", edits=edits)


class Asking:
    """The engine in this process."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.engine = Engine(self.frames.append)

    def answers(self, scene: Scene, queries: Sequence[Query]) -> dict[str, Frame]:
        self.frames.clear()
        asked = {"asks": [{"scene": scene.to_json(), "queries": [one.to_json() for one in queries]}]}
        self.engine.handle(Frame("ask", 1, asked), lambda: False)
        found = {}
        for frame in self.frames:
            if frame.kind in ("answer", "error"):
                found[named(frame.fields["query"])] = frame
        return found


def named(asked: dict[str, Any] | None) -> str:
    """A query by its kind and those of its fields that have a value of their own."""
    if asked is None:
        return "scene {}"
    said = {
        one.name: asked["arguments"][one.name]
        for one in fields(kinds()[asked["kind"]])  # type: ignore[arg-type]
        if one.default != asked["arguments"][one.name]
    }
    return f"{asked['kind']} {json.dumps(said, sort_keys=True)}"


def questions(run: dict[str, Any], sites: Sequence[str], last: int) -> list[Query]:
    """One of every kind, and of those about a layer, head or site several."""
    asked = [
        NextTokens(k=12),
        SiteList(),
        MeasuredGraph(),
        ModelFacts(),
        PositionTable(),
        GrowthRecord(),
        TextSplit(position=2),
        TextSplit(position=last, text=0),
        RopeOfHead(layer=1, head=1),
        RopeConventions(layer=1, head=1, query=3, key=1),
        NormStatistics(module="blocks.0.norm1"),
        NormStatistics(module="norm"),
        NormStatistics(module="encoder.blocks.1.norm2"),
        NormStatistics(module="nothing"),
    ]
    for kind in run["attentions"]:
        for word in ("scores", "masked", "pattern"):
            asked.append(HeadMaps(word=word, stack=kind["name"], side=8))
        asked.append(HeadRoles(stack=kind["name"]))
    asked.append(HeadRoles(on="probe", stack=run["attentions"][0]["name"]))
    for site in sites:
        asked.append(SiteTable(site=site))
    for site in sites[:: max(1, len(sites) // 12)]:
        asked.append(SiteValue(site=site))
    asked.append(SiteValue(site=sites[-1], at={"T": 1}))
    asked.append(SiteValue(site="no.site"))
    return asked


def record(out: Path, folder: Path) -> None:
    configure_threads()
    asking = Asking()
    for name, model in models(folder).items():
        for label, scene in scenes(model, name):
            arrays: dict[str, np.ndarray[Any, Any]] = {}
            facts: dict[str, Any] = {}
            for key, frame in everything(asking, scene):
                facts[key] = {k: v for k, v in told(frame).items() if k not in UNTIMED}
                arrays |= {f"{key} {n}": array for n, array in frame.arrays.items()}
            traced = out / f"{label}.trace.safetensors"
            options = [word for edit in scene.edits for word in ("--edit", edit)]
            options += ["--target", scene.target] if scene.target else []
            run("trace", "--model", model, "--prompt", scene.prompt, *options, "--out", str(traced))
            for greedy in (["--temperature", "0"], ["--temperature", "0.8", "--top-k", "40", "--seed", "3"]):
                text = run(
                    "generate", "--model", model, "--prompt", scene.prompt, *options,
                    "--max-new-tokens", "8", *greedy,
                )  # fmt: skip
                facts[f"generate {' '.join(greedy)}"] = {"text": text}
            safetensors.numpy.save_file(
                {key: np.ascontiguousarray(array) for key, array in arrays.items()},
                out / f"{label}.safetensors",
            )
            (out / f"{label}.json").write_text(json.dumps(facts, indent=1, sort_keys=True))
            print(label, len(arrays), "arrays", len(facts), "facts", flush=True)


def everything(asking: Asking, scene: Scene) -> Iterator[tuple[str, Frame]]:
    first = asking.answers(scene, [RunSummary()])
    yield from first.items()
    (run_,) = (told(frame) for frame in first.values())
    if "attentions" not in run_:
        return
    traced = asking.engine.kept.runs[scene][0]
    sites = [site.key for site in traced.steps][len(run_["texts"]) :]
    yield from asking.answers(scene, questions(run_, sites, len(run_["tokens"]) - 1)).items()


def told(frame: Frame) -> dict[str, Any]:
    if frame.kind == "error":
        return {"message": frame.fields["message"]}
    found: dict[str, Any] = frame.fields["facts"]
    return found


def run(*words: str) -> str:
    """What a command prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        code = command(list(words))
    return f"{code} {printed.getvalue()}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    record(target, Path(sys.argv[2]) if len(sys.argv) > 2 else target / "models")
