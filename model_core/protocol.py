"""Frames: what the window and the engine say to each other over pipes.

    b"LSF1" | u32 header length | u64 payload length | header | payload          (integers little-endian)

The header is strict UTF-8 JSON:

    {"kind": "run", "id": 7, "fields": {}, "arrays": [{"name": "z", "dtype": "float32", "shape": [2, 3]}]}

The payload is the arrays' bytes back to back in that order, little-endian and C-contiguous. Nothing is
pickled: no byte that arrives is ever run. What cannot be read becomes a `BadFrame`, and reading goes on
behind it.
"""

import json
import math
import re
import reprlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

MAGIC = b"LSF1"
MAX_HEADER = 16 * 2**20
MAX_PAYLOAD = 2 * 2**30
MAX_DIMS = 32

_PREFIX = struct.Struct("<4sIQ")
_MAGIC_OR_ITS_START = re.compile(rb"LSF1|(?:LSF|LS|L)\Z")
_NAMES = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool"
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in _NAMES.split()}


@dataclass(frozen=True, eq=False)
class Frame:
    """One message. `fields` holds what JSON can say; numbers in bulk, and NaN or infinity, go in `arrays`."""

    kind: str
    id: int
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class BadFrame:
    """Something on the pipe that was no frame: why, in one line, and the id if it could still be read."""

    reason: str
    id: int | None


