"""Paths of a training: the texts that it learns from, and where it may go."""

from collections.abc import Iterator
from pathlib import Path

from model_core.api.errors import InputError
from model_core.api.files.paths import whole
from model_core.api.files.regular_file import check_regular, is_there

from explorer_app.state.own_folders import data_folder
from explorer_app.words.text import tr

MOST_FOLDERS = 1000


def from_the_root(path: str) -> str:
    """The path that was typed, from the root; as it is where it begins nowhere."""
    try:
        return str(whole(path))
    except InputError:
        return path


def unreadable(path: str) -> str:
    """Why a text cannot be learned from, "" where nothing speaks against it."""
    if not is_there(Path(path)):
        return tr("There is no file {path}.").format(path=path)
    try:
        check_regular(Path(path))
    except InputError as error:
        return str(error)
    return ""


def folders(name: str) -> Iterator[Path]:
    """Where a training of that name may go: a folder with other data of the person's, or one of a higher number.

    Nowhere for who has no home.
    """
    if (own := data_folder()) is None:
        return
    home = own / "trainings"
    yield home / name
    for number in range(2, MOST_FOLDERS):
        yield home / f"{name}-{number}"
