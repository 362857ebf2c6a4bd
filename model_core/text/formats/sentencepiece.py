"""SentencePiece models: tokenizer.model, as LLaMA 2, Mistral and T5 have it. Read by the sentencepiece library.

Blanks are part of the pieces, written ▁; a text is read as if it began with one. What has no piece is spelled in bytes,
<0xE6>, where the model has those. LLaMA 3's tokenizer.model is a ranks file under the same name.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from model_core.api.errors import InputError
from model_core.api.files.regular_file import is_there, read_regular
from model_core.text.formats.ranks import is_ranks, llama3_tokenizer
from model_core.text.merges import Part
from model_core.text.registry import Format, Wanted, check_size, register, unused
from model_core.text.tokenizer import IdSet, Origin, Tokenizer, check_id, spell, whole_characters

MODEL = "tokenizer.model"
MOST_BYTES = 64 << 20  # of a model; the largest that were published have 5 MB
BLANK = "▁"
BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model of any kind. Its control tokens are not read from the text, as in the library."""

    def __init__(self, name: str, model: bytes, wanted: Wanted) -> None:
        from sentencepiece import SentencePieceProcessor

        library: Any = SentencePieceProcessor(model_proto=model)
        known = range(library.GetPieceSize())
        self.name = name
        self.vocab_size = wanted.vocab_size
        self.origin = Origin(name)
        self.bos, self.eos = (id if id >= 0 else None for id in (library.bos_id(), library.eos_id()))
        self.prefix: tuple[int, ...] = () if self.bos is None or wanted.add_bos is False else (self.bos,)
        ordinary = (id for id in known if not (library.IsControl(id) or library.IsUnknown(id)))
        self.special = IdSet.without(ordinary, wanted.vocab_size)
        self._library = library
        self._pieces = [library.IdToPiece(id) for id in known]
        self._known = known
        self.size = len(known)
        self.all_scores = [library.GetScore(id) for id in known]

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._library.EncodeAsIds(whole_characters(text))
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        for id in ids:
            check_id(id, self.vocab_size)
        text: str = self._library.DecodeIds([id for id in ids if id in self._known])
        return text

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        return self.spell(self._pieces[id]) if id in self._known else unused(id)

    # Why this split

    def parts(self, text: str) -> list[Part]:
        text = whole_characters(text)
        word, parts = -1, list[Part]()
        pieces = self._library.EncodeAsPieces(text)
        for id, piece in zip(self._library.EncodeAsIds(text), pieces, strict=True):
            word += piece.startswith(BLANK) or not parts
            parts.append(Part(id, tuple(piece) if id in self.scores_by_id else (piece,), word))
        return parts

    def spell(self, symbol: str) -> str:
        if byte := BYTE.fullmatch(symbol):
            return spell(bytes.fromhex(byte[1]))
        return symbol.replace(BLANK, " ")

    @cached_property
    def scores_by_id(self) -> dict[int, float]:
        """The score of each piece that text is made of: no control token, no byte."""
        plain = [id for id in self._known if id not in self.special and not self._library.IsByte(id)]
        return {id: self.all_scores[id] for id in plain}

    @cached_property
    def scores(self) -> dict[str, float]:
        """The same by piece."""
        return {self._pieces[id]: score for id, score in self.scores_by_id.items()}


class MergingSentencePiece(SentencePieceTokenizer):
    """A model of byte-pair encoding: the pair whose piece has the highest score is merged first."""

    measure: Literal["score"] = "score"

    def merge(self, left: str, right: str) -> tuple[str, float] | None:
        score = self.scores.get(left + right)
        return None if score is None else (left + right, score)


def open(path: Path, wanted: Wanted) -> Tokenizer:
    if is_ranks(path):
        return llama3_tokenizer(path, wanted)
    model = read_regular(path, MOST_BYTES)
    try:
        merging = model_type(model) == BPE
        kind = MergingSentencePiece if merging else SentencePieceTokenizer
        tokenizer = kind(path.parent.name or path.stem, model, wanted)
    except (RuntimeError, ValueError, IndexError):
        raise InputError(f"{path} is no whole SentencePiece model: download it again") from None
    check_size(path, tokenizer.size, wanted.vocab_size)
    if not all(map(math.isfinite, tokenizer.all_scores)):
        raise InputError(f"{path} has scores that are NaN or infinite: download it again")
    return tokenizer


UNIGRAM, BPE = 1, 2
TRAINER, MODEL_TYPE = 2, 3  # numbers of fields in sentencepiece_model.proto


def model_type(model: bytes) -> int:
    """TrainerSpec.ModelType of a serialised model: 1 unigram, 2 byte-pair encoding. ValueError where it is none."""
    trainer = dict(fields(model)).get(TRAINER)
    kind = dict(fields(trainer)).get(MODEL_TYPE, UNIGRAM) if isinstance(trainer, bytes) else None
    if not isinstance(kind, int):
        raise ValueError("no serialised model")
    return kind


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number and value, bytes undecoded. IndexError where it is cut."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        wire = key & 7
        if wire == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(wire) or varint()
        yield key >> 3, message[at : at + size]
        at += size


def find(folder: Path, vocab_size: int) -> Path | None:
    path = folder / MODEL
    return path if is_there(path) else None


register(Format(30, find, open, library=True))
