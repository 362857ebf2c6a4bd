"""Text to token ids and back: what the model reads, and how each id is shown.

Here are the protocol that the rest of the program knows, and the two tokenizers that need no file of another
project: byte-level BPE over tiktoken's ranks, and ids for a model whose vocabulary is not at hand. The formats that
checkpoints bring along are in `model_core.text.formats`, one file each.
"""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol

import tiktoken

from model_core.api.errors import InputError, library_errors
from model_core.text.merges import Part, Split, merges
from model_core.text.vocabulary import load_ranks

__all__ = [
    "END_OF_TEXT",
    "GPT2_PATTERN",
    "IDS",
    "IdSet",
    "IdTokenizer",
    "Origin",
    "TiktokenTokenizer",
    "Tokenizer",
    "load_ranks",
]

END_OF_TEXT = "<|endoftext|>"
IDS = "ids"  # the name of what reads token ids
UNUSED = re.compile(r"<\|unused(0|[1-9][0-9]{0,11})\|>")

# GPT-2's encoder.py, with the contractions folded as tiktoken does: merges never cross these pieces.
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Origin:
    """Where a tokenizer came from: what a model that is saved elsewhere needs to bring it along.

    said   what the model's description is to say of it: a name, or what a checkpoint's configuration said beside the
           files; None for token ids
    files  what is to lie beside the model, by name
    """

    said: str | Mapping[str, Any] | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


class IdSet(Set[int]):
    """Ids of a model, in ascending order: some, each by itself, and behind them a range, which needs no memory."""

    def __init__(self, some: Iterable[int] = (), behind: range = range(0)) -> None:
        self._found = frozenset(some)
        self.some = sorted(self._found)
        self.behind = behind
        assert not self.some or not behind or self.some[-1] < behind[0], "the range is not behind the others"

    @classmethod
    def without(cls, taken: Iterable[int], size: int) -> IdSet:
        """The ids of a model of `size` that are not taken."""
        ids = frozenset(taken)
        last = max(ids, default=-1)
        return cls((id for id in range(min(last, size)) if id not in ids), range(last + 1, size))

    def __contains__(self, id: object) -> bool:
        return isinstance(id, int) and (id in self._found or id in self.behind)

    def __iter__(self) -> Iterator[int]:
        return chain(self.some, self.behind)

    def __len__(self) -> int:
        return len(self.some) + len(self.behind)

    @classmethod
    def _from_iterable(cls, ids: Iterable[Any]) -> frozenset[Any]:
        return frozenset(ids)

    def __getitem__(self, number: int) -> int:
        some = len(self.some)
        return self.some[number] if number < some else self.behind[number - some]

    def number(self, id: int) -> int:
        """Which of them an id is, from 0."""
        return len(self.some) + self.behind.index(id) if id in self.behind else self.some.index(id)


class Tokenizer(Protocol):
    """What the rest of the program knows of a tokenizer.

    prefix   ids that the model's own configuration puts before every prompt: its BOS, or nothing
    special  ids that stand for no text, such as BOS and EOS, to be shown as such
    origin   where it came from
    """

    name: str
    vocab_size: int
    bos: int | None
    eos: int | None
    prefix: tuple[int, ...]
    special: IdSet
    origin: Origin

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt, without the prefix."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; bytes that form no character become U+FFFD. InputError for an unknown id."""
        ...

    def token(self, id: int) -> str:
        """One id for display; bytes that form no character read <0xE2>. InputError for an unknown id."""
        ...

    def strings(self, ids: Sequence[int]) -> list[str]:
        """Each of the ids for display."""
        return [self.token(id) for id in ids]

    def continuations(self, ids: Sequence[int], by: Sequence[int]) -> list[str]:
        """What each of the ids `by`, put behind `ids`, adds to their text."""
        text = self.decode(ids)
        return [self.decode([*ids, id]).removeprefix(text) for id in by]

    def split(self, text: str, position: int) -> Split:
        """Why the word around a token of the text was cut so. InputError where there is no such token."""
        return merges(self, text, position)


