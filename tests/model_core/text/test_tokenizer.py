import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.text.tokenizer import END_OF_TEXT, IdTokenizer, TiktokenTokenizer, load_ranks
from model_core.text.vocabulary import ranks_of, save_ranks, token_bytes, train_bpe, train_ranks

pytestmark = pytest.mark.unit

TALES = Path(__file__).parents[3] / "assets" / "tokenizers" / "tales-2048.tiktoken"
SMALL_CORPUS = END_OF_TEXT.join(
    [
        "The cat sat on the mat, and the mat didn't mind; the cat's whiskers were 12 inches long.\n\n" * 3,
        "“Who’s been sitting in my chair?” said the Great, Huge Bear.  “I’ve no idea,” said the other.\n" * 3,
        "naïve café — Straße, 東京の猫が座った, кошка сидела\ton the mat; 1234 5678 ...\r\n" * 3,
    ]
)


@pytest.fixture(scope="module")
def tales() -> TiktokenTokenizer:
    return TiktokenTokenizer.from_file(TALES)


def test_tales_vocabulary_has_2048_ids_and_ends_with_the_end_of_text(tales: TiktokenTokenizer) -> None:
    assert tales.name == "tales-2048"
    assert tales.vocab_size == 2048
    assert tales.bos == tales.eos == 2047
    assert tales.token(2047) == END_OF_TEXT


def test_no_tales_merge_reaches_into_the_separator() -> None:
    assert not any(b"<|" in token or b"endoftext" in token for token in load_ranks(TALES))


@given(st.text())
@pytest.mark.process
def test_any_text_comes_back_from_its_ids(text: str) -> None:
    tokenizer = TiktokenTokenizer.from_file(TALES)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= id < tokenizer.vocab_size for id in ids)


def test_special_token_in_the_text_becomes_its_one_id(tales: TiktokenTokenizer) -> None:
    first, second = tales.encode("Once upon a time"), tales.encode("The end")
    assert tales.encode(f"Once upon a time{END_OF_TEXT}The end") == [*first, 2047, *second]


def test_without_special_tokens_the_end_of_text_is_plain_text() -> None:
    plain = TiktokenTokenizer.from_file(TALES, special=())
    assert plain.bos is None
    assert plain.eos is None
    assert plain.vocab_size == 2047
    assert len(plain.encode(END_OF_TEXT)) > 1


def test_token_spells_bytes_that_form_no_character_and_keeps_blanks(tales: TiktokenTokenizer) -> None:
    assert tales.token(0xE2) == "<0xE2>"
    assert [tales.token(id) for id in tales.encode("東")] == ["<0xE6>", "<0x9D>", "<0xB1>"]
    assert tales.token(ord("A")) == "A"
    assert tales.token(ord("\n")) == "\n"
    assert tales.token(tales.encode(" the")[0]) == " the"
    assert tales.token(tales.encode("’")[0]) == "’"


def test_decode_replaces_half_a_character(tales: TiktokenTokenizer) -> None:
    assert tales.decode([0xE2, ord("a")]) == "\ufffda"


@pytest.mark.parametrize("id", [-1, 2048])
def test_unknown_id_names_the_valid_range(tales: TiktokenTokenizer, id: int) -> None:
    with pytest.raises(InputError, match=rf"{id} .* 0 to 2047"):
        tales.decode([5, id])
    with pytest.raises(InputError, match=rf"{id} .* 0 to 2047"):
        tales.token(id)


def test_ids_are_read_with_blanks_and_commas() -> None:
    ids = IdTokenizer(100)
    assert ids.encode("5 17 3") == ids.encode("5,17,3") == ids.encode(" 5, 17 ,\n3,") == [5, 17, 3]
    assert ids.encode("") == []
    assert ids.decode([5, 17, 3]) == "5 17 3"
    assert ids.token(99) == "99"
    assert (ids.vocab_size, ids.bos, ids.eos) == (100, None, None)


@pytest.mark.parametrize("word", ["cat", "-1", "100", "1.5", "²", "٣", "1_0", "9" * 5000])
def test_bad_id_is_named_with_the_valid_range(word: str) -> None:
    with pytest.raises(InputError, match=rf'"{word[:40]}.* 0 to 99') as error:
        IdTokenizer(100).encode(f"5 {word} 3")
    assert len(str(error.value)) < 200


