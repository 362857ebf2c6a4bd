"""llama2.c's tokenizer.bin: the pieces of a SentencePiece model of byte-pair encoding with their scores.

int32 longest piece, then for each token float32 score, int32 length, its bytes; little-endian. Encoding and decoding
are those of run.c: the text is read as if it began with a space, a character without a piece is spelled in bytes, of
which <0x00> is id 3, and the pair whose piece has the highest score is merged first.
"""

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from model_core.api.errors import InputError, Misfit
from model_core.api.files.regular_file import is_there, read_regular
from model_core.text.merges import Part, bpe
from model_core.text.registry import Format, Wanted, register
from model_core.text.tokenizer import IdSet, Origin, Tokenizer, check_id, spell, whole_characters

UNKNOWN, BOS, EOS, FIRST_BYTE = 0, 1, 2, 3
MOST_BYTES = 16 << 20  # of a file; LLaMA 2's 32,000 pieces take 434 kB
NAMES = {UNKNOWN: "<unk>", BOS: "<s>", EOS: "</s>"}
BYTE = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
# The first releases wrote the piece of a byte, <0xE9>, as the character of that number: é.
BYTES = [b"<0x%02X>" % byte for byte in range(256)]
FIRST_RELEASES = [chr(byte).encode() for byte in range(256)]


class Llama2cTokenizer(Tokenizer):
    """The tokenizer of run.c. BOS stands between two texts, so it ends one as well: it is `eos` too."""

    measure: Literal["score"] = "score"

    def __init__(self, name: str, pieces: Sequence[bytes], scores: Sequence[float], wanted: Wanted) -> None:
        self.name = name
        self.vocab_size = len(pieces)
        self.origin = Origin(name)
        self.bos: int | None = BOS
        self.eos: int | None = BOS
        self.prefix: tuple[int, ...] = () if wanted.add_bos is False else (BOS,)
        self.special = IdSet(NAMES)
        self._pieces = pieces
        self._scores = scores
        self._ids = {piece: id for id, piece in enumerate(pieces)}

    def encode(self, text: str) -> list[int]:
        symbols = self._symbols(text)
        pieces = dict(enumerate(symbols))
        for made in bpe(symbols, self.merge, highest_first=True):
            pieces[made.start] = made.piece
            del pieces[made.middle]
        return [self._ids[piece] for _, piece in sorted(pieces.items())]

    def decode(self, ids: Sequence[int]) -> str:
        for id in ids:
            check_id(id, self.vocab_size)
        text = b"".join(self._bytes(id) for id in ids if id not in self.special)
        # The space that the text was read with, as at the place after BOS in run.c.
        return text.removeprefix(b" ").decode("utf-8", errors="replace")

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        return NAMES[id] if id in NAMES else spell(self._bytes(id))

    # Why this split

    def parts(self, text: str) -> list[Part]:
        symbols = iter(self._symbols(text))
        word, parts = -1, list[Part]()
        for id in self.encode(text):
            piece, own = self._pieces[id], [next(symbols)]
            while sum(map(len, own)) < len(piece):
                own.append(next(symbols))
            word += piece.startswith(b" ") or not parts
            parts.append(Part(id, tuple(own), word))
        return parts

    def merge(self, left: bytes, right: bytes) -> tuple[bytes, float] | None:
        id = self._ids.get(left + right)
        return None if id is None else (left + right, self._scores[id])

    def spell(self, symbol: bytes) -> str:
        byte = BYTE.fullmatch(symbol)
        return spell(bytes.fromhex(byte[1].decode()) if byte else symbol)

    def _symbols(self, text: str) -> list[bytes]:
        """What merging begins with: the characters that have pieces, and the bytes of the others."""
        symbols: list[bytes] = []
        for character in f" {whole_characters(text)}" if text else "":
            piece = character.encode()
            spelled = [self._pieces[FIRST_BYTE + byte] for byte in piece]
            symbols += [piece] if piece in self._ids else spelled
        return symbols

    def _bytes(self, id: int) -> bytes:
        byte = BYTE.fullmatch(self._pieces[id])
        return bytes.fromhex(byte[1].decode()) if byte else self._pieces[id]


def open(path: Path, wanted: Wanted) -> Llama2cTokenizer:
    pieces, scores = read(path, wanted.vocab_size)
    return Llama2cTokenizer(path.stem, pieces, scores, wanted)


def read(path: Path, vocab_size: int) -> tuple[list[bytes], list[float]]:
    """Pieces and scores of the file. InputError where it is cut, or has another number of tokens."""
    data = read_regular(path, MOST_BYTES)
    pieces: list[bytes] = []
    scores: list[float] = []
    at = 4
    while at < len(data):
        score, length = struct.unpack_from("<fi", data, at) if at + 8 <= len(data) else (0.0, -1)
        at += 8 + length
        if length < 0 or at > len(data) or not math.isfinite(score):
            raise InputError(f"{path} is damaged at token {len(pieces)}: download it again")
        scores.append(score)
        pieces.append(data[at - length : at])
    if len(pieces) != vocab_size:
        raise Misfit(f"{path} belongs to another model: {len(pieces)} tokens, where this has {vocab_size}")
    spelled = slice(FIRST_BYTE, FIRST_BYTE + 256)
    if pieces[spelled] == FIRST_RELEASES:
        pieces[spelled] = BYTES
    if [BYTE.fullmatch(piece) is not None for piece in pieces[spelled]] != [True] * 256:
        raise InputError(f"{path} has no piece for some bytes: it is no tokenizer of llama2.c")
    return pieces, scores


def find(folder: Path, vocab_size: int) -> Path | None:
    """tok512.bin for a model of 512 ids, or tokenizer.bin, as llama2.c names them."""
    paths = [folder / name for name in (f"tok{vocab_size}.bin", "tokenizer.bin")]
    return next((path for path in paths if is_there(path)), None)


register(Format(50, find, open))
