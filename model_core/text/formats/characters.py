"""One token a character: a file *.characters, JSON with the characters in the order of their ids.

{"characters": "0123456789 ,./", "begin": "<|begin|>", "end": "<|end|>"}

The two special tokens take the ids after the last character. Every text begins with the one, which is what the decoder
of an encoder-decoder starts from, and ends at the other.
"""

from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short

from model_core.api.errors import InputError
from model_core.api.files.json_file import read_json
from model_core.text.formats.ranks import origin_of
from model_core.text.registry import Format, check_size, register, unused
from model_core.text.tokenizer import IdSet, Origin, Tokenizer, check_id

SUFFIX = ".characters"


class CharacterTokenizer(Tokenizer):
    """Each character of a text is its own token."""

    def __init__(self, name: str, characters: str, begin: str, end: str, vocab_size: int) -> None:
        self.name = name
        self.vocab_size = vocab_size
        self.characters = characters
        self.bos: int | None = len(characters)
        self.eos: int | None = len(characters) + 1
        self.prefix: tuple[int, ...] = (len(characters),)
        self.origin = Origin(name)
        self._names = {len(characters): begin, len(characters) + 1: end}
        self.special = IdSet.without(range(len(characters)), vocab_size)
        self._ids = {character: id for id, character in enumerate(characters)}

    def encode(self, text: str) -> list[int]:
        """The ids. InputError names the first character that the vocabulary does not have."""
        for at, character in enumerate(text):
            if character not in self._ids:
                raise InputError(
                    f"{short(character)}, character {at + 1} of the text, is not among those that this model knows: "
                    f"{self.characters}"
                )
        return [self._ids[character] for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.token(id) for id in ids)

    def token(self, id: int) -> str:
        check_id(id, self.vocab_size)
        if id < len(self.characters):
            return self.characters[id]
        return self._names.get(id) or unused(id)


def open_characters(path: Path, vocab_size: int | None = None) -> CharacterTokenizer:
    """The tokenizer of a file. InputError where it is none, or has more tokens than the model has ids."""
    content = read_json(path)
    characters, begin, end = (content.get(key) for key in ("characters", "begin", "end"))
    if not (isinstance(characters, str) and isinstance(begin, str) and isinstance(end, str)):
        raise InputError(f"{path} needs 'characters', 'begin' and 'end', each a text")
    if not characters or len(set(characters)) < len(characters):
        raise InputError(f"{path}: 'characters' is to have each character once")
    vocab_size = vocab_size or len(characters) + 2
    check_size(path, len(characters) + 2, vocab_size)
    tokenizer = CharacterTokenizer(path.stem, characters, begin, end, vocab_size)
    tokenizer.origin = origin_of(path)
    return tokenizer


def find(folder: Path, vocab_size: int) -> Path | None:
    return min(folder.glob(f"*{SUFFIX}"), default=None)


register(Format(60, find, lambda path, wanted: open_characters(path, wanted.vocab_size)))
