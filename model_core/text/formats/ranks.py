"""Ranks in tiktoken's format: *.tiktoken files, LLaMA 3's tokenizer.model, and tiktoken's encodings by name.

A ranks file has the merged tokens alone; the pieces that merges keep to and the special tokens are known by the
file's name, or by what Qwen and LLaMA 3 published beside it.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from types import MappingProxyType

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.files.regular_file import open_regular, read_regular
from model_core.text.registry import Format, Wanted, check_size, register
from model_core.text.tokenizer import END_OF_TEXT, GPT2_PATTERN, Origin, TiktokenTokenizer
from model_core.text.vocabulary import MOST_BYTES, load_ranks

# Dubey et al. 2024 took tiktoken's cl100k pieces over; Qwen's differ by cutting numbers into single digits.
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
CL100K_PATTERN = LLAMA3_PATTERN
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K_PATTERN = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+{CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*{CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)

FILL_IN = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
QWEN_SPECIAL = (END_OF_TEXT, "<|im_start|>", "<|im_end|>", *(f"<|extra_{n}|>" for n in range(205)))
LLAMA3_SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    *(f"<|reserved_special_token_{n}|>" for n in range(4)),
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|reserved_special_token_4|>",
    "<|eot_id|>",
    *(f"<|reserved_special_token_{n}|>" for n in range(5, 251)),
)


@dataclass(frozen=True)
class Encoding:
    """One of tiktoken's encodings: its file, that file's SHA-256, its pieces, and its special tokens."""

    file: str
    sha256: str
    pattern: str
    special: Mapping[str, int]

    @property
    def url(self) -> str:
        return f"https://openaipublic.blob.core.windows.net/encodings/{self.file}"


GPT2 = Encoding(
    "r50k_base.tiktoken",
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    GPT2_PATTERN,
    {END_OF_TEXT: 50256},
)
P50K = "p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069", GPT2_PATTERN
ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        "gpt2": GPT2,
        "r50k_base": GPT2,
        "p50k_base": Encoding(*P50K, {END_OF_TEXT: 50256}),
        "p50k_edit": Encoding(
            *P50K, {END_OF_TEXT: 50256} | {name: 50281 + n for n, name in enumerate(FILL_IN)}
        ),
        "cl100k_base": Encoding(
            "cl100k_base.tiktoken",
            "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
            CL100K_PATTERN,
            {END_OF_TEXT: 100257}
            | {name: 100258 + n for n, name in enumerate(FILL_IN)}
            | {"<|endofprompt|>": 100276},
        ),
        "o200k_base": Encoding(
            "o200k_base.tiktoken",
            "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
            O200K_PATTERN,
            {END_OF_TEXT: 199999, "<|endofprompt|>": 200018},
        ),
    }
)


def named(name: str, vocab_size: int | None = None, folder: Path | None = None) -> TiktokenTokenizer:
    """One of tiktoken's encodings, with one token for each id of a model of `vocab_size`.

    Its ranks are the bundled ones (gpt2), those in `folder`, or those in tiktoken's own cache; nothing is fetched.
    InputError for an unknown name, and for ranks that are nowhere or not what tiktoken publishes.
    """
    encoding = ENCODINGS.get(name)
    if encoding is None:
        raise InputError(f"there is no encoding {short(name)}: known are {', '.join(ENCODINGS)}")
    path = ranks_file(name, encoding, folder)
    if hashlib.sha256(read_regular(path, MOST_BYTES)).hexdigest() != encoding.sha256:
        raise InputError(
            f"{path} is not the {encoding.file} that tiktoken reads: download {encoding.url} again"
        )
    ranks = load_ranks(path, apart=frozenset(encoding.special.values()))
    size = max(*ranks.values(), *encoding.special.values()) + 1
    check_size(path, size, vocab_size or size)
    tokenizer = TiktokenTokenizer(
        name, ranks, encoding.special, vocab_size=vocab_size or size, pattern=encoding.pattern
    )
    tokenizer.origin = Origin(name, {} if encoding is GPT2 else {encoding.file: path})
    return tokenizer


def ranks_file(name: str, encoding: Encoding, folder: Path | None) -> Path:
    """Where an encoding's ranks are. InputError says where they may be put."""
    if encoding is GPT2:
        return asset("tokenizers", "gpt2.tiktoken")
    places = [cache() / hashlib.sha1(encoding.url.encode(), usedforsecurity=False).hexdigest()]
    if folder is not None:
        places.insert(0, folder / encoding.file)
    for path in places:
        if path.is_file():
            return path
    raise InputError(f"the vocabulary {name} is not on this machine: put {encoding.url} at {places[0]}")


