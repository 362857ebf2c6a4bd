"""Files of torch.save, read without running anything that they say.

Such a file is a zip: its data.pkl says which tensors lie in which of its other records (torch_pickle.py). Every size is
held against the file's before it is believed.

torch.load with weights_only and mmap runs nothing of a stranger's either, but it believes sizes. With PyTorch 2.13 a
pickle of 1 MB that unpacks to 1 GB took 2 GB; bytearray(2**31 - 1), in a file of 938 bytes, took 2 GB and opened; a key
of tuples that share their parts took twice the time with each 5 bytes more; a compressed record came as weights, packed
as it was; and 400 records that all were the same MB came as 400 MB of weights, one number as a tensor of 2**40 rows.
"""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from model_core.api.errors import InputError, first_line
from model_core.api.files.regular_file import StaysOpen
from model_core.checkpoint.torch_pickle import Damaged, Pickle, Record, Refused, Unread

ZIP = b"PK\x03\x04"
PICKLE = "/data.pkl"
LOCAL = struct.Struct("<4s22xHH")  # before each record: a mark, and how long its name and what follows it are

MOST_LISTING = 4 << 20  # bytes of the zip's directory; each record takes about a hundred
MOST_PICKLE = 16 << 20


def load(path: Path) -> Any:
    """The content of a file of torch.save, its tensors as `Laid`; keys that are no text are left away.

    InputError for any other file, and for one that claims more than it holds.
    """
    opened = StaysOpen(path)
    file = opened.file
    if opened.read(0, min(len(ZIP), opened.size)) != ZIP:
        raise InputError(
            f"{path} is a pickle or was saved by PyTorch before 1.6: "
            "load it there and torch.save its state_dict()"
        )
    try:
        found = dict(records(file, opened.size))
        folder = next((name.removesuffix(PICKLE) for name in found if name.endswith(PICKLE)), None)
        if folder is None:
            raise Damaged("it has no data.pkl")
        if part(file, found.get(f"{folder}/byteorder"), 10) == b"big":
            raise Damaged("it has its numbers the other way round")
        return Pickle(found, folder, opened).follow(part(file, found[folder + PICKLE], MOST_PICKLE))
    except Refused as refused:
        raise InputError(
            f"{path} holds more than weights ({refused}), which could run code and is not read: "
            "save model.state_dict() alone"
        ) from None
    except Unread as error:
        raise InputError(
            f"{path} uses {error}, which is not read here: save model.state_dict() alone"
        ) from None
    except Damaged as error:
        raise InputError(f"{path} is no whole file of torch.save: {error}") from None
    except Exception as error:  # damaged bytes make zipfile and pickletools raise almost anything
        raise InputError(f"{path} is no whole file of torch.save: {first_line(error)}") from None


class Sparing:
    """A file of which nobody reads so much at once that only a bomb can need it."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.file = file.seek, file.tell, file

    def read(self, size: int = MOST_LISTING) -> bytes:
        if not 0 <= size <= MOST_LISTING:
            raise Damaged(f"its list of records has {size:,} bytes")
        return self.file.read(size)


def records(file: BinaryIO, size: int) -> Iterator[tuple[str, Record]]:
    """The records of a zip in which everything lies as it is, and in all is no more than the zip itself."""
    with zipfile.ZipFile(cast(BinaryIO, Sparing(file))) as archive:
        entries = archive.infolist()
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise Damaged(f"{entry.filename[:100]!r} is compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise Damaged("its records would be larger than itself")
    for entry in entries:
        file.seek(entry.header_offset)
        mark, name, more = LOCAL.unpack(file.read(LOCAL.size))
        start = entry.header_offset + LOCAL.size + name + more
        if mark != ZIP or start + entry.file_size > size:
            raise Damaged(f"{entry.filename[:100]!r} is not where it should be")
        yield entry.filename, Record(start, entry.file_size)


def part(file: BinaryIO, record: Record | None, most: int) -> bytes:
    """The bytes of a small record; none where there is no such record."""
    if record is None:
        return b""
    if record.size > most:
        raise Damaged(f"{record.size:,} bytes say what lies where, more than {most:,}")
    file.seek(record.start)
    return file.read(record.size)
