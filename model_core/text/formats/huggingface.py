"""Hugging Face's tokenizers: tokenizer.json, or vocab.json and merges.txt. Read by the tokenizers library.

A tokenizer.json says everything: how the text is prepared and cut into words, the vocabulary with its merges or scores,
and which special tokens are put before a prompt. vocab.json and merges.txt are byte-level BPE; the words they merge
within are GPT-2's, or Qwen2's where tokenizer_config.json says that it is Qwen2's tokenizer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from model_core.api.errors import InputError, library_errors
from model_core.api.files.json_file import read_json
from model_core.api.files.regular_file import is_there
from model_core.api.files.text_file import read_text
from model_core.text.formats.ranks import QWEN_PATTERN
from model_core.text.merges import Part
from model_core.text.registry import Format, Wanted, check_size, readable, register, unused
from model_core.text.tokenizer import IdSet, Origin, Tokenizer, check_id, spell, whole_characters
from model_core.text.vocabulary import BYTE_CHARACTERS, token_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

FILE, VOCAB, MERGES = "tokenizer.json", "vocab.json", "merges.txt"
MOST_BYTES = 100 << 20  # of any of them; the largest that were published have 35 MB
BLANK = "▁"
BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class HuggingFaceTokenizer(Tokenizer):
    """Any tokenizer of the library. Special tokens written out in a text are their one id, as in transformers."""

    def __init__(self, name: str, library: Library, wanted: Wanted) -> None:
        added = library.get_added_tokens_decoder()
        self.name = name
        self.vocab_size = wanted.vocab_size
        self.origin = Origin(name)
        self.bos, self.eos = (id_of(library, token) for token in (wanted.bos, wanted.eos))
        self.prefix: tuple[int, ...] = ()
        if wanted.add_bos and self.bos is not None:
            self.prefix = (self.bos,)
        self._library = library
        self._known = {*library.get_vocab(with_added_tokens=True).values()}
        ordinary = self._known - {id for id, token in added.items() if token.special}
        self.special = IdSet.without(ordinary, wanted.vocab_size)
        self._added = frozenset(added)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._library.encode(whole_characters(text), add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        for id in ids:
            check_id(id, self.vocab_size)
        text: str = self._library.decode([id for id in ids if id in self._known], skip_special_tokens=False)
        return text

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        token = self._library.id_to_token(id)
        if token is None:
            return unused(id)
        return token if id in self._added else self.spell(token)

    # Why this split

    def parts(self, text: str) -> list[Part]:
        encoded = self._library.encode(whole_characters(text), add_special_tokens=False)
        word, parts, before = -1, list[Part](), None
        for id, token, cut in zip(encoded.ids, encoded.tokens, encoded.word_ids, strict=True):
            # Where the whole text is one word to the library, its pieces still keep to the blanks.
            word += cut != before or (token.startswith(BLANK) and not self.byte_level)
            before = cut
            parts.append(Part(id, (token,) if self._is_atom(id, token) else tuple(token), word))
        return parts

    def spell(self, symbol: str) -> str:
        if self.byte_level:
            return spell(token_bytes(symbol)) if BYTE_CHARACTERS.issuperset(symbol) else symbol
        if byte := BYTE.fullmatch(symbol):
            return spell(bytes.fromhex(byte[1]))
        return symbol.replace(BLANK, " ")

    @cached_property
    def byte_level(self) -> bool:
        """Are its tokens bytes in GPT-2's printable spelling?"""
        return '"ByteLevel"' in json.dumps(self.described.get("decoder"))

    @cached_property
    def described(self) -> dict[str, Any]:
        """The tokenizer as tokenizer.json would describe it, without its vocabulary."""
        described: dict[str, Any] = json.loads(self._library.to_str())
        described["model"].pop("vocab")
        return described

    def _is_atom(self, id: int, token: str) -> bool:
        """Was the token made of nothing else: an added one, an unknown one, a byte?"""
        byte = not self.byte_level and BYTE.fullmatch(token) is not None
        return id in self._added or byte or token == self.described["model"].get("unk_token")


class MergingHuggingFace(HuggingFaceTokenizer):
    """Byte-pair encoding: the pair that stands first in the list of merges is merged first."""

    measure: Literal["rank"] = "rank"

    def merge(self, left: str, right: str) -> tuple[str, float] | None:
        rank = self._ranks.get((left, right))
        return None if rank is None else (left + right, rank)

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        pairs = (
            pair.split(" ") if isinstance(pair, str) else pair for pair in self.described["model"]["merges"]
        )
        return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


class ScoringHuggingFace(HuggingFaceTokenizer):
    """A unigram vocabulary: each piece has a log-probability."""

    @cached_property
    def scores(self) -> dict[str, float]:
        vocabulary = json.loads(self._library.to_str())["model"]["vocab"]
        return {piece: score for piece, score in vocabulary if not BYTE.fullmatch(piece)}


