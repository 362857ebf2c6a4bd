"""The tokenizers that checkpoints bring along give the ids of the libraries that define them."""

import base64
import hashlib
import json
import math
import re
import struct
import tracemalloc
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from transformers import AutoTokenizer

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.sources.presets import open_model
from model_core.text.formats.ranks import ENCODINGS, named
from model_core.text.opening import default_tokenizer, tokenizer_in
from model_core.text.tokenizer import END_OF_TEXT, IdSet, IdTokenizer, TiktokenTokenizer, Tokenizer
from model_core.text.vocabulary import load_ranks, token_bytes
from tests.support.data_files import STORIES
from tests.support.models.tiny import save
from tests.support.models.vocabularies import (
    LINES,
    SIZE,
    bpe_json,
    llama2c_file,
    llama2c_tokenizer,
    open_json,
    opened,
    sentencepiece_model,
    sentencepiece_tokenizer,
    unigram_json,
    vocab_and_merges,
    whole_text_json,
    write,
)

pytestmark = pytest.mark.unit

TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from([" the", " cat", "sat", "  ", "12345", "’s", "東京", "\n", "\r\n", "é", ", "])
    ).map("".join),
)
TALES = asset("tokenizers", "tales-2048.tiktoken")


# GPT-2's own


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


# tokenizer.json


@pytest.mark.parametrize("content", [bpe_json, whole_text_json, unigram_json])
@given(text=TEXTS)
def test_tokenizer_json_gives_the_ids_and_text_of_the_library(content: Any, text: str) -> None:
    library, ours = Library.from_str(content()), open_json(content())
    ids = library.encode(text, add_special_tokens=False).ids
    assert ours.encode(text) == ids
    assert ours.decode(ids) == library.decode(ids, skip_special_tokens=False)
    assert [*ours.prefix, *ids] == library.encode(text).ids


SETTINGS = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>"}


@pytest.mark.parametrize("begin", ["", "<|begin|>"])
@pytest.mark.parametrize("text", [*LINES, "", "a<|end|>b"])
def test_prefix_and_ids_equal_those_of_transformers(tmp_path: Path, begin: str, text: str) -> None:
    write(tmp_path, {"tokenizer.json": bpe_json(begin), "tokenizer_config.json": SETTINGS})
    ours, reference = tokenizer_in(tmp_path, SIZE), AutoTokenizer.from_pretrained(tmp_path)
    assert [*ours.prefix, *ours.encode(text)] == reference(text)["input_ids"]
    assert (ours.bos, ours.eos) == (reference.bos_token_id, reference.eos_token_id)
    assert {ours.token(id) for id in ours.special if id < len(reference)} >= {"<|begin|>", "<|end|>"}


@pytest.mark.parametrize(("add_bos", "prefix"), [(True, (0,)), (False, ()), (None, (0,))])
def test_settings_say_whether_a_prompt_begins_with_bos(add_bos: bool | None, prefix: tuple[int, ...]) -> None:
    settings = SETTINGS | ({} if add_bos is None else {"add_bos_token": add_bos})
    files = {"tokenizer.json": bpe_json("<|begin|>"), "tokenizer_config.json": settings}
    assert opened(files).prefix == prefix


def test_bos_and_eos_are_known_by_the_models_configuration_where_settings_are_missing() -> None:
    tokenizer = opened({"tokenizer.json": bpe_json()}, config={"bos_token_id": 0, "eos_token_id": [1, 7]})
    assert (tokenizer.bos, tokenizer.eos, tokenizer.prefix) == (0, 1, ())


def test_ids_beyond_the_vocabulary_are_shown_as_unused_and_make_no_text() -> None:
    tokenizer = opened({"tokenizer.json": bpe_json()}, SIZE + 5)
    assert tokenizer.vocab_size == SIZE + 5
    assert tokenizer.token(SIZE + 4) == f"<|unused{SIZE + 4}|>"
    assert tokenizer.decode([SIZE + 4]) == ""
    assert SIZE + 4 in tokenizer.special


def test_tokens_of_tokenizer_json_are_shown_as_text_and_bytes() -> None:
    tokenizer = open_json(bpe_json())
    assert [tokenizer.token(id) for id in tokenizer.encode(" the cat")] == [" the", " cat"]
    assert tokenizer.token(tokenizer.encode("\u0800")[0]) == "<0xE0>"
    whole = open_json(whole_text_json())
    assert [whole.token(id) for id in whole.encode("東")][-3:] == ["<0xE6>", "<0x9D>", "<0xB1>"]
    assert "".join(whole.token(id) for id in whole.encode("the cat")) == " the cat"