def cache() -> Path:
    """The folder in which tiktoken keeps what it downloaded."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named or Path(tempfile.gettempdir()) / "data-gym-cache")


def ranks_tokenizer(path: Path, vocab_size: int | None = None) -> TiktokenTokenizer:
    """The tokenizer of a ranks file, with one token for each id of the model. InputError where it has more.

    Files are known by name: those of Qwen, and those of tiktoken's encodings. Others have GPT-2's pieces and, behind
    the ranks, <|endoftext|>. Without a size of the model's, it has these tokens and no more.
    """
    name = path.stem
    if name in ENCODINGS:
        return named(name, vocab_size, path.parent)
    ranks = load_ranks(path)
    vocab_size = vocab_size or len(ranks) + (len(QWEN_SPECIAL) if name.startswith("qwen") else 1)
    check_size(path, len(ranks), vocab_size)
    if name.startswith("qwen"):
        check_size(path, len(ranks) + len(QWEN_SPECIAL[:3]), vocab_size)
        special = after(ranks, QWEN_SPECIAL, vocab_size)
        tokenizer = TiktokenTokenizer(
            name, ranks, special, vocab_size=vocab_size, pattern=QWEN_PATTERN, normalise="NFC"
        )
    else:
        special = after(ranks, [END_OF_TEXT], vocab_size)
        tokenizer = TiktokenTokenizer(name, ranks, special, vocab_size=vocab_size)
    tokenizer.origin = origin_of(path)
    return tokenizer


def origin_of(path: Path) -> Origin:
    """Of a vocabulary that is known by its file's name: bundled, or to be brought along."""
    return Origin(path.stem, {} if path.parent == asset("tokenizers") else {path.name: path})


def llama3_tokenizer(path: Path, wanted: Wanted) -> TiktokenTokenizer:
    """The tokenizer of LLaMA 3's tokenizer.model, which is a ranks file; every prompt begins with <|begin_of_text|>."""
    ranks = load_ranks(path)
    check_size(path, len(ranks) + len(LLAMA3_SPECIAL), wanted.vocab_size)
    special = after(ranks, LLAMA3_SPECIAL, wanted.vocab_size)
    prefix = LLAMA3_SPECIAL[:1] if wanted.add_bos is not False else ()
    tokenizer = TiktokenTokenizer(
        path.stem,
        ranks,
        special,
        vocab_size=wanted.vocab_size,
        pattern=LLAMA3_PATTERN,
        prefix=prefix,
    )
    tokenizer.bos, tokenizer.eos = (special[token] for token in LLAMA3_SPECIAL[:2])
    return tokenizer


def after(ranks: Mapping[bytes, int], names: list[str] | tuple[str, ...], vocab_size: int) -> dict[str, int]:
    """The names on the ids after the last rank, as many as the model has room for."""
    return {name: id for id, name in zip(range(len(ranks), vocab_size), names, strict=False)}


def is_ranks(path: Path) -> bool:
    """Does the file begin with a line of a ranks file?"""
    with open_regular(path) as file:
        first = file.readline(200).split()
    return len(first) == 2 and first[1].isdigit() and first[0].isascii()


def find(folder: Path, vocab_size: int) -> Path | None:
    return min(folder.glob("*.tiktoken"), default=None)


register(Format(40, find, lambda path, wanted: ranks_tokenizer(path, wanted.vocab_size)))
