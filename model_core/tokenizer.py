"""Text to token ids and back: what the model reads, and how each id is shown.

A model with a vocabulary has a TiktokenTokenizer. One that has none, or whose vocabulary is not at hand, has
an IdTokenizer: the prompt is then the ids themselves.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import tiktoken

from model_core.errors import InputError
from model_core.vocabulary import load_ranks

__all__ = ["END_OF_TEXT", "GPT2_PATTERN", "IdTokenizer", "TiktokenTokenizer", "Tokenizer", "load_ranks"]

END_OF_TEXT = "<|endoftext|>"

# GPT-2's encoder.py, with the contractions folded as tiktoken does: merges never cross these pieces.
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Tokenizer(Protocol):
    """What the rest of the program knows of a tokenizer."""

    name: str
    vocab_size: int
    bos: int | None
    eos: int | None

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt. A special token written out, such as <|endoftext|>, is its one id."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; bytes that form no character become U+FFFD. InputError for an unknown id."""
        ...

    def token(self, id: int) -> str:
        """One id for display; bytes that form no character read <0xE2>. InputError for an unknown id."""
        ...


class TiktokenTokenizer:
    """Byte-level BPE with GPT-2's pieces, over ranks in tiktoken's format.

    `special` tokens take the ids after the last rank, in order. <|endoftext|>, if among them, is both `eos`
    and `bos`, as in GPT-2: it ends one document and so stands before the next.
    """

    def __init__(
        self, name: str, ranks: Mapping[bytes, int], special: Sequence[str] = (END_OF_TEXT,)
    ) -> None:
        ids = {text: len(ranks) + i for i, text in enumerate(special)}
        self.name = name
        self.vocab_size = len(ranks) + len(ids)
        self.bos = self.eos = ids.get(END_OF_TEXT)
        self._encoding = tiktoken.Encoding(
            name, pat_str=GPT2_PATTERN, mergeable_ranks=dict(ranks), special_tokens=ids
        )

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], special: Sequence[str] = (END_OF_TEXT,)
    ) -> TiktokenTokenizer:
        """The tokenizer of a ranks file, named after it. Raises InputError as `load_ranks` does."""
        return cls(Path(path).stem, load_ranks(path), special)

    def encode(self, text: str) -> list[int]:
        return self._encoding.encode(text, allowed_special="all")

    def decode(self, ids: Sequence[int]) -> str:
        for id in ids:
            check_id(id, self.vocab_size)
        return self._encoding.decode(ids, errors="replace")

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        return self._encoding.decode_single_token_bytes(id).decode("utf-8", errors=SPELL_BYTES)


class IdTokenizer:
    """For a model without a tokenizer: the prompt is a list of ids, `5 17 3` or `5,17,3`."""

    def __init__(self, vocab_size: int) -> None:
        self.name = "ids"
        self.vocab_size = vocab_size
        self.bos: int | None = None
        self.eos: int | None = None

    def encode(self, text: str) -> list[int]:
        """The ids. Raises InputError naming the first word that is no id of this vocabulary."""
        return [self._id(word) for word in text.replace(",", " ").split()]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.token(id) for id in ids)

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        return str(id)

    def _id(self, word: str) -> int:
        digits = word.lstrip("0") or "0"
        # The length is compared first: int() itself refuses very long numbers.
        if not (word.isascii() and word.isdigit()) or len(digits) > 18 or int(digits) >= self.vocab_size:
            raise InputError(
                f'"{shorten(word)}" is no token id: this model has no tokenizer, '
                f"so write ids from 0 to {self.vocab_size - 1}, such as 5 17 3."
            )
        return int(digits)


def check_id(id: int, vocab_size: int) -> None:
    if not 0 <= id < vocab_size:
        raise InputError(f"Token id {id} is not in this vocabulary: its ids go from 0 to {vocab_size - 1}.")


def shorten(word: str) -> str:
    return word if len(word) <= 40 else word[:40] + "..."


def spell_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"<0x{byte:02X}>" for byte in error.object[error.start : error.end]), error.end


SPELL_BYTES = "layerscope.spell_bytes"
codecs.register_error(SPELL_BYTES, spell_bytes)