def id_of(library: Library, token: str | int | None) -> int | None:
    """The id of a special token that is said by its text or by its id."""
    if isinstance(token, str):
        found: int | None = library.token_to_id(token)
        return found
    return token


def template(library: Library, text: str) -> tuple[int, ...]:
    """What the post-processor puts before a text; `text` is one that the tokenizer makes tokens of."""
    whole, plain = (library.encode(text, add_special_tokens=special).ids for special in (True, False))
    fits = (at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
    return tuple(whole[: next(fits, 0)])


def open_json(path: Path, wanted: Wanted) -> Tokenizer:
    from tokenizers import Tokenizer as Library

    content = read_text(path, MOST_BYTES)
    with library_errors(f"{path} is no tokenizer.json"):
        library = Library.from_str(content)
    return built(path, library, wanted)


def open_vocab(path: Path, wanted: Wanted) -> Tokenizer:
    """Byte-level BPE from vocab.json and the merges.txt beside it."""
    from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
    from tokenizers import Tokenizer as Library

    vocabulary = read_json(path, MOST_BYTES)
    if not all(isinstance(id, int) and not isinstance(id, bool) and id >= 0 for id in vocabulary.values()):
        raise InputError(f"{path} has tokens whose id is no whole number from 0 up: download it again")
    pairs = read_merges(path.with_name(MERGES), vocabulary)
    with library_errors(f"{path} and {MERGES} do not fit"):
        library = Library(models.BPE(vocabulary, pairs))
    if str(wanted.settings.get("tokenizer_class", "")).startswith("Qwen2"):
        library.normalizer = normalizers.NFC()
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN_PATTERN), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        blank = wanted.settings.get("add_prefix_space") is True
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=blank)
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(
        [AddedToken(token, normalized=False) for token in special_tokens(vocabulary, wanted)]
    )
    return built(path, library, wanted)


def read_merges(path: Path, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """The pairs in merges.txt, one a line. InputError names a line that is no pair, or makes no token."""
    pairs = []
    for number, line in enumerate(read_text(path, MOST_BYTES).split("\n"), start=1):
        words = line.removesuffix("\r").split(" ")
        if line.startswith("#version") or words == [""]:
            continue
        if len(words) != 2 or words[0] + words[1] not in vocabulary:
            raise InputError(
                f"{path}, line {number}: no two tokens whose pair is in {VOCAB}; the file is damaged"
            )
        pairs.append((words[0], words[1]))
    return pairs


def special_tokens(vocabulary: Mapping[str, int], wanted: Wanted) -> list[str]:
    """BOS, EOS and the like: what the settings name, and a vocabulary's <|endoftext|>."""
    listed = wanted.settings.get("added_tokens_decoder")
    added = listed.items() if isinstance(listed, Mapping) else ()
    numbered = [(int(id), said["content"]) for id, said in added if is_added(id, said)]
    named = [token for token in (wanted.bos, wanted.eos, "<|endoftext|>") if isinstance(token, str)]
    known = [token for token in named if token in vocabulary]
    # A token that the vocabulary lacks takes the next id, so only those that stand there are right.
    at = len(vocabulary)
    for id, token in sorted(numbered):
        if token in vocabulary or id == at:
            known.append(token)
            at += token not in vocabulary
    return list(dict.fromkeys(known))


def is_added(id: object, said: object) -> bool:
    return (
        isinstance(id, str)
        and id.isdigit()
        and isinstance(said, Mapping)
        and isinstance(said.get("content"), str)
    )


def built(path: Path, library: Library, wanted: Wanted) -> Tokenizer:
    """The library's tokenizer as one of ours. InputError where it has more tokens than the model."""
    highest = max(library.get_vocab(with_added_tokens=True).values(), default=-1)
    check_size(path, highest + 1, wanted.vocab_size)
    library.no_truncation()
    library.no_padding()
    model = type(library.model).__name__
    kinds = {"BPE": MergingHuggingFace, "Unigram": ScoringHuggingFace}
    tokenizer = kinds.get(model, HuggingFaceTokenizer)(path.parent.name or path.stem, library, wanted)
    if wanted.add_bos is None:
        tokenizer.prefix = template(library, readable(path, tokenizer))
    return tokenizer


def find_json(folder: Path, vocab_size: int) -> Path | None:
    path = folder / FILE
    return path if is_there(path) else None


def find_vocab(folder: Path, vocab_size: int) -> Path | None:
    path = folder / VOCAB
    return path if is_there(path) and is_there(folder / MERGES) else None


register(Format(10, find_json, open_json, library=True))
register(Format(20, find_vocab, open_vocab, beside=(MERGES,), library=True))
