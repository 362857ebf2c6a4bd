"""What is learned from a text: further weights, and a vocabulary."""

import json
from pathlib import Path

import pytest

from model_core.api.run_files import CARD
from model_core.checkpoint.opening import open_checkpoint
from model_core.cli.__main__ import main
from model_core.text.tokenizer import END_OF_TEXT
from tests.support.training import DESCRIBED, TEXT, refused

pytestmark = pytest.mark.process


def test_fine_tuning_lowers_the_loss_of_text_that_was_held_out(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, tuned, verse = tmp_path / "base", tmp_path / "tuned", tmp_path / "verse.txt"
    assert main([*command, str(base), "--steps", "60"]) == 0
    verse.write_text("ROMEO:\nBut soft, what light through yonder window breaks?\n\n" * 60, encoding="utf-8")
    words = ["train", "--from", str(base), "--data", str(verse), "--out", str(tuned), "--lr", "0.003"]
    assert main([*words, "--steps", "40", "--batch", "4"]) == 0
    capsys.readouterr()
    losses = []
    for model in (base, tuned):
        assert main(["evaluate", str(model), "--data", str(verse), "--held-out", "5%"]) == 0
        said = capsys.readouterr().out
        assert "held out: the last 5% of the text, " in said
        losses.append(float(said.split("loss ")[1].split()[0]))
    assert losses[1] < losses[0] - 0.5
    card = (tuned / CARD).read_text(encoding="utf-8")
    assert "- Begun from: tiny; held out, before: the last 5% of the text, " in card
    assert f"loss {losses[0]:.4f}" in card
    assert f"loss {losses[1]:.4f}" in card
    assert main(["evaluate", str(tuned), "--data", str(verse)]) == 0
    assert capsys.readouterr().out in card.replace("\n    ", "\n").replace("    best", "best")


def test_vocabulary_is_learned_and_can_be_trained_with(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = tmp_path / "king.tiktoken"
    text = tmp_path / "text.txt"
    assert main(["tokenizer", "--data", str(text), "--vocab", "280", "--out", str(ranks)]) == 0
    assert capsys.readouterr().out == f"{ranks}: 280 tokens, the last of them {END_OF_TEXT}\n"
    described = {**DESCRIBED, "tokenizer": ranks.name}
    (tmp_path / "tiny.json").write_text(json.dumps(described), encoding="utf-8")
    assert main([*command, str(tmp_path / "made")]) == 0
    ranks.unlink()
    loaded = open_checkpoint(tmp_path / "made")
    assert loaded.tokenizer.vocab_size == loaded.model.config.vocab_size == 280
    ids = loaded.tokenizer.encode(TEXT)
    assert loaded.tokenizer.decode(ids) == TEXT
    assert len(ids) < len(TEXT)


def test_vocabulary_that_cannot_be_learned_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "a.tiktoken"
    text.write_text("abab", encoding="utf-8")
    words = ["tokenizer", "--data", str(text), "--out", str(out), "--vocab"]
    assert "ask for at least 257" in refused(capsys, [*words, "100"])
    assert "give a longer text" in refused(capsys, [*words, "5000"])
    assert not out.exists()
