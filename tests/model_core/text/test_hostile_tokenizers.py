"""Whatever a tokenizer's file says, it opens or is refused in one line; and so is a text that it cannot read."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_core.api.errors import Cancelled, InputError, library_errors
from model_core.api.files.assets import asset
from model_core.checkpoint.opening import open_checkpoint
from model_core.cli.__main__ import main
from model_core.text.opening import default_tokenizer, tokenizer_in
from model_core.text.tokenizer import Tokenizer
from model_core.training.plan import of_file
from tests.support.data_files import STORIES
from tests.support.hostile.hostile import (
    LETTERS,
    SIZE,
    SLOW_SPLIT,
    bpe,
    template,
    tokenizer_json,
    unigram,
    word_level,
    word_piece,
)
from tests.support.models.tiny import save
from tests.support.models.tutorials import HEADS, NanoGPT, drawn
from tests.support.models.vocabularies import SIZE as LEARNED
from tests.support.models.vocabularies import (
    bpe_json,
    llama2c_file,
    opened,
    sentencepiece_model,
    unigram_json,
    vocab_and_merges,
    write,
)

pytestmark = pytest.mark.unit

TALES = asset("tokenizers", "tales-2048.tiktoken")
SAID = [f"heads={HEADS}"]


def opened_json(content: str, size: int = SIZE, config: dict[str, Any] | None = None) -> Tokenizer:
    return opened({"tokenizer.json": content}, size, config)


def refused(call: Callable[[], object]) -> str:
    """Why the call is refused, in one line."""
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# What a library raises


class Panic(BaseException):
    """As pyo3's PanicException is."""


@pytest.mark.parametrize("error", [Panic("index out of range\nat line 5"), MemoryError(), KeyError("a")])
def test_whatever_a_library_raises_is_one_line(error: BaseException) -> None:
    def fail() -> None:
        with library_errors("x.json cannot be opened"):
            raise error

    said = refused(fail)
    assert said.startswith("x.json cannot be opened: ")
    assert said.removeprefix("x.json cannot be opened: ")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), Cancelled()])
def test_what_a_library_does_not_raise_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), library_errors("x.json cannot be opened"):
        raise error


@pytest.mark.process
def test_a_panic_while_a_text_is_read_is_one_line_that_names_the_file() -> None:
    tokenizer = opened_json(tokenizer_json(bpe(), pre_tokenizer=SLOW_SPLIT))
    assert len(tokenizer.encode("abc")) == 3
    assert re.search(
        r"tokenizer\.json cannot read this text: .*retry-limit", refused(lambda: tokenizer.encode("x" * 60))
    )
    assert len(tokenizer.encode("abc")) == 3


def test_a_long_prefix_of_pieces_is_refused_when_the_file_is_opened() -> None:
    long = bpe(continuing_subword_prefix="#" * 50, vocab=LETTERS | {"ab": SIZE}, merges=[["a", "b"]])
    assert "tokenizer.json is no tokenizer.json: " in refused(
        lambda: opened_json(tokenizer_json(long), SIZE + 1)
    )


@pytest.mark.process
def test_a_text_that_tiktoken_gives_up_on_is_one_line() -> None:
    assert "the tokenizer gpt2 cannot read this text: " in refused(
        lambda: default_tokenizer(50257).encode(" " * 1_000_000 + "x")
    )


@pytest.mark.parametrize("model", [bpe(unk_token="<unk>"), word_piece(), word_level(), unigram()])
def test_without_its_unknown_token_a_tokenizer_reads_what_it_knows_and_refuses_the_rest(
    model: dict[str, Any],
) -> None:
    tokenizer = opened_json(tokenizer_json(model))
    assert tokenizer.encode("b") == [LETTERS["b"]]
    assert "tokenizer.json cannot read this text: " in refused(lambda: tokenizer.encode("é"))


@pytest.mark.parametrize(
    "model", [bpe(vocab={}), word_level(vocab={}), word_level(vocab={"": 0}), bpe(vocab={"\ue000": 0})]
)
def test_a_tokenizer_that_reads_no_text_is_refused_when_it_is_opened(model: dict[str, Any]) -> None:
    content = tokenizer_json(model, normalizer={"type": "Replace", "pattern": {"Regex": "."}, "content": ""})
    assert "tokenizer.json reads no text at all: " in refused(lambda: opened_json(content))


def test_a_text_that_becomes_far_too_many_tokens_is_refused() -> None:
    growth = {"type": "Replace", "pattern": {"String": "b"}, "content": "a" * 50_000}
    tokenizer = opened_json(tokenizer_json(bpe(), normalizer=growth))
    assert "it makes 50,000 tokens of 1 characters" in refused(lambda: tokenizer.encode("b"))
    assert len(tokenizer.encode("c" * 2000)) == 2000