class TiktokenTokenizer(Tokenizer):
    """Byte-level BPE over ranks in tiktoken's format.

    special    tokens beside the ranks: names with their ids, or names that take the ids after the last rank, in
               order. <|endoftext|>, if among them, is both `eos` and `bos`, as in GPT-2: it ends one document and so
               stands before the next. Written out in a text, a special token is its one id.
    vocab_size  ids of the model, where it has more: those are <|unused0|>, <|unused1|>, ..., special tokens as well
    pattern    the pieces that merges never cross, as a regular expression
    prefix     names of the special tokens that are put before every prompt
    normalise  a Unicode form that the text is brought into first
    """

    def __init__(
        self,
        name: str,
        ranks: Mapping[bytes, int],
        special: Sequence[str] | Mapping[str, int] = (END_OF_TEXT,),
        *,
        vocab_size: int | None = None,
        pattern: str = GPT2_PATTERN,
        prefix: Sequence[str] = (),
        normalise: str | None = None,
    ) -> None:
        ids = dict(special if isinstance(special, Mapping) else zip(special, count(len(ranks)), strict=False))
        self.name = name
        self.vocab_size = vocab_size or len(ranks) + len(ids)
        self.bos = self.eos = ids.get(END_OF_TEXT)
        self.prefix = tuple(ids[token] for token in prefix)
        self.special = IdSet.without(ranks.values(), self.vocab_size)
        self.pattern = pattern
        self.normalise: Any = normalise
        self.origin = Origin(name)
        self._ranks = dict(ranks)
        # The library makes one expression of all special tokens: of millions it would take all memory.
        self._unused = IdSet.without([*ranks.values(), *ids.values()], self.vocab_size)
        self._encoding = tiktoken.Encoding(
            name, pat_str=pattern, mergeable_ranks=self._ranks, special_tokens=ids
        )

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], special: Sequence[str] = (END_OF_TEXT,)
    ) -> TiktokenTokenizer:
        """The tokenizer of a ranks file, named after it. Raises InputError as `load_ranks` does."""
        return cls(Path(path).stem, load_ranks(path), special)

    def encode(self, text: str) -> list[int]:
        """The ids. InputError for a text that the library gives up on, such as a million blanks in a row."""
        with library_errors(f"the tokenizer {self.name} cannot read this text"):
            ids: list[int] = []
            for stretch, unused in self._stretches(self._normal(text)):
                ids += self._encoding.encode(stretch, allowed_special="all") if unused is None else [unused]
            return ids

    def decode(self, ids: Sequence[int]) -> str:
        for id in ids:
            check_id(id, self.vocab_size)
        return b"".join(map(self._bytes, ids)).decode(errors="replace")

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        return spell(self._bytes(id))

    # Why this split

    measure = "rank"

    def parts(self, text: str) -> list[Part]:
        text = self._normal(text)
        starts = iter(self._word_starts(text))
        word, next_word, at, parts = -1, next(starts, None), 0, []
        for id in self.encode(text):
            while next_word is not None and next_word <= at:
                word, next_word = word + 1, next(starts, None)
            token = self._bytes(id)
            symbols = (token,) if id in self.special else tuple(bytes([byte]) for byte in token)
            parts.append(Part(id, symbols, word))
            at += len(token)
        return parts

    def merge(self, left: bytes, right: bytes) -> tuple[bytes, float] | None:
        rank = self._ranks.get(left + right)
        return None if rank is None else (left + right, rank)

    def spell(self, symbol: bytes) -> str:
        return spell(symbol)

    def _word_starts(self, text: str) -> list[int]:
        """Where the pieces of the pattern begin, in bytes; a special token is a piece of its own."""
        import regex

        starts, at = [], 0
        names = sorted(self._encoding.special_tokens_set, key=len, reverse=True)
        special = f"({'|'.join(map(regex.escape, names))})"
        for stretch, unused in self._stretches(text):
            cut = regex.split(special, stretch) if names and unused is None else [stretch]
            for number, part in enumerate(cut):
                whole = number % 2 or unused is not None
                words = [0] if whole else [found.start() for found in regex.finditer(self.pattern, part)]
                starts += [at + len(part[:start].encode()) for start in words]
                at += len(part.encode())
        return starts

    def _stretches(self, text: str) -> Iterator[tuple[str, int | None]]:
        """The text in parts, each with its id where it is the name of an unused one."""
        at = 0
        for found in UNUSED.finditer(text):
            if int(found[1]) < len(self._unused):
                yield text[at : found.start()], None
                yield found[0], self._unused[int(found[1])]
                at = found.end()
        yield text[at:], None

    def _bytes(self, id: int) -> bytes:
        if id in self._unused:
            return f"<|unused{self._unused.number(id)}|>".encode()
        return self._encoding.decode_single_token_bytes(id)

    def _normal(self, text: str) -> str:
        text = whole_characters(text)
        return text if self.normalise is None else unicodedata.normalize(self.normalise, text)


class IdTokenizer(Tokenizer):
    """For a model without a tokenizer: the prompt is a list of ids, `5 17 3` or `5,17,3`."""

    def __init__(self, vocab_size: int) -> None:
        self.name = IDS
        self.vocab_size = vocab_size
        self.bos: int | None = None
        self.eos: int | None = None
        self.prefix: tuple[int, ...] = ()
        self.special = IdSet()
        self.origin = Origin()

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


def whole_characters(text: str) -> str:
    """The text with halves of surrogate pairs, which no encoding knows, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def spell(token: bytes) -> str:
    """A token for display: its characters, and <0xE2> for each byte that forms none."""
    return token.decode("utf-8", errors=SPELL_BYTES)


def spell_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"<0x{byte:02X}>" for byte in error.object[error.start : error.end]), error.end


SPELL_BYTES = "layerscope.spell_bytes"
codecs.register_error(SPELL_BYTES, spell_bytes)
