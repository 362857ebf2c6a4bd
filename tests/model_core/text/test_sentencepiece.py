"""SentencePiece's models and llama2.c's give the ids of their own programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.data_files import STORIES
from tests.support.models.tokenizers import TEXTS
from tests.support.models.vocabularies import (
    LINES,
    SIZE,
    llama2c_file,
    llama2c_tokenizer,
    opened,
    sentencepiece_model,
    sentencepiece_tokenizer,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@given(text=TEXTS)
def test_sentencepiece_gives_the_ids_of_its_library(kind: str, text: str) -> None:
    from sentencepiece import SentencePieceProcessor

    library = SentencePieceProcessor(model_proto=sentencepiece_model(kind))
    ours = sentencepiece_tokenizer(kind)
    assert ours.encode(text) == library.encode(text)
    assert ours.decode([1, *library.encode(text), 2]) == library.decode(library.encode(text))
    assert (ours.prefix, ours.bos, ours.eos) == ((1,), 1, 2)
    assert {0, 1, 2} <= ours.special


def test_sentencepiece_begins_without_bos_where_the_settings_say_so() -> None:
    model = {"tokenizer.model": sentencepiece_model("bpe")}
    assert opened(model | {"tokenizer_config.json": {"add_bos_token": False}}).prefix == ()


def test_sentencepiece_tokens_are_shown_with_their_blank() -> None:
    tokenizer = sentencepiece_tokenizer("bpe")
    assert "".join(tokenizer.token(id) for id in tokenizer.encode("the cat")) == " the cat"
    assert tokenizer.token(1) == "<s>"
    assert tokenizer.token(3 + 0xE6) == "<0xE6>"
    assert tokenizer.token(3 + 0x41) == "A"


# llama2.c


def test_llama2c_reads_the_text_as_if_it_began_with_a_space() -> None:
    tokenizer = llama2c_tokenizer()
    ids = tokenizer.encode("Once upon a time")
    assert ids == [403, 407, 261, 378]
    assert [tokenizer.token(id) for id in ids] == [" Once", " upon", " a", " time"]
    assert tokenizer.decode([tokenizer.prefix[0], *ids]) == "Once upon a time"
    assert (tokenizer.prefix, tokenizer.bos, tokenizer.eos) == ((1,), 1, 1)
    assert tokenizer.token(1) == "<s>"


def test_llama2c_spells_what_has_no_piece_in_bytes() -> None:
    tokenizer = llama2c_tokenizer()
    assert tokenizer.encode("東")[1:] == [byte + 3 for byte in "東".encode()]
    assert tokenizer.token(3 + 0x0A) == "\n"


def slow_llama2c(pieces: list[bytes], scores: list[float], text: str) -> list[int]:
    """encode() of run.c, word for word."""
    ids = {piece: id for id, piece in enumerate(pieces)}
    tokens = [ids[b" "]] if text else []
    for character in text:
        piece = character.encode()
        tokens += [ids[piece]] if piece in ids else [byte + 3 for byte in piece]
    while True:
        best, place = -1e10, -1
        for at in range(len(tokens) - 1):
            id = ids.get(pieces[tokens[at]] + pieces[tokens[at + 1]])
            if id is not None and scores[id] > best:
                best, place = scores[id], at
        if place < 0:
            return tokens
        tokens[place : place + 2] = [ids[pieces[tokens[place]] + pieces[tokens[place + 1]]]]


@given(text=st.one_of(TEXTS, st.text("helo wrdtain", max_size=60)))
def test_llama2c_ids_are_those_of_run_c(text: str) -> None:
    from model_core.text.formats.llama2c import read

    pieces, scores = read(STORIES / "tok512.bin", 512)
    assert llama2c_tokenizer().encode(text) == slow_llama2c(pieces, scores, text)


def test_sentencepiece_model_written_for_llama2c_gives_the_same_ids() -> None:
    from sentencepiece import SentencePieceProcessor

    library = SentencePieceProcessor(model_proto=sentencepiece_model("bpe"))
    pieces = [library.IdToPiece(id) for id in range(SIZE)]
    pieces[1:3] = "\n<s>\n", "\n</s>\n"
    content = llama2c_file(
        [p.replace("▁", " ").encode() for p in pieces], library.GetScore(list(range(SIZE)))
    )
    ours = opened({"tokenizer.bin": content})
    for line in LINES:
        assert ours.encode(line) == library.encode(line)
        assert ours.decode(ours.encode(line)) == line
