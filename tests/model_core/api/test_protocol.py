"""A frame comes back as it was sent, and what cannot be carried is refused before it is."""

import json
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.api.protocol import MAGIC, MAX_HEADER, MAX_PAYLOAD, Frame, FrameReader, encode, encode_bytes
from tests.support.engine.frames import (
    DTYPES,
    GOOD,
    carried,
    frames,
    garbage,
    plain,
    raw,
    read,
    read_bytewise,
)

pytestmark = pytest.mark.unit


@given(frames)
def test_a_frame_comes_back_as_it_was_sent(frame: Frame) -> None:
    assert read(encode_bytes(frame)) == [plain(frame)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4), (1,) * 32])
def test_every_dtype_and_shape_comes_back(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, dtype)
    assert carried(array).dtype == dtype
    assert carried(array).shape == shape
    assert np.array_equal(carried(array), array)


def test_nan_and_infinity_travel_in_arrays_bit_for_bit() -> None:
    array = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    assert carried(array).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::-2],
        np.arange(3, dtype=">i4"),
        np.zeros((2, 3), order="F"),
    ],
    ids=["transposed", "strided", "big-endian", "fortran"],
)
def test_an_array_in_another_memory_layout_comes_back_equal(array: np.ndarray) -> None:
    assert np.array_equal(carried(array), array)
    assert carried(array).flags.c_contiguous


@given(st.lists(frames.map(encode_bytes) | garbage, max_size=5), st.lists(st.integers(0, 2**20), max_size=30))
def test_any_chunking_reads_the_same(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    whole = read(stream)
    assert read(stream, cuts) == whole
    assert read_bytewise(stream) == whole


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 2**20), max_size=30))
@pytest.mark.process
def test_frames_in_a_row_all_come_back_however_they_are_cut(sent: list[Frame], cuts: list[int]) -> None:
    assert read(b"".join(map(encode_bytes, sent)), cuts) == [plain(frame) for frame in sent]


def test_a_header_without_fields_and_arrays_is_a_whole_frame() -> None:
    assert read(raw({"kind": "cancel", "id": 3})) == [("cancel", 3, {}, {})]


def test_received_arrays_are_read_only_aligned_views_on_one_buffer() -> None:
    sent = {"flag": np.ones(3, bool), "half": np.ones(5, np.float16), "wide": np.ones(2), "one": np.array(1)}
    (frame,) = FrameReader().feed(encode_bytes(Frame("a", 1, {}, sent)))
    assert isinstance(frame, Frame)
    owners = set()
    for array in frame.arrays.values():
        assert not array.flags.writeable
        assert not array.flags.owndata
        assert array.flags.aligned
        owner: Any = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        owners.add(id(owner))
    assert len(owners) == 1


def test_a_chunk_may_be_reused_by_the_caller_once_it_was_fed() -> None:
    chunk = bytearray(encode_bytes(GOOD))
    (frame,) = FrameReader().feed(memoryview(chunk))
    chunk[:] = bytes(len(chunk))
    assert plain(frame) == plain(GOOD)


def test_encoding_shares_the_memory_of_contiguous_arrays() -> None:
    array = np.arange(1000, dtype=np.float32)
    _, buffer = encode(Frame("a", 1, {}, {"x": array}))
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)


def test_encoding_leaves_the_header_in_one_piece_with_the_lengths_before_it() -> None:
    first, *_ = encode(GOOD)
    magic, header, payload, check = struct.unpack_from("<4sIQI", first)
    assert (magic, header, payload, check) == (MAGIC, len(first) - 20, 24, zlib.crc32(first[:16]))
    assert json.loads(bytes(first[20:]))["arrays"] == [{"name": "x", "dtype": "float32", "shape": [2, 3]}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_encoding_refuses_nan_and_infinity_in_a_field(value: float) -> None:
    with pytest.raises(InputError, match="a number that is NaN or infinite"):
        encode(Frame("a", 1, {"x": [value]}))


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])], ids=str)
def test_encoding_refuses_a_dtype_that_is_not_carried(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="array 'x' has the dtype"):
        encode(Frame("a", 1, {}, {"x": array}))


def test_encoding_refuses_what_a_reader_would_refuse() -> None:
    with pytest.raises(ValueError, match="33 axes"):
        encode(Frame("a", 1, {}, {"x": np.ones((1,) * 33)}))
    with pytest.raises(ValueError, match=r"a frame's header of .* is over the limit"):
        encode(Frame("a", 1, {"text": "x" * MAX_HEADER}))
    half = np.broadcast_to(np.uint8(0), (MAX_PAYLOAD // 2 + 1,))
    with pytest.raises(ValueError, match="over 2,147,483,648 bytes"):
        encode(Frame("a", 1, {}, {"x": np.broadcast_to(half, (2, half.size))}))


def test_importing_the_protocol_loads_neither_torch_nor_qt() -> None:
    code = "import sys, model_core.api.protocol; print(sys.modules.keys() & {'torch', 'PySide6'})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
