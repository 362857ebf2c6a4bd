"""Any text comes back from any tokenizer, and the nearest file is read first."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.text.opening import default_tokenizer, tokenizer_in
from model_core.text.tokenizer import END_OF_TEXT, IdTokenizer, TiktokenTokenizer, Tokenizer
from model_core.text.vocabulary import token_bytes
from tests.support.models.tokenizers import TALES, TEXTS
from tests.support.models.vocabularies import (
    bpe_json,
    llama2c_tokenizer,
    open_json,
    sentencepiece_model,
    sentencepiece_tokenizer,
    unigram_json,
    vocab_and_merges,
    whole_text_json,
    write,
)

pytestmark = pytest.mark.unit


@cache
def byte_tokenizers() -> tuple[Tokenizer, ...]:
    """Two whose pieces are of bytes."""
    return default_tokenizer(50257), open_json(bpe_json())


@pytest.fixture
def gpt2() -> Tokenizer:
    return byte_tokenizers()[0]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Every effort moves you", [6109, 3626, 6100, 345]),
        ("Hello, world!", [15496, 11, 995, 0]),
        (f"Hello{END_OF_TEXT}", [15496, 50256]),
        ("", []),
    ],
)
def test_gpt2_ids_are_those_of_tiktoken(gpt2: Tokenizer, text: str, ids: list[int]) -> None:
    assert gpt2.encode(text) == ids
    assert gpt2.decode(ids) == text


def test_bundled_gpt2_vocabulary_is_what_tiktoken_reads_to_the_byte(gpt2: Tokenizer) -> None:
    content = asset("tokenizers", "gpt2.tiktoken").read_bytes()
    published = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    assert hashlib.sha256(content).hexdigest() == published
    assert "Modified MIT License" in asset("tokenizers", "gpt2-LICENSE.txt").read_text(encoding="utf-8")
    assert gpt2.vocab_size == 50257
    assert gpt2.bos == gpt2.eos == 50256
    assert gpt2.prefix == ()
    assert gpt2.special == {50256}


@pytest.mark.process
def test_models_of_gpt2s_size_read_its_vocabulary_and_others_ids(tmp_path: Path) -> None:
    assert tokenizer_in(tmp_path, 50257).name == "gpt2"
    rounded_up = tokenizer_in(tmp_path, 50304)
    assert rounded_up.name == "gpt2"
    assert rounded_up.token(50303) == "<|unused46|>"
    assert isinstance(tokenizer_in(tmp_path, 512), IdTokenizer)


# Round trips


@given(TEXTS)
def test_any_text_comes_back_from_bytes(text: str) -> None:
    for tokenizer in byte_tokenizers():
        assert tokenizer.decode(tokenizer.encode(text)) == text


@given(TEXTS)
def test_any_text_comes_back_where_bytes_stand_for_what_has_no_piece(text: str) -> None:
    text = text.replace("▁", "")  # SentencePiece's own sign for a blank
    for tokenizer in (open_json(whole_text_json()), sentencepiece_tokenizer("bpe")):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_from_llama2c(text: str) -> None:
    tokenizer = llama2c_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_half_a_surrogate_pair_is_read_as_what_cannot_be_read() -> None:
    for tokenizer in (open_json(bpe_json()), sentencepiece_tokenizer("bpe"), llama2c_tokenizer()):
        assert tokenizer.decode(tokenizer.encode("a\ud83db")) == "a\ufffdb"


@pytest.mark.parametrize("kind", ["bpe", "whole text", "unigram", "sentencepiece", "llama2.c"])
def test_every_id_has_a_string_and_the_next_is_refused(kind: str) -> None:
    tokenizer = {
        "bpe": lambda: open_json(bpe_json()),
        "whole text": lambda: open_json(whole_text_json()),
        "unigram": lambda: open_json(unigram_json()),
        "sentencepiece": lambda: sentencepiece_tokenizer("unigram"),
        "llama2.c": llama2c_tokenizer,
    }[kind]()
    assert all(tokenizer.token(id) for id in range(tokenizer.vocab_size))
    for id in (-1, tokenizer.vocab_size):
        with pytest.raises(InputError, match=f"0 to {tokenizer.vocab_size - 1}"):
            tokenizer.token(id)
        with pytest.raises(InputError, match=f"0 to {tokenizer.vocab_size - 1}"):
            tokenizer.decode([id])


# Which file is read


def test_formats_are_preferred_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, {"tales-2048.tiktoken": TALES.read_bytes()})
    assert isinstance(tokenizer_in(tmp_path, 2048), TiktokenTokenizer)
    write(tmp_path, {"tokenizer.model": sentencepiece_model("bpe")})
    assert tokenizer_in(tmp_path, 2048).prefix == (1,)
    write(tmp_path, vocab_and_merges())
    by_vocab = tokenizer_in(tmp_path, 2048)
    assert by_vocab.prefix == ()
    write(tmp_path, {"tokenizer.json": bpe_json("<|begin|>")})
    assert tokenizer_in(tmp_path, 2048).prefix == (0,)


def test_byte_level_spelling_is_gpt2s() -> None:
    assert token_bytes("Ġthe") == b" the"
    assert base64.b64encode(token_bytes("Ċ")) == b"Cg=="