def test_id_outside_the_vocabulary_has_no_token_string() -> None:
    with pytest.raises(InputError, match="0 to 99"):
        IdTokenizer(100).decode([5, 100])


def test_tiktoken_cuts_text_as_the_library_that_learned_the_vocabulary() -> None:
    bpe = train_bpe(SMALL_CORPUS, 400, [END_OF_TEXT])
    ours = TiktokenTokenizer("small", ranks_of(bpe))
    bytes_of = {id: token_bytes(token) for token, id in bpe.get_vocab().items()}
    ranks = ranks_of(bpe)
    unseen = "The mats aren't    sitting on 12345 cats.\n \n“Whose?” — неё 京都 🐈\n  "
    for text in [*SMALL_CORPUS.split(END_OF_TEXT), unseen]:
        assert [ranks[bytes_of[id]] for id in bpe.encode(text).ids] == ours.encode(text)


def test_trained_ranks_begin_with_the_bytes_and_leave_room_for_the_special_tokens() -> None:
    ranks = train_ranks(SMALL_CORPUS, 300, [END_OF_TEXT, "<|pad|>"])
    assert sorted(ranks.values()) == list(range(298))
    assert all(ranks[bytes([byte])] == byte for byte in range(256))


def test_merges_stop_at_a_special_token() -> None:
    ranks = train_ranks(f"ab{END_OF_TEXT}cd" * 50, 256 + 3 + 1, [END_OF_TEXT])
    assert [token for token, rank in ranks.items() if rank >= 256] == [b"ab", b"cd", b"cdab"]


def test_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(InputError, match="at least 257"):
        train_ranks(SMALL_CORPUS, 256, [END_OF_TEXT])


def test_text_with_too_few_pairs_is_refused_with_the_size_it_allows() -> None:
    with pytest.raises(InputError, match="only 258 of 300"):
        train_ranks("ab ab ab", 300, [])


def test_saved_ranks_come_back_and_are_written_in_order(tmp_path: Path) -> None:
    ranks = load_ranks(TALES, size=2047)
    shuffled = dict(sorted(ranks.items()))
    save_ranks(shuffled, tmp_path / "copy.tiktoken")
    assert load_ranks(tmp_path / "copy.tiktoken") == ranks
    assert (tmp_path / "copy.tiktoken").read_bytes() == TALES.read_bytes()


def lines_with(replaced: dict[int, bytes], keep: int = 2047) -> bytes:
    """The tales file's first `keep` lines, the line of each given number (from 1) replaced."""
    lines = TALES.read_bytes().splitlines()[:keep]
    return b"\n".join(replaced.get(number, line) for number, line in enumerate(lines, start=1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines_with({300: b"IHRoZQ=="}), "line 300: expected"),
        (lines_with({300: b"IHRo!!== 299"}), "line 300: the token is not base64"),
        (lines_with({300: b"IHRoZ 299"}), "line 300: the token is not base64"),
        (lines_with({300: b"IHRoZXJl 29x"}), "line 300: the rank is not a whole number"),
        (lines_with({300: b"IHRoZXJl " + b"9" * 5000}), "line 300: the rank is not a whole number"),
        (lines_with({300: b"enp6enp6 7"}), "line 300: rank 7 was given before, on line 8"),
        (
            lines_with({300: base64.b64encode(b"A") + b" 299"}),
            "line 300: the token was given before, on line 66",
        ),
        (lines_with({300: b"enp6enp6 2047"}), "line 300: rank 2047 leaves a gap"),
        (lines_with({}, keep=200), "byte 0xC8 has no token; the file is cut after line 200"),
        (lines_with({}, keep=1500), "1500 tokens up to line 1500, but the model needs 2047"),
        (b"", "byte 0x00 has no token"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "line 1: expected"),
    ],
)
def test_damaged_ranks_file_is_refused_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.tiktoken"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        load_ranks(path, size=2047)
    assert "broken.tiktoken" in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_ranks_file_and_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.tiktoken"):
        load_ranks(tmp_path / "nowhere.tiktoken")
    with pytest.raises(InputError, match="cannot be read"):
        load_ranks(tmp_path)


def test_tokenizer_loads_neither_torch_nor_qt_nor_the_training_library() -> None:
    code = (
        "import sys, model_core.text.tokenizer; "
        "print([m for m in ('torch', 'PySide6', 'tokenizers') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
