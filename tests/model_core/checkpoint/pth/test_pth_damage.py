"""A pickle that was made to do harm runs nothing, and takes neither memory nor time."""

import re
import zipfile
from pathlib import Path

import pytest
import torch

from model_core.api.files.regular_file import StaysOpen
from model_core.checkpoint.torch_pickle import MAX_AXES, Damaged, Pickle, Record, Storage, Unread
from tests.support.models.opening import refused
from tests.support.models.state_dicts import HEADS_SAID, nano, rewritten

pytestmark = pytest.mark.unit


def test_a_pickle_that_is_compressed_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    # 1.2 GB of nothing pack into half a megabyte.
    path = rewritten(
        nano(tmp_path / "model.pth"),
        lambda name, data: (
            (data + b"\0" * (8 << 20), zipfile.ZIP_DEFLATED)
            if name.endswith("data.pkl")
            else (data, zipfile.ZIP_STORED)
        ),
    )
    assert "data.pkl' is compressed, which torch.save never does" in refused(path)


def test_records_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    path = nano(tmp_path / "model.pth")
    data = path.read_bytes()
    # The directory says twice that the largest record is there.
    at = data.index(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    path.write_bytes(data[:at] + data[at:end] * 40 + directory(data[end:], 40, at, end))
    message = refused(path, config=HEADS_SAID)
    assert "its records would be larger than itself" in message or "no whole file" in message


def directory(end: bytes, times: int, at: int, until: int) -> bytes:
    """The end of a zip whose directory is there so many times."""
    count = int.from_bytes(end[10:12], "little") * times
    size = (until - at) * times
    return (
        end[:8]
        + count.to_bytes(2, "little") * 2
        + size.to_bytes(4, "little")
        + at.to_bytes(4, "little")
        + end[20:]
    )


@pytest.mark.parametrize(
    ("pickle_", "message"),
    [
        (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "holds no state dict"),  # of two gigabytes
        (b"\x80\x02}r\xff\xff\xff\x7f.", "holds no tensors"),  # put aside as number two billion
        (
            b"\x80\x02" + b"]" * 1_000_001 + b".",
            "uses more than 1,000,000 words of pickle, which is not read here",
        ),
        (b"\x80\x02" + b"(" * 3, "is no whole file of torch.save"),
        (b"\x80\x02}X\x01\x00\x00\x00a.", "holds no state dict"),
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "holds more than weights (os.system)"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "holds more than weights (os.system)"),
        (b"\x80\x02ctorch.hub\nload\n.", "holds more than weights (torch.hub.load)"),
        (b"(X\x02\x00\x00\x00lsios\nsystem\n.", "holds more than weights (os.system)"),
        (b"\x80\x02K\x01)R.", "its pickle calls what is no function"),
        (b"\x80\x02h\x07.", "its pickle makes no sense from word 1 on"),
        (b"\x80\x02.", "its pickle makes no sense from word 1 on"),
        (b"\x80\x02K\x01Q.", "its pickle makes no sense from word 2 on"),
    ],
)
def test_a_pickle_takes_no_memory_and_runs_nothing(pickle_: bytes, message: str, tmp_path: Path) -> None:
    path = rewritten(
        nano(tmp_path / "model.pth"),
        lambda name, data: (pickle_ if name.endswith("data.pkl") else data, zipfile.ZIP_STORED),
    )
    said = refused(path)
    assert message in said
    assert not re.search(r"'[A-Z_]+'|object has no attribute|index", said)


def test_more_axes_than_the_tensors_of_a_model_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(8))
    pickle = Pickle({}, "", StaysOpen(path))
    storage = Storage(Record(0, 8), torch.float32)
    ones = (1,) * 64
    for _ in range(MAX_AXES // 64):
        pickle.tensor(storage, 0, ones, ones, None)
    with pytest.raises(Unread, match="more than 500,000 axes"):
        pickle.tensor(storage, 0, ones, ones, None)


@pytest.mark.parametrize(
    ("shape", "strides"), [((-1,), (1,)), ((2, 2), (1,)), ((True,), (1,)), ((2**62,), (1,))]
)
def test_a_tensor_of_an_impossible_shape_is_damage(
    shape: tuple[int, ...], strides: tuple[int, ...], tmp_path: Path
) -> None:
    storage = Storage(Record(0, 16), torch.float32)
    path = tmp_path / "model.pth"
    path.write_bytes(bytes(16))
    with pytest.raises(Damaged, match=r"^a tensor has an impossible shape$"):
        Pickle({}, "", StaysOpen(path)).tensor(storage, 0, shape, strides, None)


def doubled(times: int) -> bytes:
    """Tuples of two, each the one before twice: 2^times leaves in so many bytes."""
    return b")" + b"2\x86" * times


def thousandfold(times: int) -> bytes:
    """Tuples of a thousand, each the one before so often."""
    return b")q\x01" + (b"0(" + b"h\x01" * 1000 + b"tq\x01") * times


def storage(key: bytes, count: bytes) -> bytes:
    """A pickle that asks for a record by that key, with so many numbers."""
    return (
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        + key
        + b"X\x03\x00\x00\x00cpu"
        + count
        + b"tQ."
    )


KEY = b"X\x01\x00\x00\x000"


@pytest.mark.parametrize(
    ("pickle_", "message"),
    [
        (storage(doubled(400), b"K\x01"), "more than 16 tuples within each other"),
        (storage(KEY, doubled(400)), "more than 16 tuples within each other"),
        (storage(doubled(15), b"K\x01"), "has no record a tuple of 2"),
        (storage(thousandfold(14), b"K\x01"), "has no record a tuple of 1000"),
        (storage(KEY, doubled(15)), "is to hold a tuple of 2 numbers"),
        (storage(b"K\x00", b"K\x01"), "has no record 0"),
        (storage(b"X\xa0\x86\x01\x00" + b"k" * 100_000, b"K\x01"), "has no record 'kkk"),
        (storage(KEY, b"\x8b\x88\x13\x00\x00" + b"\x7f" * 5000), "a number of thousands of digits"),
    ],
)
def test_what_a_pickle_shares_is_never_written_out(pickle_: bytes, message: str, tmp_path: Path) -> None:
    path = rewritten(
        nano(tmp_path / "model.pth"),
        lambda name, data: (pickle_ if name.endswith("data.pkl") else data, zipfile.ZIP_STORED),
    )
    assert message in refused(path)
