"""Tokenizers: opened, and given texts and ids."""

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.text.merges import merges
from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import Tokenizer
from tests.fuzz.formats import FORMATS, Files, Format
from tests.support.data_files import STORIES
from tests.support.models import vocabularies

TEXTS = ("The cat sat on the mat", "", "  naïve – 東京 \U0001f409 <s> \0", "x" * 3000)


def work(tokenizer: Tokenizer) -> None:
    for text in TEXTS:
        try:
            ids = tokenizer.encode(text)
            tokenizer.decode(ids)
            for id in ids[:20]:
                tokenizer.token(id)
            if ids:
                merges(tokenizer, text, len(ids) // 2)
        except InputError:
            continue
    for id in (0, tokenizer.vocab_size - 1):
        tokenizer.token(id)
    assert all(0 <= id < tokenizer.vocab_size for id in tokenizer.prefix)


def tokenizer(size: int, config: dict[str, Any] | None = None) -> Callable[[Path], object]:
    return lambda folder: work(tokenizer_in(folder, size, config))


def hf_tokenizer(content: Callable[[], str]) -> Callable[[], Files]:
    settings = {"add_bos_token": True, "bos_token": "<s>", "eos_token": {"content": "</s>"}}
    return lambda: {
        "tokenizer.json": content().encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }


def word_tokenizer(kind: str) -> str:
    words = {"[UNK]": 0, "the": 1, "cat": 2, "##s": 3, "mat": 4, "The": 5}
    models = {
        "WordPiece": {
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        "WordLevel": {"unk_token": "[UNK]"},
        "BPE": {"unk_token": "[UNK]", "merges": ["t h"], "dropout": None, "fuse_unk": False},
    }
    if kind == "BPE":
        words |= {"t": 6, "h": 7, "th": 8}
    flags = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    replace = {"type": "Replace", "pattern": {"String": "  "}, "content": " "}
    begin, text = {"SpecialToken": {"id": "[UNK]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    described = {
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "[UNK]", **flags}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, replace]},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "\\s+"},
            "behavior": "Removed",
            "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text],
            "pair": [],
            "special_tokens": {"[UNK]": {"id": "[UNK]", "ids": [0], "tokens": ["[UNK]"]}},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": kind, "vocab": words, **models[kind]},
    }
    return json.dumps(described)


def vocabulary_and_merges() -> Files:
    # The bytes as GPT-2 spells them are the first 256 tokens of any such vocabulary.
    described = json.loads(vocabularies.bpe_json())["model"]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in described["merges"]]
    return {
        "vocab.json": json.dumps(described["vocab"]).encode(),
        "merges.txt": "\n".join(["#version: 0.2", *merges]).encode(),
    }


def ranks() -> Files:
    tokens = [*(bytes([n]) for n in range(256)), b"th", b"the", b" c", b" ca", b"\xe6\x9d"]
    lines = (b"%s %d" % (base64.b64encode(token), n) for n, token in enumerate(tokens))
    return {"qwen.tiktoken": b"\n".join(lines) + b"\n"}


def characters() -> Files:
    return {"dates.characters": asset("tokenizers", "dates.characters").read_bytes()}


SIZE = vocabularies.SIZE
FORMATS["tokenizer.json, bytes"] = Format(
    hf_tokenizer(partial(vocabularies.bpe_json, "<|begin|>")), tokenizer(SIZE)
)
FORMATS["tokenizer.json, whole text"] = Format(hf_tokenizer(vocabularies.whole_text_json), tokenizer(SIZE))
FORMATS["tokenizer.json, unigram"] = Format(hf_tokenizer(vocabularies.unigram_json), tokenizer(SIZE))
for kind in ("WordPiece", "WordLevel", "BPE"):
    FORMATS[f"tokenizer.json, {kind}"] = Format(
        hf_tokenizer(partial(word_tokenizer, kind)), tokenizer(SIZE, {"bos_token_id": 1, "eos_token_id": 2})
    )
FORMATS["vocab.json and merges.txt"] = Format(vocabulary_and_merges, tokenizer(SIZE))
for kind in ("bpe", "unigram"):
    FORMATS[f"SentencePiece, {kind}"] = Format(
        lambda kind=kind: {"tokenizer.model": vocabularies.sentencepiece_model(kind)}, tokenizer(SIZE)
    )
FORMATS["tiktoken"] = Format(ranks, tokenizer(300))
FORMATS["tokenizer.bin"] = Format(
    lambda: {"tokenizer.bin": (STORIES / "tok512.bin").read_bytes()}, tokenizer(512)
)
FORMATS["characters"] = Format(characters, tokenizer(70))
# A model's ids may be many more than its tokens, and take no room of their own.
for name in ("tokenizer.json, bytes", "SentencePiece, bpe", "tiktoken", "characters"):
    FORMATS[f"{name}, many ids"] = Format(FORMATS[name].files, tokenizer(20_000_000))