def encode(frame: Frame) -> list[bytes | memoryview]:
    """The buffers to write one after another. They share memory with C-contiguous arrays: write them before
    the arrays change. An array keeps its name, not its place.

    Raises ValueError for NaN or infinity in a field, a dtype that is not carried, or a frame over the limits;
    TypeError for a field that JSON cannot say.
    """
    # Widest first: back to back without padding, every array then starts on a multiple of its item size.
    arrays = sorted(frame.arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    specs, buffers, payload = [], [], 0
    for name, array in arrays:
        payload += _nbytes(name, array.dtype.name, array.shape)
        little = np.asarray(array, dtype=_DTYPES[array.dtype.name], order="C")
        specs.append({"name": name, "dtype": array.dtype.name, "shape": array.shape})
        buffers.append(little.reshape(-1).view(np.uint8).data)
    content = {"kind": frame.kind, "id": frame.id, "fields": frame.fields, "arrays": specs}
    header = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    if problem := _too_long(len(header), payload):
        raise ValueError(problem)
    return [_PREFIX.pack(MAGIC, len(header), payload) + header, *buffers]


def encode_bytes(frame: Frame) -> bytes:
    """The frame as one piece, copied. For small frames and files; raises as `encode` does."""
    return b"".join(encode(frame))


class FrameReader:
    """Bytes in, frames out, however the pipe cut them. What is malformed never raises, it gives one BadFrame.

    - Lengths within the limits but a header that cannot be used: exactly that frame is skipped.
    - Lengths over the limits: reading resumes at the next magic behind the frame's lengths.
    - A stretch of other bytes: reported once, at its first byte; reading resumes at the next magic.

    Arrays are read-only views on the one buffer that the payload was received in.
    """

    def __init__(self) -> None:
        self._head = bytearray()  # lengths and header; empty, or begins as the magic does
        self._head_size = _PREFIX.size  # grows once the lengths are known
        self._lost = False  # in a stretch that has been reported already
        self._skip = 0  # payload still to be dropped
        self._header: _Header | None = None  # set while its payload arrives
        self._payload = np.empty(0, np.uint8)
        self._filled = 0

    def feed(self, data: bytes | memoryview) -> list[Frame | BadFrame]:
        """Whatever `data` completes, in order; usually nothing or one frame."""
        out: list[Frame | BadFrame] = []
        rest = memoryview(data).cast("B")
        while rest:
            if self._skip:
                dropped = min(self._skip, len(rest))
                self._skip -= dropped
                rest = rest[dropped:]
            elif self._header:
                rest = self._read_payload(self._header, rest, out)
            else:
                rest = self._read_head(rest, out)
        return out

    def _read_head(self, rest: memoryview, out: list[Frame | BadFrame]) -> memoryview:
        missing = self._head_size - len(self._head)
        self._head += rest[:missing]
        rest = rest[missing:]
        if not MAGIC.startswith(self._head[: len(MAGIC)]):
            return self._find_magic(rest, out)
        if len(self._head) < _PREFIX.size:
            return rest
        _, header_size, payload_size = _PREFIX.unpack_from(self._head)
        if problem := _too_long(header_size, payload_size):
            out.append(BadFrame(problem, None))
            self._lost = True
            self._head = bytearray()
            return rest
        self._lost = False
        self._head_size = _PREFIX.size + header_size
        if len(self._head) < self._head_size:
            return rest
        text = self._head[_PREFIX.size :]
        self._head, self._head_size = bytearray(), _PREFIX.size
        header = _read_header(text, payload_size)
        if isinstance(header, BadFrame):
            out.append(header)
            self._skip = payload_size
            return rest
        try:
            self._payload = np.empty(payload_size, np.uint8)
        except MemoryError:
            out.append(BadFrame(f"there is no memory for a payload of {payload_size:,} bytes", header.id))
            self._skip = payload_size
            return rest
        self._header, self._filled = header, 0
        return rest if payload_size else self._read_payload(header, rest, out)

    def _read_payload(self, header: "_Header", rest: memoryview, out: list[Frame | BadFrame]) -> memoryview:
        size = min(self._payload.size - self._filled, len(rest))
        self._payload.data[self._filled : self._filled + size] = rest[:size]
        self._filled += size
        if self._filled == self._payload.size:
            self._payload.flags.writeable = False
            out.append(Frame(header.kind, header.id, header.fields, header.views(self._payload)))
            self._header, self._payload = None, np.empty(0, np.uint8)
        return rest[size:]

    def _find_magic(self, rest: memoryview, out: list[Frame | BadFrame]) -> memoryview:
        if not self._lost:
            out.append(BadFrame("bytes that belong to no frame were skipped", None))
            self._lost = True
        if found := _MAGIC_OR_ITS_START.search(self._head):
            del self._head[: found.start()]
            return rest
        self._head.clear()
        found = _MAGIC_OR_ITS_START.search(rest)
        return rest[found.start() :] if found else rest[:0]


@dataclass(frozen=True)
class _Header:
    """A header found good: its arrays fill the payload that was announced with it."""

    kind: str
    id: int
    fields: dict[str, Any]
    arrays: dict[str, tuple[str, list[int], int]]  # name: dtype, shape, bytes

    def views(self, payload: np.ndarray) -> dict[str, np.ndarray]:
        views, start = {}, 0
        for name, (dtype, shape, size) in self.arrays.items():
            views[name] = payload[start : start + size].view(_DTYPES[dtype]).reshape(shape)
            start += size
        return views


def _read_header(text: bytearray, payload: int) -> _Header | BadFrame:
    try:
        header = json.loads(text.decode(), parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return BadFrame("the header is not JSON", None)
    if not isinstance(header, dict):
        return BadFrame("the header is not a JSON object", None)
    kind, id = header.get("kind"), header.get("id")
    fields, specs = header.get("fields", {}), header.get("arrays", [])
    if type(id) is not int:
        return BadFrame(f"the header's id is not a whole number: {_short(id)}", None)
    try:
        if not isinstance(kind, str):
            raise ValueError(f"the header's kind is not a string: {_short(kind)}")
        if not isinstance(fields, dict):
            raise ValueError(f"the header's fields are not an object: {_short(fields)}")
        arrays = _read_specs(specs)
        total = sum(size for _, _, size in arrays.values())
        if total != payload:
            raise ValueError(f"the arrays take {total:,} bytes, but the payload has {payload:,}")
    except ValueError as error:
        return BadFrame(str(error), id)
    return _Header(kind, id, fields, arrays)


def _read_specs(specs: object) -> dict[str, tuple[str, list[int], int]]:
    if not isinstance(specs, list):
        raise ValueError(f"the header's arrays are not a list: {_short(specs)}")
    arrays: dict[str, tuple[str, list[int], int]] = {}
    for spec in specs:
        match spec:
            case {"name": str(name), "dtype": str(dtype), "shape": list(shape)}:
                if any(type(length) is not int for length in shape):
                    raise ValueError(
                        f"array {_short(name)} has a shape not of whole numbers: {_short(shape)}"
                    )
                if name in arrays:
                    raise ValueError(f"two arrays have the name {_short(name)}")
                arrays[name] = dtype, shape, _nbytes(name, dtype, shape)
            case _:
                raise ValueError(f"an array is not described by name, dtype and shape: {_short(spec)}")
    return arrays


def _short(value: object) -> str:
    """On one line, for a message: any JSON value, however long or deep."""
    text = reprlib.repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _reject_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _nbytes(name: str, dtype: str, shape: Sequence[int]) -> int:
    """Bytes of an array that may be carried. An empty one is measured as if its zero axes had length one:
    numpy itself refuses such a shape when the others are huge."""
    if dtype not in _DTYPES:
        raise ValueError(f"array {_short(name)} has the dtype {_short(dtype)}; carried are {_NAMES}")
    if len(shape) > MAX_DIMS:
        raise ValueError(f"array {_short(name)} has {len(shape):,} axes; at most {MAX_DIMS} are carried")
    if any(length < 0 for length in shape):
        raise ValueError(f"array {_short(name)} has a negative length in its shape {_short(shape)}")
    size = _DTYPES[dtype].itemsize
    if any(length > MAX_PAYLOAD for length in shape) or math.prod(n or 1 for n in shape) * size > MAX_PAYLOAD:
        raise ValueError(f"array {_short(name)} of shape {_short(shape)} is over {MAX_PAYLOAD:,} bytes")
    return math.prod(shape) * size


def _too_long(header: int, payload: int) -> str | None:
    if header > MAX_HEADER:
        return f"a frame's header of {header:,} bytes is over the limit of {MAX_HEADER:,}"
    if payload > MAX_PAYLOAD:
        return f"a frame's payload of {payload:,} bytes is over the limit of {MAX_PAYLOAD:,}"
    return None
