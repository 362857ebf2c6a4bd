"""What is damaged: of each format a valid case, the files of it that a stranger may have made, and how it is used.

One file a kind of format: each registers those that it knows in FORMATS.
"""

import importlib
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_core.api.errors import InputError

Files = dict[str, bytes]


@dataclass(frozen=True)
class Format:
    """files  a valid case, by name in a folder
    use    opens the case that lies in a folder and works with what came of it; InputError where that cannot be
    kept   names of files that are left as they are
    """

    files: Callable[[], Files]
    use: Callable[[Path], object]
    kept: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {}


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def lay(files: Files, folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def written(write: Callable[[Path], object]) -> Files:
    """The files that `write` leaves in a folder."""
    with scratch() as folder:
        write(folder)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def unfailing(use: Callable[[Path], object]) -> Callable[[Path], object]:
    """For what has a default in the place of whatever is damaged: a refusal is a fault as well."""

    def used(folder: Path) -> None:
        try:
            use(folder)
        except InputError as error:
            raise AssertionError(f"it is refused: {error}") from error

    return used


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