# vocab.json and merges.txt


@given(TEXTS)
def test_vocab_and_merges_give_the_ids_of_the_same_tokenizer_json(text: str) -> None:
    whole = open_json(bpe_json())
    ours = opened(vocab_and_merges() | {"tokenizer_config.json": SETTINGS})
    assert ours.encode(text) == whole.encode(text)
    assert ours.decode(ours.encode(text)) == text


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "Qwen2Tokenizer"])
@pytest.mark.parametrize("text", [*LINES, "12345 don't\n\n  x", "e\u0301a"])
def test_vocab_and_merges_cut_words_as_the_class_that_the_settings_name(
    tmp_path: Path, kind: str, text: str
) -> None:
    special = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    files = vocab_and_merges()
    files["vocab.json"][END_OF_TEXT] = len(files["vocab.json"])
    write(tmp_path, files | {"tokenizer_config.json": special | {"tokenizer_class": kind}})
    reference = AutoTokenizer.from_pretrained(tmp_path)
    assert type(reference).__name__ == kind
    ours = tokenizer_in(tmp_path, SIZE + 1)
    assert ours.encode(text) == reference(text)["input_ids"]
    assert ours.encode(f"a{END_OF_TEXT}b") == reference(f"a{END_OF_TEXT}b")["input_ids"]
    assert ours.eos == SIZE


def test_comment_at_the_top_of_the_merges_is_no_pair_and_others_that_begin_so_are() -> None:
    files = vocab_and_merges()
    files["vocab.json"]["##"] = len(files["vocab.json"])
    files["merges.txt"] += "# #\n"
    assert opened(files, SIZE + 1).encode("##") == [SIZE]


# SentencePiece


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


# Ranks


def test_qwen_tiktoken_has_qwens_words_and_special_tokens(tmp_path: Path) -> None:
    merged = load_ranks(TALES)
    (tmp_path / "qwen.tiktoken").write_bytes(TALES.read_bytes())
    tokenizer = tokenizer_in(tmp_path, 2304)
    special = [END_OF_TEXT, "<|im_start|>", "<|im_end|>", *(f"<|extra_{n}|>" for n in range(205))]
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    reference = tiktoken.Encoding(
        "qwen",
        pat_str=pattern,
        mergeable_ranks=merged,
        special_tokens={token: len(merged) + n for n, token in enumerate(special)},
    )
    for text in [*LINES, "<|im_start|>user\nHi 123<|im_end|>", "I'LL e\u0301"]:
        normal = unicodedata.normalize("NFC", text)
        assert tokenizer.encode(text) == reference.encode(normal, allowed_special="all")
    assert tokenizer.token(2047 + 208) == "<|unused0|>"
    assert tokenizer.prefix == ()


@pytest.mark.parametrize("file", ["tales.tiktoken", "qwen.tiktoken", "few.characters"])
def test_ids_that_no_token_has_take_no_memory_however_many_a_model_has(file: str, tmp_path: Path) -> None:
    size, few = 50_000_000, {"characters": "abc", "begin": "<|b|>", "end": "<|e|>"}
    characters = file.endswith("characters")
    (tmp_path / file).write_bytes(json.dumps(few).encode() if characters else TALES.read_bytes())
    tracemalloc.start()
    try:
        tokenizer = tokenizer_in(tmp_path, size)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    last = size - 1
    assert tokenizer.vocab_size == size
    assert last in tokenizer.special
    assert size not in tokenizer.special
    assert tokenizer.token(last).startswith("<|unused")
    assert len(tokenizer.special) == size - (3 if characters else 2047)
    assert tokenizer.decode([0, last]) == tokenizer.token(0) + tokenizer.token(last)


def test_ids_that_stand_for_no_text_are_not_all_asked_for_some_that_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"characters": "\u202e", "begin": "<|b|>", "end": "<|e|>"}
    (tmp_path / "few.characters").write_text(json.dumps(few))
    asked = 0
    contains = IdSet.__contains__

    def counted(rest: IdSet, id: object) -> bool:
        nonlocal asked
        asked += 1
        return contains(rest, id)

    monkeypatch.setattr(IdSet, "__contains__", counted)
    tokenizer_in(tmp_path, 1_000_000)
    assert asked < 50_000


