"""Whatever is wrong, the window says so in one line by the prompt, and the last good picture stays."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from explorer_app.panels.attention import Attention
from explorer_app.state.session import Session
from explorer_app.window.window import MainWindow
from model_core.api.queries.values import SiteValue
from model_core.api.scene import Scene
from model_core.parts.decoder import Decoder
from model_core.system import devices
from tests.support.hostile.broken import BROKEN, hugging_face
from tests.support.window.local_engine import LLAMA, LocalEngine, tiny_checkpoint
from tests.support.window.window_on_screen import at_rest

pytestmark = pytest.mark.process

PROMPT = "The cat saw the dog"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "good", replace(LLAMA, width=24, head_dim=6))


@dataclass
class Good:
    """A window that shows a good run, and what it showed."""

    qtbot: QtBot
    window: MainWindow
    session: Session

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: at_rest(self.window), timeout=60_000)

    @property
    def picture(self) -> Any:
        attention = self.window.docks["attention"].panel
        assert isinstance(attention, Attention)
        return attention.heatmap.image_values()

    def refuses(self, *words: str, **scene: Any) -> None:
        """The change of the scene is refused with these words; the run and its picture stay; going back works."""
        good, picture, selection = self.session.shown, self.picture.copy(), self.session.selection
        self.session.change(**scene)
        self.settle()
        message = self.session.message
        # On screen it is a sentence: it begins with a capital.
        assert self.window.prompt_bar.line.text().lower() == message.lower()
        assert message
        assert "\n" not in message
        assert "Traceback" not in message
        assert all(word in message for word in words), message
        assert self.window.prompt_bar.line.isVisible()
        assert self.session.shown == good
        assert self.session.selection == selection
        assert np.array_equal(self.picture, picture, equal_nan=True)
        # A model that cannot be had has given way by itself; everything else is as the person left it.
        opens = not {"model", "config", "device", "dtype"} & scene.keys()
        assert (self.session.scene == good) == (not opens)
        self.session.change(**good.__dict__)
        self.settle()
        assert (self.session.message == "") == opens
        self.session.change(prompt=good.prompt + " and")
        self.settle()
        assert self.session.shown == replace(good, prompt=good.prompt + " and")
        assert self.session.message == ""


@pytest.fixture
def good(qtbot: QtBot, model: str) -> Iterator[Good]:
    window = MainWindow(Session(Scene(model, PROMPT)), connect=LocalEngine)
    qtbot.addWidget(window)
    window.show()
    window.client.start()
    good = Good(qtbot, window, window.session)
    good.settle()
    qtbot.waitUntil(lambda: window.session.run is not None, timeout=60_000)
    window.session.select(layer=1, head=2)
    good.settle()
    yield good
    window.close()


def test_empty_prompt(good: Good) -> None:
    good.refuses("prompt is empty", prompt="")


def test_prompt_longer_than_the_context_says_by_how_much(good: Good) -> None:
    good.refuses("320 tokens", "20 more than the context of 300", prompt="a" + " a" * 319)


def test_prompt_longer_than_the_context_can_be_cut_by_a_click(good: Good) -> None:
    good.session.change(prompt="a" + " a" * 319)
    good.settle()
    assert good.window.prompt_bar.fix.isVisible()
    good.qtbot.mouseClick(good.window.prompt_bar.fix, Qt.MouseButton.LeftButton)
    good.settle()
    assert good.session.message == ""
    assert len(good.session.run["tokens"]) == LLAMA.context
    assert good.window.prompt_bar.prompt.text() == "a" + " a" * 299


def test_unknown_model(good: Good) -> None:
    good.refuses("there is no model", "no-such-model", "tales-llama", model="no-such-model")


@pytest.mark.parametrize("case", BROKEN)
def test_broken_checkpoint(good: Good, model: str, tmp_path: Path, case: str) -> None:
    damage, words = BROKEN[case]
    folder = tmp_path / "broken"
    shutil.copytree(model, folder)
    damage(folder)
    good.refuses(*words, model=str(folder))


def test_config_that_is_not_utf8(good: Good, model: str, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(model, folder)
    hugging_face(model_type="llama")(folder)
    (folder / "config.json").write_bytes(b'{"model_type": "\xff\xfe"}')
    good.refuses("config.json", "UTF-8", model=str(folder))


def test_unknown_device(good: Good) -> None:
    good.refuses("'abacus'", "cpu", device="abacus")


def test_unknown_dtype(good: Good) -> None:
    good.refuses("'float7'", "float32", dtype="float7")


def test_dtype_that_the_device_cannot_compute_in(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("\"softmax_lastdim_kernel_impl\" not implemented for 'Half'")

    with monkeypatch.context() as patch:
        patch.setattr(devices.torch.Tensor, "softmax", missing)
        good.session.change(dtype="float16")
        good.settle()
    assert good.session.message == "cpu cannot compute in float16: choose another dtype or device"
    assert good.session.shown.dtype == "float32"


def test_memory_that_ran_out(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Decoder.forward

    def exhausted(self: Decoder, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(tokens[0]) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")
        return forward(self, tokens, *rest)

    monkeypatch.setattr(Decoder, "forward", exhausted)
    good.refuses("needs more memory than is free", prompt="one two three four five six seven eight nine ten")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("mask off L7", "there is no layer 7; this model has layers 0 to 2"),
        ("ablate L1H9", "there is no head 9; this model has heads 0 to 3"),
        ("paint it black", "no edit reads 'paint it black'"),
    ],
)
def test_edit_that_the_model_cannot_make_stops_no_run(good: Good, edit: str, words: str) -> None:
    session = good.session
    session.change(edits=(edit,), prompt="The dog")
    good.settle()
    assert words in session.suspended[edit]
    assert (session.shown.prompt, session.shown.edits) == ("The dog", ())
    assert session.message == ""


def test_unknown_site_typed_into_the_inspector(good: Good) -> None:
    chooser = good.window.docks["inspector"].panel.findChild(QComboBox)
    assert chooser is not None
    site = good.session.selection.site
    chooser.lineEdit().selectAll()
    good.qtbot.keyClicks(chooser.lineEdit(), "blocks.9.attn.pattern")
    good.qtbot.keyClick(chooser.lineEdit(), Qt.Key.Key_Return)
    good.settle()
    assert good.session.selection.site == site
    assert "blocks.9.attn.pattern" in good.session.message


def test_question_about_an_unknown_site_is_refused_and_the_rest_is_answered(good: Good) -> None:
    wanted = good.window.client.wanted
    good.window.client.wanted = lambda: [SiteValue(site="blocks.9.attn.q"), *wanted()]
    good.session.change(prompt=PROMPT + " run")
    good.settle()
    assert good.session.message == "there is no site 'blocks.9.attn.q' in this model"
    assert good.session.shown.prompt == PROMPT + " run"
