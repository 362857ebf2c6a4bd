"""A checkpoint that takes the place of another in the same folder is another, and none is taken for the other."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_core.api.protocol import Frame
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene
from model_core.api.stamp import stamp
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.engine.answering import Engine
from tests.support.window.local_engine import tiny_checkpoint

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return tiny_checkpoint(tmp_path / "run")


def train_a_little(folder: str) -> None:
    """Other weights, written as training writes them."""
    loaded = open_checkpoint(folder)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight.mul_(1.5)
    native.save(
        folder,
        loaded.model,
        loaded.family,
        tokenizer="tales-2048",
        name=loaded.name,
        about="",
        dtype="float32",
    )


def ask(engine: Engine, scene: Scene) -> list[Frame]:
    frames: list[Frame] = []
    engine.send = frames.append
    queries = [SiteValue(site="logits").to_json()]
    engine.handle(
        Frame("ask", 1, {"asks": [{"scene": scene.to_json(), "queries": queries}]}),
        lambda: False,
    )
    return frames


def logits(frames: list[Frame]) -> bytes:
    (answer,) = (frame for frame in frames if frame.kind == "answer")
    return bytes(answer.arrays["values"].tobytes())


def test_the_stamp_follows_the_files_and_nothing_else(folder: str) -> None:
    first = stamp(folder)
    assert first
    assert stamp(folder) == first
    for other in ("log.jsonl", "training.json", "training.safetensors", ".model.safetensors.7.part"):
        (Path(folder) / other).write_text("{}")
    assert stamp(folder) == first
    os.utime(Path(folder) / "model.safetensors", (1, 1))
    assert stamp(folder) != first


def test_a_file_of_its_own_has_a_stamp_and_a_name_has_none(folder: str, tmp_path: Path) -> None:
    file = Path(folder) / "model.safetensors"
    assert stamp(str(file)) not in ("", stamp(folder))
    for name in ("tales-llama", "untrained:gpt2/124M", str(tmp_path / "nowhere"), "a\0b"):
        assert stamp(name) == ""


def test_opened_again_after_training_it_is_the_new_model(folder: str) -> None:
    engine = Engine(lambda frame: None)
    scene = Scene(folder, "The cat", version=stamp(folder))
    before = logits(ask(engine, scene))
    train_a_little(folder)
    assert logits(ask(engine, replace(scene, version=stamp(folder)))) != before


def test_what_was_opened_stays_as_it_was_while_its_folder_changes(folder: str) -> None:
    engine = Engine(lambda frame: None)
    scene = Scene(folder, "The cat", version=stamp(folder))
    before = logits(ask(engine, scene))
    train_a_little(folder)
    assert logits(ask(engine, replace(scene, prompt="The cat "))) != before
    assert logits(ask(engine, scene)) == before


def test_replaced_files_are_not_passed_off_for_those_that_were_opened(folder: str) -> None:
    engine = Engine(lambda frame: None)
    scene = Scene(folder, "The cat", version=stamp(folder))
    train_a_little(folder)
    error, _ = ask(engine, scene)
    assert error.kind == "error"
    assert error.fields["message"] == "the files of this model were replaced since it was opened"
    assert error.fields["opening"]
    answer = ask(engine, replace(scene, **error.fields["fix"]))
    assert logits(answer)


def test_a_scene_that_was_stored_without_a_version_means_whatever_is_there(folder: str) -> None:
    fields = Scene(folder, "The cat").to_json()
    del fields["version"]
    scene = Scene.from_json(fields)
    assert scene == Scene(folder, "The cat")
    assert logits(ask(Engine(lambda frame: None), scene))


def test_a_link_that_leads_nowhere_hides_no_change(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = stamp(str(tmp_path))
    (tmp_path / "lost.json").symlink_to("nowhere")
    assert stamp(str(tmp_path)) == before != ""
