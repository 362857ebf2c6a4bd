"""Tokenizers' files that make a library hang, panic, take all memory, or speak of tokens that are not there."""

import json
from typing import Any

LETTERS = {letter: id for id, letter in enumerate("abcdefghijklmnopqrstuvwxyz 0123456789")}
SIZE = len(LETTERS)


def tokenizer_json(model: dict[str, Any], **more: Any) -> str:
    """A tokenizer.json around a model; `more` replaces the parts that it leaves empty."""
    parts = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    empty: dict[str, Any] = dict.fromkeys(parts)
    return json.dumps({"version": "1.0", **empty, "added_tokens": [], "model": model} | more)


def bpe(**more: Any) -> dict[str, Any]:
    return {"type": "BPE", "vocab": LETTERS, "merges": []} | more


def word_level(**more: Any) -> dict[str, Any]:
    return {"type": "WordLevel", "vocab": LETTERS, "unk_token": "[UNK]"} | more


def word_piece(**more: Any) -> dict[str, Any]:
    parts = {"unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    return {"type": "WordPiece", "vocab": LETTERS} | parts | more


def unigram(**more: Any) -> dict[str, Any]:
    return {"type": "Unigram", "unk_id": None, "vocab": [[letter, -1.0] for letter in LETTERS]} | more


def template(id: int) -> dict[str, Any]:
    """What puts a token of that id before every text."""
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [id], "tokens": ["<s>"]}},
    }


def growth(letter: str) -> dict[str, Any]:
    """What writes a letter as 10^12 of it."""
    tenfold = {"type": "Replace", "pattern": {"String": letter}, "content": letter * 10}
    return {"type": "Sequence", "normalizers": [tenfold] * 12}


SLOW_SPLIT = {
    "type": "Split",
    "pattern": {"Regex": "(x+x+)+y"},
    "behavior": "Isolated",
    "invert": False,
}
CHARSMAP = {"type": "Precompiled", "precompiled_charsmap": "/////wAAAAA="}

# Each stretch costs what is just below the library's own limit for one.
HANGING = f"{'x' * 22} " * 2000
