"""`layerscope evaluate` measures a model as its card says."""

from pathlib import Path

import pytest

from model_core.cli.__main__ import main
from model_core.sources import presets
from tests.support.command_line import refused

pytestmark = pytest.mark.unit


@pytest.mark.process
def test_what_has_the_name_of_a_preset_is_evaluated_as_its_card_says(
    preset: str,
    data: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "tales-llama"
    assert main(["train", "--preset", preset, *data, "--out", str(out)]) == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    command = next(line.split()[1:] for line in card.splitlines() if "layerscope evaluate " in line)
    assert command[:2] == ["evaluate", "./tales-llama"]
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main([*command[:2], *data]) == 0
    said = capsys.readouterr().out
    assert "".join(f"    {line}".rstrip() + "\n" for line in said.splitlines()) in card
    begin = [
        "train",
        "--from",
        str(out),
        *data,
        "--steps",
        "1",
        "--length",
        "8",
        "--out",
        str(tmp_path / "more"),
    ]
    assert main(begin) == 0
    assert " train --from ./tales-llama " in (tmp_path / "more" / "README.md").read_text(encoding="utf-8")


def test_a_model_is_named_so_that_no_preset_is_meant_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tales-llama", "growth@16", "untrained:llama/tiny"):
        assert presets.said_again(name) == name
    for path, word in (
        ("runs/mine", "mine"),
        ("runs/growth", "./growth"),
        ("runs/growth@16", "./growth@16"),
        (str(presets.folder_of("growth")), "growth"),
        (f"{presets.folder_of('growth')}@16", "growth@16"),
    ):
        assert presets.said_again(path) == word
    (tmp_path / "growth@16").mkdir()
    assert presets.said_again("growth@16") == "./growth@16"


@pytest.mark.process
def test_evaluate_repeats_what_the_card_says(
    preset: str, data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert main(["train", "--preset", preset, *data, "--out", str(out), "--seed", "2"]) == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(out), *data]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "".join(f"    {line}".rstrip() + "\n" for line in said.out.splitlines()) in card
    *scores, blank, measured = said.out.splitlines()
    assert blank == ""
    assert measured.startswith("held out: documents 2 ")
    assert scores[0].startswith("best previous   L")
    assert len(scores) == 3 + 2 + 12


def test_evaluate_measures_the_documents_that_are_named(
    models: dict[str, str], data: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", models["gpt2"], *data, "--held-out", "0,1"]) == 0
    assert "held out: documents 0, 1 (counted from 0), " in capsys.readouterr().out
    assert main(["evaluate", models["gpt2"]]) == 0
    assert "held out" not in capsys.readouterr().out


def test_documents_to_measure_must_be_named_for_a_model_that_is_no_preset(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], data: list[str]
) -> None:
    message = refused(capsys, ["evaluate", models["llama"], *data])
    assert message == "tiny is no preset: say with --held-out which documents to measure"
