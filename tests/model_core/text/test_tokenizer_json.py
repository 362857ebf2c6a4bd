"""`tokenizer.json`, and `vocab.json` with `merges.txt`, give the ids and text of their libraries."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from tokenizers import Tokenizer as Library
from transformers import AutoTokenizer

from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import END_OF_TEXT
from tests.support.models.tokenizers import SETTINGS, TEXTS
from tests.support.models.vocabularies import (
    LINES,
    SIZE,
    bpe_json,
    open_json,
    opened,
    unigram_json,
    vocab_and_merges,
    whole_text_json,
    write,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("content", [bpe_json, whole_text_json, unigram_json])
@given(text=TEXTS)
def test_tokenizer_json_gives_the_ids_and_text_of_the_library(content: Any, text: str) -> None:
    library, ours = Library.from_str(content()), open_json(content())
    ids = library.encode(text, add_special_tokens=False).ids
    assert ours.encode(text) == ids
    assert ours.decode(ids) == library.decode(ids, skip_special_tokens=False)
    assert [*ours.prefix, *ids] == library.encode(text).ids


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
