"""A damaged file of a tokenizer is one clear line."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import Tokenizer
from tests.support.data_files import STORIES
from tests.support.models.tokenizers import SETTINGS, TALES
from tests.support.models.vocabularies import (
    SIZE,
    bpe_json,
    llama2c_file,
    open_json,
    opened,
    sentencepiece_model,
    vocab_and_merges,
    write,
)

pytestmark = pytest.mark.unit


def broken(kind: str) -> tuple[dict[str, Any], str]:
    """The files of a folder whose tokenizer cannot be read, and what is to be said about it."""
    vocab, model = vocab_and_merges(), sentencepiece_model("bpe")
    whole = llama2c_file([b"<unk>", *(b"<0x%02X>" % byte for byte in range(256))], [0.0] * 257)
    return {
        "json cut": ({"tokenizer.json": bpe_json()[:5000]}, "is no tokenizer.json"),
        "json of another kind": ({"tokenizer.json": {"a": 1}}, "is no tokenizer.json"),
        "json not utf-8": ({"tokenizer.json": b"\xff\xfe"}, "is not UTF-8"),
        "settings cut": ({"tokenizer.json": bpe_json(), "tokenizer_config.json": "{"}, "is not JSON"),
        "vocab cut": (vocab | {"vocab.json": '{"a": 1, '}, "vocab.json is not JSON"),
        "vocab with text ids": (vocab | {"vocab.json": {"a": "b"}}, "no whole number"),
        "vocab with huge ids": (vocab | {"vocab.json": {"a": 1 << 80}}, "no two tokens whose pair is in"),
        "merges cut": (vocab | {"merges.txt": vocab["merges.txt"][:200] + "\nĠt"}, "is damaged"),
        "merges of another": (vocab | {"merges.txt": "q q\n"}, "merges.txt, line 1"),
        "merges not utf-8": (vocab | {"merges.txt": b"\xff\xff"}, "is not UTF-8"),
        "model cut": ({"tokenizer.model": model[: len(model) // 2]}, "no whole SentencePiece model"),
        "model of text": ({"tokenizer.model": b"hello there"}, "no whole SentencePiece model"),
        "model empty": ({"tokenizer.model": b""}, "no whole SentencePiece model"),
        "ranks cut": ({"qwen.tiktoken": TALES.read_bytes()[:3000]}, "the file is cut"),
        "bin cut": ({"tokenizer.bin": whole[:-2]}, "is damaged at token 256"),
        **{
            f"bin with a score of {score}": (
                {"tokenizer.bin": struct.pack("<ifi", 5, score, 1) + b"a"},
                "at token 0",
            )
            for score in (math.nan, math.inf, -math.inf)
        },
        "bin with a negative length": ({"tokenizer.bin": struct.pack("<ifi", 5, 0.0, -7)}, "at token 0"),
        "bin of other pieces": (
            {"tokenizer.bin": llama2c_file([b"a"] * SIZE, [0.0] * SIZE)},
            "no piece for some bytes",
        ),
    }[kind]


KINDS = (
    "json cut", "json of another kind", "json not utf-8", "settings cut", "vocab cut", "vocab with text ids",
    "vocab with huge ids", "merges cut", "merges of another", "merges not utf-8", "model cut", "model of text",
    "model empty", "ranks cut", "bin cut", "bin with a negative length", "bin of other pieces",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_is_one_clear_line(kind: str) -> None:
    files, said = broken(kind)
    with pytest.raises(InputError) as error:
        opened(files)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind", ["tokenizer.json", "vocab.json", "tokenizer.model", "x.tiktoken", "tokenizer.bin"]
)
def test_vocabulary_larger_than_the_model_is_refused(kind: str) -> None:
    files = {
        "tokenizer.json": {"tokenizer.json": bpe_json()},
        "vocab.json": vocab_and_merges(),
        "tokenizer.model": {"tokenizer.model": sentencepiece_model("bpe")},
        "x.tiktoken": {"x.tiktoken": TALES.read_bytes()},
        "tokenizer.bin": {"tokenizer.bin": (STORIES / "tok512.bin").read_bytes()},
    }[kind]
    with pytest.raises(InputError, match="belongs to another model"):
        opened(files, SIZE - 1)


def opened_or_refused(files: dict[str, Any]) -> Tokenizer | None:
    """The tokenizer, None where it was refused in one line."""
    try:
        return opened(files)
    except InputError as error:
        if "\n" in str(error):
            raise
        return None


@given(
    st.integers(0, 2000),
    st.binary(min_size=1, max_size=8),
    st.sampled_from(["tokenizer.model", "tokenizer.bin"]),
)
def test_bytes_changed_anywhere_open_or_end_in_one_line(at: int, change: bytes, name: str) -> None:
    whole = {
        "tokenizer.model": sentencepiece_model("bpe"),
        "tokenizer.bin": llama2c_file(
            [f"<0x{n % 256:02X}>".encode() for n in range(-3, SIZE - 3)], [0.0] * SIZE
        ),
    }[name]
    content = whole[:at] + change + whole[at + len(change) :]
    tokenizer = opened_or_refused({name: content})
    assert tokenizer is None or all(isinstance(tokenizer.token(id), str) for id in range(SIZE))


@given(
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=5)
)
def test_any_vocab_json_opens_or_ends_in_one_line(vocabulary: dict[str, Any]) -> None:
    opened_or_refused({"vocab.json": vocabulary, "merges.txt": "a b\n"})


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_scores_of_a_sentencepiece_model_that_are_no_numbers_are_refused(kind: str, score: float) -> None:
    whole = sentencepiece_model(kind)
    at = whole.index(b"\x15", whole.index("▁the".encode())) + 1  # field 2 of the piece, a float
    path = "tokenizer.model"
    with pytest.raises(InputError, match=r"NaN or infinite|is no whole SentencePiece model"):
        opened({path: whole[:at] + struct.pack("<f", score) + whole[at + 4 :]})


def test_code_that_a_folder_names_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('code was run')")
    write(
        tmp_path,
        {
            "tokenizer.json": bpe_json(),
            "tokenizer_config.json": SETTINGS | {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}},
        },
    )
    assert tokenizer_in(tmp_path, SIZE).encode(" the") == open_json(bpe_json()).encode(" the")