def test_an_unused_id_written_out_is_that_id_and_a_word_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "tales.tiktoken").write_bytes(TALES.read_bytes())
    tokenizer = tokenizer_in(tmp_path, 2060)
    names = [tokenizer.token(id) for id in range(2048, 2060)]
    assert names == [f"<|unused{n}|>" for n in range(12)]
    text = "The cat<|unused0|> sat<|endoftext|>on<|unused11|>"
    ids = tokenizer.encode(text)
    assert [id for id in ids if id in tokenizer.special] == [2048, 2047, 2059]
    assert tokenizer.decode(ids) == text
    assert tokenizer.split(text, ids.index(2048)).kind == "special"
    # Ids of which there are fewer, and numbers that are not written so, are text like any other.
    for other in ("<|unused12|>", "<|unused00|>", f"<|unused{'9' * 5000}|>", "<|unused٣|>"):
        assert not tokenizer.special & set(tokenizer.encode(other))
        assert tokenizer.decode(tokenizer.encode(other)) == other


def test_ids_that_are_left_keep_their_order_and_number() -> None:
    left = IdSet.without([0, 1, 3, 6], 10)
    assert list(left) == [2, 4, 5, 7, 8, 9]
    assert [left[n] for n in range(len(left))] == list(left)
    assert [left.number(id) for id in left] == list(range(6))
    assert left == {2, 4, 5, 7, 8, 9}
    assert all((id in left) is (id in set(left)) for id in range(-2, 12))
    assert left & {2, 3} == {2}
    assert list(IdSet.without([0, 5], 3)) == [1, 2]


def test_ids_come_in_their_order_however_they_were_given() -> None:
    ids = IdSet([5, 1, 3, 1], range(7, 9))
    assert list(ids) == [1, 3, 5, 7, 8]
    assert len(ids) == 5
    assert [ids.number(id) for id in ids] == list(range(5))
    assert list(IdSet()) == []
    with pytest.raises(AssertionError, match="the range is not behind the others"):
        IdSet([1, 8], range(7, 9))


def test_llama3_tokenizer_model_is_read_as_ranks_and_begins_with_its_bos(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(TALES.read_bytes())
    tokenizer = tokenizer_in(tmp_path, 2047 + 256)
    assert tokenizer.token(tokenizer.prefix[0]) == "<|begin_of_text|>"
    assert tokenizer.eos is not None
    assert tokenizer.token(tokenizer.eos) == "<|end_of_text|>"
    assert tokenizer.token(2047 + 9) == "<|eot_id|>"
    assert tokenizer.token(2047 + 255) == "<|reserved_special_token_250|>"
    assert tokenizer.decode(tokenizer.encode(LINES[2])) == LINES[2]


def test_encodings_cut_words_as_tiktoken_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken_ext.openai_public as published

    monkeypatch.setattr(published, "load_tiktoken_bpe", lambda url, expected_hash: (url, expected_hash))
    for name in ("p50k_base", "p50k_edit", "cl100k_base", "o200k_base"):
        reference, ours = getattr(published, name)(), ENCODINGS[name]
        assert reference["mergeable_ranks"] == (ours.url, ours.sha256)
        assert reference["special_tokens"] == ours.special
        merged = load_ranks(TALES)
        theirs = tiktoken.Encoding(
            name, pat_str=reference["pat_str"], mergeable_ranks=merged, special_tokens={}
        )
        mine = TiktokenTokenizer(name, merged, (), pattern=ours.pattern)
        for text in [*LINES, "I'LL WE'VE 1234567\r\n\r\n  \t x/y//\n HTMLParser", "    \n  end  "]:
            assert mine.encode(text) == theirs.encode(text, disallowed_special=())


def test_encoding_that_is_not_there_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(InputError) as error:
        named("cl100k_base")
    message = str(error.value)
    assert "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken" in message
    assert str(tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4") in message
    (tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").write_bytes(b"QQ== 0\n")
    with pytest.raises(InputError, match=r"is not the cl100k_base\.tiktoken"):
        named("cl100k_base")


def test_encoding_is_said_beside_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["tokenizer=gpt2", "layers=1", "heads=1", "width=8", "vocab_size=50300"]
    loaded = open_model("untrained:gpt2/124M", config=said)
    assert loaded.tokenizer.encode("Every effort moves you") == [6109, 3626, 6100, 345]
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    checkpoint = save(tmp_path, "llama")
    with pytest.raises(InputError, match=re.escape(f"put {ENCODINGS['cl100k_base'].url} at {tmp_path}")):
        open_model(checkpoint, config=["tokenizer=cl100k_base"])


def test_unknown_encoding_is_refused_with_those_known() -> None:
    with pytest.raises(InputError, match="'gpt9': known are gpt2, r50k_base"):
        named("gpt9")


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


# Damaged files


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


def test_byte_level_spelling_is_gpt2s() -> None:
    assert token_bytes("Ġthe") == b" the"
    assert base64.b64encode(token_bytes("Ċ")) == b"Cg=="
