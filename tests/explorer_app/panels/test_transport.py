"""The film of the forward pass: where its buttons go, what it says, when it stops."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from explorer_app.panels.transport import Transport, caption, layer_step, meaning
from explorer_app.state.focus import block_of
from tests.support.window.local_engine import GPT2, LLAMA, QWEN3, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

KEYS = [
    "embed.out",
    "blocks.0.attn.q",
    "blocks.0.mlp.out",
    "blocks.1.attn.q",
    "blocks.1.mlp.out",
    "norm.out",
    "logits",
]


@pytest.mark.parametrize(
    ("at", "direction", "reached"),
    [
        ("blocks.0.attn.q", 1, "blocks.1.attn.q"),
        ("blocks.1.mlp.out", -1, "blocks.0.mlp.out"),
        ("blocks.1.attn.q", 1, "logits"),
        ("blocks.0.mlp.out", -1, "embed.out"),
        ("embed.out", 1, "blocks.0.attn.q"),
        ("logits", -1, "blocks.1.attn.q"),
        ("logits", 1, "logits"),
        ("embed.out", -1, "embed.out"),
    ],
)
def test_a_layer_on_is_the_same_value_there(at: str, direction: int, reached: str) -> None:
    assert KEYS[layer_step(KEYS, KEYS.index(at), direction)] == reached


@pytest.mark.parametrize(
    ("at", "direction", "shown", "reached"),
    [
        ("blocks.0.attn.q", 1, "blocks.1", "logits"),
        ("blocks.1.mlp.out", -1, "blocks.0", "embed.out"),
        ("blocks.0.attn.q", -1, "blocks.1", "blocks.0.attn.q"),
        ("embed.out", 1, "blocks.1", "blocks.1.attn.q"),
        ("embed.out", -1, "blocks.1", "embed.out"),
        ("logits", -1, "blocks.0", "blocks.0.attn.q"),
        ("embed.out", 1, "blocks.7", "blocks.0.attn.q"),
    ],
)
def test_layers_are_counted_from_the_one_on_screen(at: str, direction: int, shown: str, reached: str) -> None:
    assert KEYS[layer_step(KEYS, KEYS.index(at), direction, shown)] == reached


def test_a_caption_says_step_site_axes_and_shape() -> None:
    site = {"key": "blocks.3.attn.pattern", "dims": "B H T S", "shape": [1, 6, 9, 9]}
    assert caption(36, site, 124) == "step 37 of 124 · blocks.3.attn.pattern · B H T S 1×6×9×9"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("models")
    return {
        name: tiny_checkpoint(folder / name, config)
        for name, config in (("llama", LLAMA), ("gpt2", GPT2), ("qwen3", QWEN3))
    }


@pytest.fixture
def shown(qtbot: QtBot, models: dict[str, str]) -> Iterator[OnScreen[Transport]]:
    with on_screen(qtbot, Transport, models["llama"]) as shown:
        yield shown


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_every_step_of_every_family_is_explained_in_words(
    family: str, qtbot: QtBot, models: dict[str, str]
) -> None:
    with on_screen(qtbot, Transport, models[family]) as shown:
        keys = [site["key"] for site in shown.session.sites]
        assert [key for key in keys if meaning(key) == key] == []


def test_the_buttons_walk_the_steps(shown: OnScreen[Transport], qtbot: QtBot) -> None:
    session, panel = shown.session, shown.panel
    for button, step in ((panel.on, 1), (panel.on, 2), (panel.back, 1), (panel.last, len(session.sites) - 1)):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert session.selection.step == step
    qtbot.mouseClick(panel.first, Qt.MouseButton.LeftButton)
    assert session.selection.site == "tokens"
    session.go_to("blocks.0.attn.pattern")
    qtbot.mouseClick(panel.on_layer, Qt.MouseButton.LeftButton)
    assert session.selection.site == "blocks.1.attn.pattern"
    qtbot.mouseClick(panel.back_layer, Qt.MouseButton.LeftButton)
    assert session.selection.site == "blocks.0.attn.pattern"


def test_the_slider_and_the_text_follow_the_selection(shown: OnScreen[Transport]) -> None:
    shown.session.go_to("blocks.1.attn.scores")
    shown.settle()
    assert shown.panel.slider.value() == shown.session.selection.step
    assert "blocks.1.attn.scores" in shown.panel.text.text()
    assert "before the mask" in shown.panel.text.toolTip()
    assert "S key position" in shown.panel.text.toolTip()


def test_the_slider_moves_the_selection(shown: OnScreen[Transport]) -> None:
    shown.panel.slider.setValue(5)
    assert shown.session.selection.step == 5


def test_playing_goes_on_to_the_end_and_stops(shown: OnScreen[Transport], qtbot: QtBot) -> None:
    panel, last = shown.panel, len(shown.session.sites) - 1
    panel.timer.setInterval(1)
    shown.session.go_to_step(last - 5)
    panel.toggle()
    qtbot.waitUntil(lambda: not panel.timer.isActive())
    assert shown.session.selection.step == last


def test_playing_from_the_end_starts_over(shown: OnScreen[Transport]) -> None:
    panel = shown.panel
    panel.go_last()
    panel.toggle()
    assert shown.session.selection.step == 0
    panel.toggle()
    assert not panel.timer.isActive()


def test_the_speed_is_steps_per_second(shown: OnScreen[Transport]) -> None:
    panel = shown.panel
    panel.speed.setCurrentIndex(panel.speed.findData(8.0))
    assert panel.timer.interval() == 125
    assert panel.speed.currentText() == "8 steps/s"


def test_nothing_moves_sideways_while_it_plays(shown: OnScreen[Transport]) -> None:
    panel, session = shown.panel, shown.session
    places = set()
    for step in range(0, len(session.sites), 7):
        session.go_to_step(step)
        shown.settle()
        QTest.qWait(1)
        places.add(panel.slider.x())
    assert len(places) == 1


def test_a_hidden_film_still_plays_when_asked(shown: OnScreen[Transport]) -> None:
    shown.panel.hide()
    shown.panel.go(3)
    assert shown.session.selection.step == 3


def test_the_layer_keys_begin_at_the_layer_on_screen(shown: OnScreen[Transport]) -> None:
    session, panel = shown.session, shown.panel
    session.go_to_step(0)
    session.select(layer=1)
    panel.go_layer(1)
    assert block_of(session.selection.site) == "blocks.1"
    session.go_to("blocks.0.attn.q")
    session.select(layer=1)
    panel.go_layer(1)
    assert (session.selection.site, session.selection.layer) == ("blocks.2.attn.q", 2)
