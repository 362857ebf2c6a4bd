"""Files of ranks: which words and special tokens they have, and ids that no token has."""

import json
import re
import tracemalloc
import unicodedata
from pathlib import Path

import pytest
import tiktoken

from model_core.api.errors import InputError
from model_core.sources.presets import open_model
from model_core.text.formats.ranks import ENCODINGS, named
from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import END_OF_TEXT, IdSet, TiktokenTokenizer
from model_core.text.vocabulary import load_ranks
from tests.support.models.tiny import save
from tests.support.models.tokenizers import TALES
from tests.support.models.vocabularies import LINES

pytestmark = pytest.mark.unit


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