def test_ids_that_become_far_too_long_a_text_are_refused() -> None:
    growth = {"type": "Replace", "pattern": {"String": "b"}, "content": "a" * 200_000}
    tokenizer = opened_json(tokenizer_json(bpe(), decoder=growth))
    assert "it makes 200,000 characters of 1 tokens" in refused(lambda: tokenizer.decode([LETTERS["b"]]))


# Ids that are none of the model's


@pytest.mark.parametrize("id", [999_999, SIZE, -5, 10**30])
@pytest.mark.parametrize("key", ["bos_token_id", "eos_token_id"])
def test_bos_and_eos_that_the_model_does_not_have_are_refused(key: str, id: int) -> None:
    said = refused(lambda: opened_json(tokenizer_json(bpe()), config={key: id}))
    assert (
        f"tokenizer.json has token {id} ({key[:3].upper()}), but the model's ids go from 0 to {SIZE - 1}"
        in said
    )


def test_a_template_of_tokens_that_the_model_does_not_have_is_refused() -> None:
    content = tokenizer_json(bpe(), post_processor=template(999_999))
    assert "tokenizer.json has token 999999 (before every text), but" in refused(lambda: opened_json(content))
    assert opened_json(tokenizer_json(bpe(), post_processor=template(3))).prefix == (3,)


def test_a_template_of_very_many_tokens_is_refused() -> None:
    long = template(3)
    long["special_tokens"]["<s>"]["ids"] *= 5000
    long["special_tokens"]["<s>"]["tokens"] *= 5000
    content = tokenizer_json(bpe(), post_processor=long)
    assert "puts 5,000 tokens before every text" in refused(lambda: opened_json(content))


# What is no file


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(6 << 30)


