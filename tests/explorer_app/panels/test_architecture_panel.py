"""The architecture panel says what the model on screen is, in the family's own words and the model's own numbers."""

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.panels.architecture import Architecture, facts_html
from explorer_app.words.config_words import about_html, meaning
from model_core.api.queries.answer import Answer
from model_core.engine import describe
from model_core.families.registry import FAMILIES
from model_core.sources.presets import open_model
from tests.support.window.local_engine import LLAMA
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Architecture]]:
    with on_screen(qtbot, Architecture, model) as shown:
        yield shown


def test_it_shows_the_familys_own_text(shown: OnScreen[Architecture]) -> None:
    text = " ".join(shown.panel.about.toPlainText().split())
    for sentence in FAMILIES["llama"].about.split("\n\n"):
        assert " ".join(sentence.split()) in text


def test_every_field_of_the_configuration_is_there_with_its_value(shown: OnScreen[Architecture]) -> None:
    lines = shown.panel.facts.toPlainText().splitlines()
    for name in ("vocab_size", "width", "heads", "kv_heads", "hidden", "head_dim"):
        at = lines.index(name)
        assert lines[at + 1 : at + 3] == [str(getattr(LLAMA, name)), meaning(name)]


def test_the_parts_add_up_to_the_model(shown: OnScreen[Architecture], model: str) -> None:
    facts = describe.architecture(open_model(model))
    bars = {bar.label: bar.value for bar in shown.panel.parts.bars()}
    assert list(bars) == ["embedding", "norms", "attention", "MLP", "head"]
    assert sum(bars.values()) == pytest.approx(1)
    embedding = LLAMA.vocab_size * LLAMA.width
    assert bars["embedding"] == embedding / facts["parameters"]
    # The head is tied: its row says so and counts nothing.
    assert bars["head"] == 0
    assert "tied" in shown.panel.facts.toPlainText()


def test_it_says_where_the_weights_come_from(shown: OnScreen[Architecture], model: str) -> None:
    assert model in shown.panel.facts.toPlainText()
    shown.change(model="untrained:mini/tiny", prompt="5 17 3")
    assert "never trained" in shown.panel.facts.toPlainText()
    assert "head" in [bar.label for bar in shown.panel.parts.bars()]


def test_it_is_asked_once_for_a_scene_whatever_is_selected(shown: OnScreen[Architecture]) -> None:
    asked = len(shown.answered)
    shown.select(layer=2, head=1)
    shown.select(query=1)
    assert len(shown.answered) == asked


@pytest.mark.parametrize("name", FAMILIES)
def test_every_field_of_every_family_has_a_meaning(name: str) -> None:
    assert all(meaning(field["name"]) for field in describe.families()[name]["fields"])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_text_begins_with_a_headline_and_ends_with_its_source(name: str) -> None:
    html = about_html(FAMILIES[name].about, theme.LIGHT.text, theme.LIGHT.muted)
    assert html.count("font-size: large") == 1
    assert html.count("font-size: small") == 1
    assert "`" not in html


@pytest.mark.parametrize("width", [250, 350])
def test_a_name_of_the_configuration_is_not_broken_inside(qapp: QApplication, width: int) -> None:
    facts: dict[str, Any] = {
        "config": {"low_freq_factor": "1.0", "theta": "500000.0"},
        "path": "/models/" + "a" * 40,
        "bundled": False,
        "name": "llama",
        "shared": [],
        "tokenizer": {"name": "llama", "vocab_size": 128256, "bos": None, "eos": None},
    }
    text = QTextDocument()
    text.setHtml(facts_html(Answer(facts)))
    text.setTextWidth(width)
    text.size()
    block = text.find("low_freq_factor").block()
    assert block.text() == "low_freq_factor"
    assert block.layout().lineCount() == 1
