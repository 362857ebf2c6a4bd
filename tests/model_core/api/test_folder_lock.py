"""A folder is one process's alone, also where another ends in the moment in which it is opened."""

import os
from pathlib import Path

import pytest

from model_core.api.errors import InputError
from model_core.api.files import folder_lock
from model_core.api.files.folder_lock import LOCK, held

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("again", [1, 3])
def test_a_lock_whose_file_was_removed_before_it_was_taken_is_none_and_is_taken_anew(
    again: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    take = folder_lock.taken

    def taken(descriptor: int) -> bool:
        """Whoever had it ends between the opening and the lock, and takes the file along."""
        opened.append(descriptor)
        if len(opened) <= again:
            (tmp_path / LOCK).unlink()
        return take(descriptor)

    monkeypatch.setattr(folder_lock, "taken", taken)
    with held(tmp_path):
        assert len(opened) == again + 1
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")
        assert os.path.samestat(os.fstat(opened[-1]), (tmp_path / LOCK).stat())
        # What was opened before is closed, and nobody else is let in.
        with pytest.raises(InputError, match="is being trained in already, by process"), held(tmp_path):
            pass
    assert not (tmp_path / LOCK).exists()
    for descriptor in set(opened):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
