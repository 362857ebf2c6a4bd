"""The bundled model of dates is what its card says: its answers are right, and a head looks at what they come from."""

import re
from itertools import islice
from pathlib import Path

import pytest

from model_core.api.protocol import Frame
from model_core.api.scene import Scene
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.sources.presets import folder_of, open_model
from model_core.training.dates import written
from model_core.training.pairs import UNSEEN_SEED, answers

pytestmark = pytest.mark.process


def test_unseen_dates_are_answered_and_looked_at_as_the_card_says() -> None:
    loaded = open_model("dates")
    card = (folder_of("dates") / "README.md").read_text(encoding="utf-8")
    found = answers(loaded.model, loaded.tokenizer, list(islice(written(UNSEEN_SEED, held_out=True), 400)))
    said = re.search(r"exact match +([\d.]+)%\n +cross-attention +([\d.]+)% of the digits, by (L\dH\d)", card)
    assert said is not None
    exact, alignment, head = float(said[1]) / 100, float(said[2]) / 100, said[3]
    assert exact >= 0.99
    assert alignment >= 0.9
    assert found.exact == pytest.approx(exact, abs=0.01)
    assert found.alignment.max().item() == pytest.approx(alignment, abs=0.02)
    assert f"by {head}" in str(found)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("the 5th of November, 1955", "1955-11-05"),
        ("OCT 26 '85", "1985-10-26"),
        ("21.10.15", "2015-10-21"),
        ("12/1/2000", "2000-12-01"),
    ],
)
def test_dates_are_answered_on_the_command_line(
    capsys: pytest.CaptureFixture[str], text: str, iso: str
) -> None:
    assert main(["generate", "--model", "dates", "--prompt", text, "--temperature", "0"]) == 0
    assert capsys.readouterr().out == f"{iso}\n"


def test_dates_are_neither_trained_nor_measured_on_text(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("7 March 2024", encoding="utf-8")
    for words in (["evaluate", "dates"], ["train", "--preset", "dates", "--out", str(tmp_path / "made")]):
        assert main([*words, "--data", str(text)]) == 2
        assert "dates that are made: leave out --data" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_decoder_begins_with_what_is_put_before_every_text() -> None:
    told: list[Frame] = []
    scene = Scene(model="dates", prompt="7 March 2024")
    queries = [{"kind": "next_token", "arguments": {"k": 3}}]
    Engine(told.append).handle(
        Frame("ask", 1, {"asks": [{"scene": scene.to_json(), "queries": queries}]}),
        lambda: False,
    )
    (answer,) = [frame for frame in told if frame.kind == "answer"]
    assert answer.fields["facts"]["strings"][0] == "2"
