"""What files leave open is asked for and said, on the command line and to the engine; the model before stays."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from model_core.api.protocol import Frame, hello
from model_core.api.scene import Scene
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.sources.presets import open_model
from model_core.system import devices
from tests.support.models import tutorials
from tests.support.models.tutorials import drawn

pytestmark = pytest.mark.unit

PROMPT = "5 17 3 40"


@pytest.fixture
def ckpt(tmp_path: Path) -> str:
    """A state dict that does not say its heads."""
    torch.save(drawn(tutorials.NanoGPT()).state_dict(), tmp_path / "ckpt.pt")
    return str(tmp_path / "ckpt.pt")


class Told:
    """An engine, and what it said of the last scene."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.engine = Engine(self.frames.append)

    def ask(self, scene: Scene) -> Frame:
        self.frames.clear()
        queries = [{"kind": "run", "arguments": {}}]
        request = Frame("ask", 1, {"asks": [{"scene": scene.to_json(), "queries": queries}]})
        self.engine.handle(request, lambda: False)
        return next(frame for frame in self.frames if frame.kind in ("answer", "error"))


def test_command_line_names_what_to_say(ckpt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--model", ckpt, "--prompt", PROMPT]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "do not say heads (attention heads in each layer): say it, such as --config heads=" in told


def test_trace_keeps_what_was_said_with_the_scene(ckpt: str, tmp_path: Path) -> None:
    out = tmp_path / "run.safetensors"
    words = ["--config", "n_heads=4", "--config", "activation=gelu"]
    assert main(["trace", "--model", ckpt, "--prompt", PROMPT, *words, "--out", str(out)]) == 0
    with safe_open(out, framework="pt") as file:
        scene = Scene.from_json(json.loads(file.metadata()["scene"]))
        assert file.get_tensor("blocks.0.attn.pattern").shape == (1, 4, 4, 4)
    assert scene.config == ("n_heads=4", "activation=gelu")
    assert open_model(scene.model, config=scene.config).model.config.heads == 4


@pytest.mark.process
def test_untrained_model_is_traced_generated_from_and_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["untrained:gpt2/124M"]
    for word in ("layers=2", "width=32", "heads=4", "hidden=48", "context=64", "seed=3"):
        model += ["--config", word]
    out = ["--out", str(tmp_path / "run.safetensors")]
    assert main(["trace", "--prompt", "Every effort moves you", *out, "--model", *model]) == 0
    assert main(["generate", "--prompt", "Every", "--max-new-tokens", "2", "--model", *model]) == 0
    assert main(["evaluate", *model]) == 0
    assert "Every" in capsys.readouterr().out


def test_models_lists_what_can_be_opened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    for words in (
        "config.json, params.json or layerscope.json",
        "llama2.c",
        "untrained:gpt2/124M",
        "--config",
    ):
        assert words in told


def test_engine_asks_by_a_form_and_opens_with_its_answers(ckpt: str) -> None:
    told = Told()
    error = told.ask(Scene(ckpt, PROMPT))
    assert error.kind == "error"
    assert [ask["name"] for ask in error.fields["asks"]] == ["heads", "activation", "eps"]
    json.dumps(error.fields)
    answers = tuple(f"{ask['name']}={ask['default']}" for ask in error.fields["asks"])
    answer = told.ask(Scene(ckpt, PROMPT, config=answers))
    assert answer.fields["facts"]["attentions"][0]["heads"] == error.fields["asks"][0]["default"]


def test_other_words_are_another_model(ckpt: str) -> None:
    told = Told()
    for heads in (4, 2):
        answer = told.ask(Scene(ckpt, PROMPT, config=(f"heads={heads}",)))
        assert answer.fields["facts"]["attentions"][0]["heads"] == heads
    assert len(told.engine.kept.models) == 2


def test_model_before_stays_when_another_cannot_be_opened(ckpt: str, tmp_path: Path) -> None:
    told = Told()
    good = Scene(ckpt, PROMPT, config=("heads=4",))
    assert told.ask(good).kind == "answer"
    bad = tmp_path / "bad.pt"
    bad.write_bytes(Path(ckpt).read_bytes()[:-50])
    for scene in (Scene(str(bad), PROMPT), Scene(ckpt, PROMPT), Scene(ckpt, PROMPT, config=("heads=5",))):
        assert told.ask(scene).kind == "error"
    model = told.engine.kept.models[good.opened]
    assert told.ask(good).kind == "answer"
    assert told.engine.kept.models[good.opened] is model


def test_what_a_model_needs_is_told_with_the_first_progress(ckpt: str) -> None:
    told = Told()
    told.ask(Scene(ckpt, PROMPT, config=("heads=4",)))
    first = next(frame.fields for frame in told.frames if frame.kind == "progress")
    assert (first["what"], first["share"]) == ("loading", 0.0)
    assert first["needs"].startswith("needs 0.0 MB, ")
    assert first["needs"].endswith(" GB free")


def test_models_not_on_screen_make_room_and_the_one_on_screen_never_does(
    ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    first, second, third = (Scene(ckpt, PROMPT, config=(f"heads={heads}",)) for heads in (1, 2, 4))
    told.ask(first)
    told.ask(second)

    def free() -> int:
        return 40_000 * (3 - len(told.engine.kept.models))

    size = sum(p.numel() * 4 for p in told.engine.kept.models[first.opened].model.parameters())
    assert 40_000 < size < 80_000
    monkeypatch.setattr(devices, "cpu_free", free)
    assert told.ask(third).kind == "answer"
    assert list(told.engine.kept.models) == [second.opened, third.opened]
    monkeypatch.setattr(devices, "cpu_free", lambda: 10)
    error = told.ask(Scene(ckpt, PROMPT, config=("heads=8",)))
    assert "has 0.0 MB free: choose a smaller dtype" in error.fields["message"]
    assert third.opened in told.engine.kept.models


def test_hello_says_what_memory_is_free() -> None:
    told = Told()
    told.engine.handle(hello(1), lambda: False)
    cpu = told.frames[0].fields["devices"][0]
    assert cpu["free_bytes"] is None or 0 < cpu["free_bytes"] <= cpu["memory_bytes"]
