"""Tiny vocabularies of every format, learned from a few lines, and how a folder of each is opened."""

import io
import json
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import Tokenizer
from tests.support.data_files import STORIES

LINES = [
    "The cat sat on the mat, and the mat didn't mind; the cat's whiskers were 12 inches long.",
    "“Who’s been sitting in my chair?” said the Great, Huge Bear.  “I’ve no idea,” said the other.",
    "naïve café — Straße, 東京の猫が座った, кошка сидела\ton the mat; 1234 5678 ...",
    "Once upon a time there was a little girl who lived near a great wood.",
]
SIZE = 420


@cache
def bpe_json(begin: str = "") -> str:
    """Byte-level BPE as GPT-2 and LLaMA 3 have it; `begin` is put before every text."""
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|begin|>", "<|end|>"],
        show_progress=False,
    )
    library.train_from_iterator(LINES * 5, trainer)
    library.post_processor = processors.ByteLevel(trim_offsets=False)
    if begin:
        library.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, library.token_to_id(begin))]
        )
    return str(library.to_str())


@cache
def whole_text_json() -> str:
    """BPE with bytes for the rest as LLaMA 2's tokenizer.json has it: the whole text is one word, blanks are ▁."""
    library = Library(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    library.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=SIZE, special_tokens=special, show_progress=False)
    library.train_from_iterator([f" {line}" for line in LINES[:2] * 5], trainer)
    described = json.loads(library.to_str())
    # The bytes are ordinary tokens of the vocabulary there; only the first three are special.
    described["added_tokens"] = described["added_tokens"][:3]
    whole = Library.from_str(json.dumps(described | {"pre_tokenizer": None}))
    whole.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    whole.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    whole.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return str(whole.to_str())


@cache
def unigram_json() -> str:
    library = Library(models.Unigram())
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    library.train_from_iterator(LINES * 5, trainer)
    return str(library.to_str())


@cache
def sentencepiece_model(kind: str) -> bytes:
    """A model as LLaMA 2 has it: no normalisation, every blank kept, bytes for the rest."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=iter(LINES * 5),
        model_writer=model,
        vocab_size=SIZE if kind == "bpe" else 340,
        model_type=kind,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=0.98,
        minloglevel=2,
    )
    return model.getvalue()


def vocab_and_merges() -> dict[str, Any]:
    """`bpe_json` as the two files that GPT-2 has."""
    model = json.loads(bpe_json())["model"]
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    return {"vocab.json": model["vocab"], "merges.txt": f"#version: 0.2\n{merges}\n"}


def llama2c_file(pieces: list[bytes], scores: list[float]) -> bytes:
    """A tokenizer.bin of these pieces."""
    entries = (
        struct.pack("<fi", score, len(piece)) + piece for piece, score in zip(pieces, scores, strict=True)
    )
    return struct.pack("<i", max(map(len, pieces))) + b"".join(entries)


def opened(files: dict[str, Any], vocab_size: int = SIZE, config: dict[str, Any] | None = None) -> Tokenizer:
    """The tokenizer of a folder with these files; what is no text or bytes is written as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        return tokenizer_in(Path(folder), vocab_size, config)


def write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


@cache
def open_json(content: str) -> Tokenizer:
    return opened({"tokenizer.json": content})


@cache
def sentencepiece_tokenizer(kind: str) -> Tokenizer:
    return opened({"tokenizer.model": sentencepiece_model(kind)})


@cache
def llama2c_tokenizer() -> Tokenizer:
    """The tokenizer of stories260K."""
    return tokenizer_in(STORIES, 512)
