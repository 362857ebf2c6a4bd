"""The panel of splits: what it draws are the tokenizer's own merges, and the word follows the token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app import theme
from explorer_app.panels.split import WhyThisSplit, rungs_of, titles_of, words_of
from model_core.api.queries.answer import Answer
from model_core.sources.presets import open_model
from tests.support.window.local_engine import LLAMA, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

PROMPT = "The unbelievable princess couldn't find her handkerchief"


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[WhyThisSplit]]:
    with on_screen(qtbot, WhyThisSplit, model, PROMPT, size=(700, 500)) as shown:
        yield shown


def test_rows_are_the_merges_of_the_word_around_the_query_token(
    shown: OnScreen[WhyThisSplit], model: str
) -> None:
    tokenizer = open_model(model).tokenizer
    for position in (0, 3, 8):
        shown.select(query=position)
        split, rungs = tokenizer.split(PROMPT, position), shown.panel.ladder.rungs()
        assert [rung.pieces for rung in rungs] == [step.pieces for step in split.steps]
        assert [rung.value for rung in rungs[1:]] == [f"{step.value:.0f}" for step in split.steps[1:]]
        assert rungs[-1].notes == tuple(map(str, split.ids))
        assert rungs[-1].chosen == position - split.first


def test_without_a_chosen_token_the_last_word_is_shown(shown: OnScreen[WhyThisSplit]) -> None:
    assert shown.panel.words.text().startswith(
        "“·handkerchief” becomes 5 tokens by 8 merges: the pair of the lowest"
    )


def test_pointing_at_a_token_shows_its_word_and_leaving_brings_the_chosen_one_back(
    shown: OnScreen[WhyThisSplit],
) -> None:
    shown.select(query=13)
    known = shown.panel.needs()
    shown.select(query=3)
    assert set(known) <= set(shown.panel.ahead())
    assert "“·unbelievable”" in shown.panel.words.text()
    shown.session.hover(13)
    assert "“·her”" in shown.panel.words.text()
    shown.session.hover(None)
    assert "“·unbelievable”" in shown.panel.words.text()


def test_a_shorter_prompt_is_explained_without_a_complaint(shown: OnScreen[WhyThisSplit]) -> None:
    shown.select(query=18)
    shown.change(prompt="The cat")
    assert shown.session.message == ""
    assert "“·cat”" in shown.panel.words.text()


def test_ids_have_no_vocabulary_to_explain(qtbot: QtBot, tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path, LLAMA)
    manifest = tmp_path / "layerscope.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"tokenizer": None}))
    with on_screen(qtbot, WhyThisSplit, model, "5 17 3", size=(700, 400)) as shown:
        assert "no vocabulary" in shown.panel.words.text()
        assert shown.panel.ladder.rungs() == []


def answer(**facts: Any) -> Answer:
    return Answer({"measure": "", "steps": [], "ways": [], "first": 0, **facts})


def test_scores_are_shown_with_their_sum_the_taken_way_first() -> None:
    ways = [
        {"pieces": [" un", "do"], "scores": [-2.5, -3.0], "total": -5.5},
        {"pieces": [" ", "undo"], "scores": [-2.0, -9.25], "total": -11.25},
    ]
    split = answer(kind="scores", measure="score", ids=[4, 9], pieces=[" un", "do"], ways=ways)
    first, second = rungs_of(split, 1)
    assert (first.value, first.notes, first.chosen) == ("−5.5", ("−2.5", "−3"), 1)
    assert (second.value, second.widths, second.chosen) == ("−11.25", (1, 4), None)
    assert "−2.5 + −3 = −5.5" in first.tip
    assert titles_of(split) == ("way", "sum")
    assert "largest sum" in words_of(split)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("special", "“<s>” is a special token"),
        ("byte", "its bytes stand for it"),
        ("unknown", "neither merges nor scores"),
        ("ids", "no vocabulary"),
    ],
)
def test_every_other_kind_is_said_in_words(kind: str, said: str) -> None:
    split = answer(kind=kind, ids=[1], pieces=["<s>"])
    assert said in words_of(split)
    assert titles_of(split) == ("", "")
    assert [rung.pieces for rung in rungs_of(split, 0)] == ([] if kind == "ids" else [("<s>",)])


def test_a_token_that_nothing_was_merged_into_says_so() -> None:
    step = {"pieces": ["q"], "widths": [1], "made": None, "pair": None, "value": None}
    split = answer(kind="merges", measure="rank", ids=[5], pieces=["q"], steps=[step])
    assert words_of(split).startswith("“q” is one token")
    assert titles_of(split) == ("", "")


@pytest.mark.process
def test_both_themes_draw_the_chosen_token_in_the_colour_of_queries(
    shown: OnScreen[WhyThisSplit], qapp: QApplication
) -> None:
    shown.select(query=3)
    for scheme in ("light", "dark"):
        theme.apply(qapp, scheme)
        image = shown.panel.ladder.grab().toImage()
        colours = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
        assert theme.current().query in colours
        assert theme.current().accent in colours
