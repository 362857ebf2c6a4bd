"""The next token panel: probabilities, log-probabilities and ranks are those of the model's logits."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pytestqt.qtbot import QtBot

from explorer_app.panels.next_token import NEXT, NextToken, nats_words
from explorer_app.state.store import RUN
from explorer_app.words.foreseen import changed_words, total, total_words
from explorer_app.words.numbers import percent
from model_core.api.queries.answer import Answer
from model_core.sources.presets import open_model
from tests.support.window.local_engine import GPT2, LLAMA, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat because it was tired."
NARROW = (300, 330)


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[NextToken]]:
    with on_screen(qtbot, NextToken, model, PROMPT, size=NARROW) as shown:
        yield shown


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_what_is_drawn_equals_a_plain_pass(qtbot: QtBot, tmp_path: Path, config: object) -> None:
    model = tiny_checkpoint(tmp_path, config)  # type: ignore[arg-type]
    with on_screen(qtbot, NextToken, model, PROMPT, size=NARROW) as shown:
        panel, session = shown.panel, shown.session
        loaded = open_model(model)
        tokens = loaded.tokenizer.encode(PROMPT)
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([tokens]))[0].double()
        likeliest = logits[-1].softmax(-1).sort(descending=True)
        bars = panel.likely.bars()
        assert len(bars) == 40
        for bar, probability, id in zip(bars, likeliest.values, likeliest.indices, strict=False):
            assert bar.value == pytest.approx(float(probability), rel=1e-4)
            assert f"id {int(id)}:" in bar.tip
            assert bar.text == percent(bar.value)
        log_probs = logits[:-1].log_softmax(-1)
        foreseen = panel.prompt.bars()
        assert foreseen[0].text == "–"
        for position, token in enumerate(tokens[1:]):
            log_prob = float(log_probs[position, token])
            rank = int((log_probs[position] > log_probs[position, token]).sum()) + 1
            assert f"predicted as number {rank} of 2048" in foreseen[position + 1].tip
            assert foreseen[position + 1].text == f"{log_prob:.2f} · {rank}".replace("-", "−")
        chosen = log_probs.gather(-1, torch.tensor(tokens[1:])[:, None]).mean()
        summed = total(session.answer(NEXT)["log_probs"])
        assert summed is not None
        assert summed.mean == pytest.approx(float(chosen), rel=1e-4)
        assert summed.perplexity == pytest.approx(math.exp(-float(chosen)), rel=1e-4)


def test_an_edit_shows_what_was_before_and_who_climbed(shown: OnScreen[NextToken]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    assert panel.changed.isHidden()
    before = {bar.tip.split(":")[0]: (rank, bar.value) for rank, bar in enumerate(panel.likely.bars())}
    session.toggle_edit("ablate L0H1")
    settle()
    assert not panel.changed.isHidden()
    assert panel.changed.text()
    for rank, bar in enumerate(panel.likely.bars()):
        old = before.get(bar.tip.split(":")[0])
        assert bar.climbed == (None if old is None else old[0] - rank)
        assert bar.before == (None if old is None else pytest.approx(old[1]))
    for gone in ({"edits": ()}, {"edits": ("ablate L0H1",)}, {"prompt": "Once upon a time"}):
        session.change(**gone)
        settle()
        compared = session.scene.edits and session.scene.prompt == PROMPT
        assert panel.changed.isHidden() != bool(compared)
        assert all(bar.before is None for bar in panel.likely.bars()) != bool(compared)


def test_a_double_click_appends_the_token_to_the_prompt(shown: OnScreen[NextToken]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    texts = session.answer(NEXT)["texts"]
    row = next(i for i, text in enumerate(texts) if text is not None)
    panel.likely.activated.emit(row)
    settle()
    assert session.scene.prompt == PROMPT + texts[row]
    assert panel.prompt.bars()[-1].label.replace("·", " ") == texts[row]


def test_bytes_that_form_no_character_cannot_be_appended(shown: OnScreen[NextToken]) -> None:
    panel, session = shown.panel, shown.session
    answer = session.answer(NEXT)
    panel._draw_likely(Answer({**answer.facts, "texts": [None] * 40}, answer.arrays), None)
    assert not panel.append.isEnabled()
    panel.likely.activated.emit(0)
    assert session.scene.prompt == PROMPT


def test_a_long_token_is_written_as_far_as_there_is_room_and_takes_none_of_the_tabs(
    shown: OnScreen[NextToken], qtbot: QtBot
) -> None:
    panel, answer = shown.panel, shown.session.answer(NEXT)
    assert answer is not None
    word, least = " telecommunications & more", panel.minimumSizeHint().width()
    long = Answer({**answer.facts, "strings": [word] * 40, "texts": [word] * 40}, answer.arrays)
    panel._draw_likely(long, None)
    bar, written = panel.tabs.tabBar(), []

    def has_room(width: int) -> bool:
        whole = all(part.width() >= part.sizeHint().width() for part in (bar, panel.append))
        return whole and panel.tabs.width() == width

    for width in (240, 300, 600):
        panel.resize(width, 330)
        qtbot.waitUntil(lambda width=width: has_room(width))
        assert panel.minimumSizeHint().width() == least
        assert panel.append.mapTo(panel, panel.append.rect().topRight()).x() < width
        written.append(panel.append.text())
    assert written[2] == "Append “·telecommunications·&&·more”"
    assert all(text.startswith("Append “·") and text.endswith("e”") and "…" in text for text in written[:2])
    assert len(written[0]) < len(written[1])
    assert "Append “·telecommunications·&·more”" in panel.append.toolTip()


def test_ids_are_appended_as_ids(qtbot: QtBot, tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path)
    (tmp_path / "layerscope.json").write_text(
        (tmp_path / "layerscope.json").read_text().replace('"tales-2048"', "null")
    )
    with on_screen(qtbot, NextToken, model, "5 17 3", size=NARROW) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        assert session.message == ""
        first = session.answer(NEXT)["ids"][0]
        panel.append.click()
        settle()
        assert session.scene.prompt == f"5 17 3 {first}"
        assert session.run["tokens"] == [5, 17, 3, first]


def test_a_click_on_a_token_of_the_prompt_locks_it(shown: OnScreen[NextToken]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    panel.prompt.clicked.emit(4)
    settle()
    assert session.selection.query == 4


def test_a_token_locked_elsewhere_is_brought_in_sight(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, NextToken, model, PROMPT * 10, size=NARROW) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        panel.tabs.setCurrentIndex(1)
        session.select(query=90)
        settle()
        row, height = panel.prompt.item_rect(90), panel.prompt.viewport().height()
        assert row.top() >= 0
        assert row.bottom() <= height


def test_one_token_has_nothing_to_foresee(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, NextToken, model, "The", size=NARROW) as shown:
        assert len(shown.panel.prompt.bars()) == 1
        assert "nothing before it" in shown.panel.total.text()


def test_an_edit_that_shows_the_future_is_said_to_spoil_the_numbers(shown: OnScreen[NextToken]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    assert "no predictions" not in panel.total.text()
    session.toggle_edit("mask off")
    settle()
    assert "no predictions" in panel.total.text()


def test_words_say_what_an_edit_changed() -> None:
    def answer(ids: list[int], probabilities: list[float]) -> Answer:
        strings = [f" w{id}" for id in ids]
        return Answer(
            {"ids": ids, "strings": strings}, {"probabilities": np.array(probabilities, np.float32)}
        )

    before = answer([1, 2], [0.5, 0.25])
    assert changed_words(answer([1, 2], [0.75, 0.1]), before) == "Still “·w1” first: 50.0 % → 75.0 %."
    assert changed_words(answer([1, 2], [0.5, 0.1]), before) == "Still “·w1” first: 50.0 % before and after."
    assert changed_words(answer([2, 1], [0.6, 0.1]), before) == (
        "“·w2” is first at 60.0 %; before it was number 2 at 25.0 %, and “·w1” was first."
    )
    assert "not among the 2 likeliest" in changed_words(answer([3, 1], [0.6, 0.1]), before)


def test_percentages_never_round_to_nothing_and_say_nothing_where_they_are_none() -> None:
    some = (0.6213, 0.001, 0.0004, 1e-4, 9.99e-5, 3e-8, 8.3e-42, 0.0, math.nan, math.inf)
    assert [percent(p) for p in some] == [
        "62.1 %", "0.1 %", "0.04 %", "0.01 %", "< 0.01 %", "< 0.01 %", "< 0.01 %", "0 %", "NaN", "∞",
    ]  # fmt: skip


def test_log_probabilities_are_short_however_small() -> None:
    assert [nats_words(x) for x in (-1.386, -104.0, -1e39, -math.inf)] == ["−1.39", "−104.00", "−1e39", "−∞"]


def test_probabilities_that_are_no_numbers_are_said_to_be_none(shown: OnScreen[NextToken]) -> None:
    panel, answer, run = shown.panel, shown.session.answer(NEXT), shown.session.run
    assert answer is not None
    assert run is not None
    arrays = {name: np.array(values) for name, values in answer.arrays.items()}
    arrays["probabilities"][:] = np.nan
    arrays["log_probs"][2] = np.nan
    panel.draw({RUN: run, NEXT: Answer(answer.facts, arrays)})
    assert panel.likely.bars() == []
    assert "not numbers (NaN)" in panel.likely.empty()
    assert panel.append.isHidden()
    texts = [bar.text for bar in panel.prompt.bars()]
    assert texts[3] == "NaN"
    assert "·" not in texts[3]
    assert panel.prompt.bars()[1].value > 0
    assert f"1 of {len(texts) - 1} log-probabilities are not numbers" in panel.total.text()
    panel.likely.activated.emit(0)
    panel.draw({RUN: run, NEXT: answer})
    assert not panel.append.isHidden()


def test_perplexity_is_e_to_the_mean_surprise() -> None:
    log_probs = np.log(np.array([0.5, 0.125], np.float32))
    assert total_words(log_probs) == "mean −1.386 nats a token, perplexity 4; 2 predicted"
