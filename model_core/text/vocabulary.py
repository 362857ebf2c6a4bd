"""A byte-level BPE vocabulary: learned from a text, and kept in tiktoken's file format.

A vocabulary is a dict of *ranks*, token bytes -> id. Ids 0..255 are the single bytes by value, and each later
id is a merge of two earlier tokens, in the order the merges were learned. Special tokens are not in it: they
take the ids after the last merge. Byte-level BPE: Radford et al. 2019, "Language Models are Unsupervised
Multitask Learners", section 2.2, after Sennrich et al. 2016, algorithm 1.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from model_core.api.errors import InputError
from model_core.api.files.regular_file import read_regular

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BYTES = 256
MOST_BYTES = 16 << 20  # of a ranks file; the largest that were published have 4 MB


def train_ranks(text: str, vocab_size: int, special: Sequence[str]) -> dict[bytes, int]:
    """Learn `vocab_size - len(special)` ranks from `text`.

    The text is cut at every special token first, so no merge holds one or crosses one. Raises InputError for a
    `vocab_size` that the bytes do not fit into, and for one that the text has too few pairs for.
    """
    merged = vocab_size - len(special)
    if merged < BYTES:
        raise InputError(
            f"A vocabulary of {vocab_size} has no room for {BYTES} bytes and {len(special)} special tokens: "
            f"ask for at least {BYTES + len(special)}."
        )
    ranks = ranks_of(train_bpe(text, merged, special))
    if len(ranks) < merged:
        raise InputError(
            f"The text has pairs for only {len(ranks) + len(special)} of {vocab_size} tokens: "
            "give a longer text or ask for a smaller vocabulary."
        )
    return ranks


def train_bpe(text: str, size: int, special: Sequence[str]) -> Tokenizer:
    """The BPE of at most `size` tokens that the tokenizers library learns from `text`, cut at `special`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # GPT-2's regex
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    documents = re.split("|".join(map(re.escape, special)), text) if special else [text]
    bpe.train_from_iterator(documents, trainer)
    return bpe


def ranks_of(bpe: Tokenizer) -> dict[bytes, int]:
    """The ranks of a trained BPE. Its own ids order the bytes as GPT-2 did; here a byte's id is its value."""
    by_id = sorted(bpe.get_vocab().items(), key=lambda item: item[1])
    learned = [token_bytes(token) for token, _ in by_id[BYTES:]]
    return {token: rank for rank, token in enumerate([bytes([b]) for b in range(BYTES)] + learned)}


def token_bytes(token: str) -> bytes:
    """The bytes of a token as GPT-2 spells it, one printable character a byte: "Ġthe" is b" the"."""
    return bytes(_BYTE_OF[character] for character in token)


def _byte_of() -> dict[str, int]:
    # GPT-2's encoder.py, bytes_to_unicode: a printable byte is itself, the others count up from U+0100.
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


_BYTE_OF = _byte_of()
BYTE_CHARACTERS = frozenset(_BYTE_OF)


def save_ranks(ranks: dict[bytes, int], path: str | os.PathLike[str]) -> None:
    """Write one line a token, in order of rank: the token in base64, a space, the rank."""
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    Path(path).write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ordered))


def load_ranks(
    path: str | os.PathLike[str], size: int | None = None, *, apart: Set[int] = frozenset()
) -> dict[bytes, int]:
    """Read a tiktoken ranks file; with `size`, one of exactly that many ranks (special tokens not counted).

    apart  ids that special tokens have taken, which the ranks may step over

    Raises InputError, naming the line, for anything but a whole byte-level vocabulary: a file that cannot be
    read, a cut line, a token that is not base64, a token or rank given twice, a rank left out, a byte without
    a token, or another size than `size`.
    """
    lines = read_regular(Path(path), MOST_BYTES).splitlines()
    ranks: dict[bytes, int] = {}
    line_of: dict[int, int] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        token, rank = parse_line(line, where)
        if rank in line_of:
            raise InputError(
                f"{where}: rank {rank} was given before, on line {line_of[rank]}; the file is damaged."
            )
        if token in ranks:
            first = line_of[ranks[token]]
            raise InputError(f"{where}: the token was given before, on line {first}; the file is damaged.")
        ranks[token] = rank
        line_of[rank] = number

    last = max(line_of, default=-1)
    if last >= len(ranks) + len([id for id in apart if id < last]):
        raise InputError(
            f"{path}, line {line_of[last]}: rank {last} leaves a gap, as the file has {len(ranks)} tokens; "
            "lines are missing."
        )
    for byte in range(BYTES):
        if bytes([byte]) not in ranks:
            raise InputError(
                f"{path}: byte 0x{byte:02X} has no token; the file is cut after line {len(lines)}."
            )
    if size is not None and len(ranks) != size:
        raise InputError(
            f"{path}: {len(ranks)} tokens up to line {len(lines)}, but the model needs {size}; "
            "the file is cut or belongs to another model."
        )
    return ranks


def parse_line(line: bytes, where: str) -> tuple[bytes, int]:
    fields = line.split()
    if len(fields) != 2:
        raise InputError(f'{where}: expected "<base64 token> <rank>"; the file is cut or no tiktoken file.')
    try:
        token = base64.b64decode(fields[0], validate=True)
    except binascii.Error:
        raise InputError(f"{where}: the token is not base64; the file is damaged.") from None
    # Nine digits are more than any vocabulary needs, and int() itself refuses very long numbers.
    if not fields[1].isdigit() or len(fields[1]) > 9:
        raise InputError(f"{where}: the rank is not a whole number; the file is damaged.")
    return token, int(fields[1])