@pytest.mark.parametrize("make", [fifo, folder, device, nowhere, sparse])
@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "tokenizer.model",
        "x.tiktoken",
        "tokenizer.bin",
        "x.characters",
    ],
)
def test_what_lies_there_and_is_no_file_is_refused_and_not_passed_over(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    others = {
        "vocab.json": "merges.txt",
        "merges.txt": "vocab.json",
        "tokenizer_config.json": "tokenizer.json",
    }
    if name in others:
        whole = vocab_and_merges() | {"tokenizer.json": bpe_json()}
        write(tmp_path, {others[name]: whole[others[name]]})
    make(tmp_path / name)
    said = refused(lambda: tokenizer_in(tmp_path, LEARNED))
    assert f"{tmp_path / name} cannot be read: " in said


# A tokenizer beside weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of torch.save in a folder of its own."""
    path = tmp_path / "model.pth"
    torch.save(drawn(NanoGPT()).state_dict(), path)
    return path


def test_a_damaged_tokenizer_beside_weights_is_said_with_a_way_on(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = weights.parent / "tokenizer.json"
    file.write_text("{")
    with pytest.raises(InputError) as error:
        open_checkpoint(weights, config=SAID)
    assert str(error.value).startswith(f"{file} is no tokenizer.json: ")
    assert error.value.asks is not None
    (ask,) = error.value.asks
    assert (ask["name"], ask["default"], ask["kind"]) == ("tokenizer", "ids", "choice")
    words = [
        "generate",
        "--model",
        str(weights),
        "--prompt",
        "1 2",
        "--max-new-tokens",
        "1",
        "--config",
        SAID[0],
    ]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.endswith("; to open the model without it, say --config tokenizer=ids\n")
    assert said.count("\n") == 1
    assert main([*words, "--config", "tokenizer=ids"]) == 0
    assert open_checkpoint(weights, config=[*SAID, "tokenizer=ids"]).tokenizer.encode("5 1") == [5, 1]


def test_a_tokenizer_of_another_model_beside_weights_is_passed_over(weights: Path) -> None:
    write(weights.parent, {"tokenizer.json": bpe_json(), "x.tiktoken": TALES.read_bytes()})
    assert open_checkpoint(weights, config=SAID).tokenizer.name == "ids"


# Names


@pytest.mark.parametrize("name", ["a" * 5000, "../tales-2048", "..", "/etc/passwd", "x\0y", "a/b"])
def test_a_tokenizers_name_that_leads_elsewhere_or_nowhere_is_refused(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", "llama")
    manifest = Path(folder) / "layerscope.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"tokenizer": name}))
    assert len(refused(lambda: open_checkpoint(folder))) < 300
    description = tmp_path / "description.json"
    description.write_text(json.dumps({"family": "llama", "size": "tiny", "tokenizer": name}))
    assert len(refused(lambda: of_file(description))) < 300


@pytest.mark.parametrize("name", ["../x.tiktoken", "{folder}/x.tiktoken", "../x"])
def test_a_description_reads_no_tokenizer_outside_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.tiktoken").write_bytes(TALES.read_bytes())
    (tmp_path / "inside").mkdir()
    description = tmp_path / "inside" / "description.toml"
    said = name.format(folder=tmp_path)
    description.write_text(
        f'family = "mini"\ntokenizer = "{said}"\n[config]\nwidth = 16\n[recipe]\nsteps = 1\n'
    )
    assert "not a name, or that of a file beside the description" in refused(lambda: of_file(description))


def test_an_encodings_name_of_any_length_is_refused_in_a_short_line(tmp_path: Path) -> None:
    folder = save(tmp_path, "llama")
    said = refused(lambda: open_checkpoint(folder, config=["tokenizer=" + "a" * 5000]))
    assert "there is no encoding" in said
    assert len(said) < 300


# The first releases of llama2.c


def first_release(content: bytes) -> bytes:
    """A tokenizer.bin as its export wrote it before <0x..>: the piece of a byte is the character of that number."""
    at, parts = 4, [content[:4]]
    while at < len(content):
        score, length = struct.unpack_from("<fi", content, at)
        piece = content[at + 8 : at + 8 + length]
        at += 8 + length
        if byte := re.fullmatch(rb"<0x([0-9A-F]{2})>", piece):
            piece = chr(int(byte[1], 16)).encode()
        parts += [struct.pack("<fi", score, len(piece)), piece]
    return b"".join(parts)


def test_a_tokenizer_of_the_first_llama2c_gives_the_ids_of_todays(tmp_path: Path) -> None:
    today = STORIES / "tok512.bin"
    (tmp_path / "tokenizer.bin").write_bytes(first_release(today.read_bytes()))
    assert len(today.read_bytes()) - len((tmp_path / "tokenizer.bin").read_bytes()) == 433_869 - 432_717
    ours, reference = tokenizer_in(tmp_path, 512), tokenizer_in(today.parent, 512)
    for text in ("Once upon a time, Lily ate a tuna.", "naïve café — 東京\n\t", "é", "\x80ÿ~"):
        assert ours.encode(text) == reference.encode(text)
        assert ours.decode(ours.encode(text)) == text
    assert [ours.token(id) for id in range(512)] == [reference.token(id) for id in range(512)]


# Changed anywhere


WHOLE: dict[str, tuple[bytes, int]] = {
    "tokenizer.json": (bpe_json("<|begin|>").encode(), LEARNED),
    "unigram/tokenizer.json": (unigram_json().encode(), LEARNED),
    "tokenizer.model": (sentencepiece_model("bpe"), LEARNED),
    "tokenizer.bin": (
        llama2c_file([f"<0x{n % 256:02X}>".encode() for n in range(-3, 300)], [0.0] * 303),
        303,
    ),
    "x.tiktoken": (TALES.read_bytes(), 2048),
    "x.characters": (b'{"characters": "0123456789 ,./", "begin": "<|begin|>", "end": "<|end|>"}', 20),
    "merges.txt": (vocab_and_merges()["merges.txt"].encode(), LEARNED),
    "tokenizer_config.json": (
        json.dumps(
            {
                "bos_token": "<|begin|>",
                "eos_token": {"content": "<|end|>"},
                "add_bos_token": True,
                "added_tokens_decoder": {"0": {"content": "<|begin|>"}, "1": {"content": "<|end|>"}},
            }
        ).encode(),
        LEARNED,
    ),
}
BESIDE = {
    "merges.txt": lambda: {"vocab.json": vocab_and_merges()["vocab.json"]},
    "tokenizer_config.json": vocab_and_merges,
}
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 12),
        st.sampled_from(
            [b"", b"0", b"-1", b"1e999", b"null", b"{}", b"[[", b'"', b"\xff", b"999999", b"\n", b"[UNK]"]
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=25)
@given(changes=CHANGES)
def test_a_file_changed_anywhere_reads_texts_or_ends_in_one_line(
    name: str, changes: list[tuple[float, int, bytes]]
) -> None:
    content, size = WHOLE[name]
    for share, gone, put in changes:
        at = int(share * len(content))
        content = content[:at] + put + content[at + gone :]
    files = BESIDE[name]() if name in BESIDE else {}
    try:
        tokenizer = opened({**files, Path(name).name: content}, size)
        for text in ("The cat", "12.", "naïve 東京\n"):
            ids = tokenizer.encode(text)
            assert all(0 <= id < size for id in ids)
            tokenizer.decode([*tokenizer.prefix, *ids])
            tokenizer.strings([*tokenizer.prefix, *ids])
            if ids:
                tokenizer.split(text, len(ids) - 1)
    except InputError as error:
        if "\n" in str(error):
            raise
