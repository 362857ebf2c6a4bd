"""An encoding of tiktoken's is read where it lies, in its full size."""

import hashlib
from pathlib import Path

import pytest

from model_core.api.files.assets import asset
from model_core.text.formats import ranks
from model_core.text.formats.ranks import ENCODINGS, named
from model_core.text.tokenizer import END_OF_TEXT
from model_core.text.vocabulary import load_ranks, save_ranks
from tests.support.models.vocabularies import LINES

pytestmark = pytest.mark.process

TALES = asset("tokenizers", "tales-2048.tiktoken")


def encoding_file(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """The tales vocabulary in place of an encoding's, which tests cannot download."""
    encoding = ENCODINGS[name]
    gap = min(encoding.special.values())
    tokens = sorted(load_ranks(TALES).items(), key=lambda item: item[1])
    step = {rank: rank if rank < gap else rank + 1 for _, rank in tokens}
    path = folder / encoding.file
    save_ranks({token: step[rank] for token, rank in tokens}, path)
    known = ranks.Encoding(
        encoding.file, hashlib.sha256(path.read_bytes()).hexdigest(), encoding.pattern, encoding.special
    )
    monkeypatch.setattr(ranks, "ENCODINGS", {**ENCODINGS, name: known})
    return path


@pytest.mark.parametrize("name", ["p50k_base", "cl100k_base", "o200k_base"])
def test_encoding_is_read_from_the_folder_or_tiktokens_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = encoding_file(tmp_path, monkeypatch, name)
    beside = named(name, 201_088, tmp_path)
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
    url = f"https://openaipublic.blob.core.windows.net/encodings/{path.name}"
    path.rename(cache / hashlib.sha1(url.encode()).hexdigest())
    cached = named(name)
    assert beside.encode(LINES[2]) == cached.encode(LINES[2])
    assert cached.encode(END_OF_TEXT) == [ENCODINGS[name].special[END_OF_TEXT]]
