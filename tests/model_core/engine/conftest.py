"""Tiny models, scenes of them, and an engine in a process of its own."""

from collections.abc import Iterator

import pytest

from model_core.api.edits import parse
from model_core.api.scene import Scene
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from model_core.system.devices import configure_threads
from tests.support.engine.engine_process import Process
from tests.support.engine.local import PROMPT
from tests.support.models.tiny import CONFIGS, save


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The path of a tiny checkpoint of each family."""
    configure_threads()
    return {family: save(tmp_path_factory.mktemp(family), family) for family in CONFIGS}


@pytest.fixture(params=CONFIGS)
def scene(request: pytest.FixtureRequest, models: dict[str, str]) -> Scene:
    return Scene(models[request.param], PROMPT, edits=("mask off L1H2",))


@pytest.fixture
def llama(models: dict[str, str]) -> Scene:
    return Scene(models["llama"], PROMPT)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The engine as the window starts it. It outlives whatever the tests send."""
    started = Process("-m", "model_core.cli", "engine", log=tmp_path_factory.mktemp("engine") / "log")
    yield started
    assert started.end() == 0


@pytest.fixture
def run(scene: Scene) -> Run:
    loaded = open_model(scene.model)
    return Run(loaded.model, loaded.tokenizer.encode(PROMPT), [parse(edit) for edit in scene.edits])
