"""What a format of checkpoints says of itself and finds in one, and all that there are: one file each in `formats/`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_core.checkpoint.files import Stored, match
from model_core.families.config import Source
from model_core.families.registry import Family
from model_core.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Blueprint:
    """What a reader found, before anything is allocated.

    tensors    our parameter name -> the stored tensor, already in our layout when it is read
    tokenizer  called once the weights are known to fit the configuration
    missing    stored names that the configuration needs and that are not there
    extra      stored names that nobody needs
    """

    name: str
    family: Family
    config: Any
    tensors: Mapping[str, Stored]
    tokenizer: Callable[[], Tokenizer]
    missing: Sequence[str] = ()
    extra: Sequence[str] = ()

    @classmethod
    def matched(
        cls,
        name: str,
        family: Family,
        config: Any,
        sources: Mapping[str, Source],
        stored: Mapping[str, Stored],
        tokenizer: Callable[[], Tokenizer],
        ignored: Sequence[str] = (),
    ) -> "Blueprint":
        """What `sources` says of each parameter, found among what is stored; `ignored` are globs of no parameters.

        InputError where a tensor that is needed has other numbers than weights have.
        """
        tensors, missing, extra = match(sources, stored, ignored)
        return cls(name, family, config, tensors, tokenizer, missing, extra)


@dataclass(frozen=True)
class Reader:
    """A checkpoint format: how it is recognised by what lies at a path, and read.

    what  the file that a folder of the format has, or what a file of the format is, for people
    file  whether the format is one file, and no folder
    read  given what was said of the model beside its files (said.py)
    """

    what: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Mapping[str, str]], Blueprint]
    file: bool = False


READERS: list[Reader] = []


def register(reader: Reader) -> None:
    """Called once at the end of each format's file."""
    READERS.append(reader)
