"""`layerscope generate` prints a prompt and what comes after it, as it comes."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_core.api.edits import parse
from model_core.cli.__main__ import main
from model_core.generation.generate import Sampling, generate
from model_core.sources.presets import open_model
from model_core.text.tokenizer import END_OF_TEXT
from tests.support.command_line import LONG, PROMPT, families, generated
from tests.support.models.tiny import CONTEXT, save

pytestmark = pytest.mark.unit


@families
@pytest.mark.process
def test_generate_prints_the_prompt_and_what_comes_after_it(
    models: dict[str, str], family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = open_model(models[family])
    ids = loaded.tokenizer.encode(PROMPT)
    for arguments, sampling, edits in (
        (["--temperature", "0"], Sampling(temperature=0), []),
        (
            ["--temperature", "0.7", "--top-k", "9", "--top-p", "0.9", "--seed", "3"],
            Sampling(0.7, 9, 0.9, 3),
            [],
        ),
        (["--seed", "3", "--edit", "mask off"], Sampling(seed=3), ["mask off"]),
    ):
        new = list(generate(loaded.model, ids, 10, sampling, [parse(edit) for edit in edits]))
        assert loaded.tokenizer.eos not in new
        said = generated(
            capsys, "--model", models[family], "--prompt", PROMPT, "--max-new-tokens", "10", *arguments
        )
        assert said == loaded.tokenizer.decode(ids + new) + "\n"
        assert said.startswith(PROMPT)


def test_prompt_of_ids_goes_on_in_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save(tmp_path / "ids", "gpt2", tokenizer=None)
    words = generated(capsys, "--model", model, "--prompt", "5,17,3", "--max-new-tokens", "4").split()
    assert words[:3] == ["5", "17", "3"]
    assert len(words) == 7


class Pieces(io.StringIO):
    """A stdout that remembers in which pieces it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        if text:
            self.pieces.append(text)
        return len(text)


@pytest.mark.parametrize(
    ("new", "pieces"),
    [
        (["a", b"\xe2", b"\x80", b"\x99", "s"], ["Ita", "’", "s", "\n"]),
        ([b"\xf0\x9f", b"\x98\x80", b"\xff", "b"], ["It", "😀", "\ufffdb", "\n"]),
        (["a", b"\xe2\x80"], ["Ita", "\ufffd", "\n"]),
        (["a", END_OF_TEXT], ["Ita", "\n"]),
    ],
)
def test_text_comes_as_it_is_made_and_no_character_in_parts(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch, new: list[str | bytes], pieces: list[str]
) -> None:
    tokenizer = open_model(models["gpt2"]).tokenizer

    def scripted(*_: object, **__: object) -> Iterator[int]:
        for part in new:
            # The id of a single byte is its value; a part of several bytes gives several tokens.
            yield from tokenizer.encode(part) if isinstance(part, str) else part

    monkeypatch.setattr("model_core.generation.generate.generate", scripted)
    stdout = Pieces()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["generate", "--model", models["gpt2"], "--prompt", "It"]) == 0
    assert stdout.pieces == pieces


@pytest.mark.process
def test_cut_prompt_to_go_on_after_is_the_end_with_room_for_the_new_tokens(
    models: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = open_model(models["llama"]).tokenizer
    ids = tokenizer.encode(LONG)
    for count, kept in ((1, CONTEXT - 1), (5, CONTEXT - 5), (500, CONTEXT // 2)):
        said = generated(
            capsys,
            *("--model", models["llama"], "--prompt", LONG, "--cut"),
            *("--max-new-tokens", str(count), "--temperature", "0"),
        )
        assert said.startswith(tokenizer.decode(ids[-kept:]))
        assert said.count("\n") == 1
        loaded = open_model(models["llama"])
        new = list(generate(loaded.model, ids[-kept:], count, Sampling(temperature=0)))
        assert len(new) == min(count, CONTEXT - kept + 1)
        assert said == tokenizer.decode(ids[-kept:] + new) + "\n"
