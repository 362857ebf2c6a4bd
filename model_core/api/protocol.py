"""Frames: what the window and the engine say to each other over pipes.

    magic | u32 header length | u64 payload length | u32 CRC-32 of these 16 bytes | header | payload

Integers are little-endian. The header is strict UTF-8 JSON:

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
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from model_core.api.errors import InputError

PROTOCOL = 3  # of what the frames say; window and engine greet each other with it
MAGIC = b"\xffLS2"  # no text in UTF-8 has this first byte, so no header holds a magic
MAX_HEADER = 16 * 2**20
MAX_PAYLOAD = 2 * 2**30
MAX_DIMS = 32

_LENGTHS = struct.Struct("<4sIQ")
_CHECK = struct.Struct("<I")
_PREFIX = _LENGTHS.size + _CHECK.size
_MAGIC_OR_ITS_START = re.compile(
    b"|".join([MAGIC, *(MAGIC[:n] + rb"\Z" for n in range(len(MAGIC) - 1, 0, -1))])
)
_NAMES = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool"
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in _NAMES.split()}


@dataclass(frozen=True, eq=False)
class Frame:
    """One message. `fields` holds what JSON can say; numbers in bulk, and NaN or infinity, go in `arrays`."""

    kind: str
    id: int
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def hello(id: int = 0) -> Frame:
    """The greeting of who asks, which says what it speaks."""
    return Frame("hello", id, {"protocol": PROTOCOL})


@dataclass(frozen=True)
class BadFrame:
    """Something on the pipe that was no frame: why, in one line, and the id if it could still be read."""

    reason: str
    id: int | None


def encode(frame: Frame) -> list[bytes | memoryview]:
    """The buffers to write one after another. They share memory with C-contiguous arrays: write them before
    the arrays change. An array keeps its name, not its place.

    Raises InputError for NaN or infinity in a field: it came from somebody's file or numbers, not from an error here.
    ValueError for a dtype that is not carried, or a frame over the limits; TypeError for a field that JSON cannot say.
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
    try:
        header = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise InputError("what is to be said here has a number that is NaN or infinite") from None
    if problem := _too_long(len(header), payload):
        raise ValueError(problem)
    return [prefix(len(header), payload) + header, *buffers]


def prefix(header: int, payload: int) -> bytes:
    """What stands before a header: the magic and the lengths in bytes, with their checksum."""
    lengths = _LENGTHS.pack(MAGIC, header, payload)
    return lengths + _CHECK.pack(zlib.crc32(lengths))


def encode_bytes(frame: Frame) -> bytes:
    """The frame as one piece, copied. For small frames and files; raises as `encode` does."""
    return b"".join(encode(frame))


class FrameReader:
    """Bytes in, frames out, however the pipe cut them. What is malformed never raises, it gives one BadFrame.

    A frame begins where the magic stands with lengths that have their checksum. Its lengths are believed once its
    header agrees with them: of any other frame the prefix alone is passed over, and reading resumes at the next
    beginning behind it, so that false lengths take nothing from the frames that follow. A stretch of bytes between
    frames is reported once, at its first byte.

    Arrays are read-only views on the one buffer that the payload was received in.
    """

    def __init__(self) -> None:
        self._unread = bytearray()  # what may become the beginning and the header of a frame
        self._at = 0  # how far it is read
        self._searched = 0  # no beginning of another frame stands before this place
        self._lost = False  # in a stretch that has been reported already
        self._skip = 0  # payload still to be dropped
        self._header: _Header | None = None  # set while its payload arrives
        self._payload = np.empty(0, np.uint8)
        self._filled = 0

    def feed(self, data: bytes | memoryview) -> list[Frame | BadFrame]:
        """Whatever `data` completes, in order; usually nothing or one frame."""
        out: list[Frame | BadFrame] = []
        piece = memoryview(data).cast("B")
        self._unread += piece[self._take(piece, out) :]
        while self._read_head(out):
            with memoryview(self._unread) as unread, unread[self._at :] as rest:
                self._at += self._take(rest, out)
        del self._unread[: self._at]
        self._searched -= self._at
        self._at = 0
        return out

    def _take(self, piece: memoryview, out: list[Frame | BadFrame]) -> int:
        """How many bytes of `piece` belong to the payload that is awaited, which is filled with them or dropped."""
        if self._skip:
            taken = min(self._skip, len(piece))
            self._skip -= taken
            return taken
        if self._header is None:
            return 0
        taken = min(self._payload.size - self._filled, len(piece))
        self._payload.data[self._filled : self._filled + taken] = piece[:taken]
        self._filled += taken
        if self._filled == self._payload.size:
            self._payload.flags.writeable = False
            header, self._header = self._header, None
            out.append(Frame(header.kind, header.id, header.fields, header.views(self._payload)))
            self._payload = np.empty(0, np.uint8)
        return taken

    def _read_head(self, out: list[Frame | BadFrame]) -> bool:
        """Go past one beginning of a frame, good or bad. False where more bytes are needed to tell."""
        unread = self._unread
        if self._header or self._skip or self._at == len(unread):
            return False
        found = _MAGIC_OR_ITS_START.search(unread, self._at)
        start = found.start() if found else len(unread)
        if start > self._at:
            self._lose("bytes that belong to no frame were skipped", start, out)
        text = start + _PREFIX
        if len(unread) < text:
            return False
        _, header_size, payload_size = _LENGTHS.unpack_from(unread, start)
        if _CHECK.unpack_from(unread, start + _LENGTHS.size)[0] != zlib.crc32(
            unread[start : text - _CHECK.size]
        ):
            self._lose("bytes that belong to no frame were skipped", start + len(MAGIC), out)
            return True
        self._lost = False
        if problem := _too_long(header_size, payload_size):
            self._lose(problem, text, out)
            return True
        if len(unread) < text + header_size:
            # No header holds a magic: where one comes, another frame begins, and this one was cut off or lied.
            self._searched = max(self._searched, text)
            found = _MAGIC_OR_ITS_START.search(unread, self._searched)
            self._searched = found.start() if found else len(unread)
            if found is None or found.end() - found.start() < len(MAGIC):
                return False
            header: _Header | BadFrame = BadFrame("the header is not JSON", None)
        else:
            header = _read_header(unread[text : text + header_size], payload_size)
        if isinstance(header, BadFrame):
            out.append(header)
            self._at, self._lost = text, True
            return True
        self._at = text + header_size
        try:
            self._payload = np.empty(payload_size, np.uint8)
        except MemoryError:
            out.append(BadFrame(f"there is no memory for a payload of {payload_size:,} bytes", header.id))
            self._skip = payload_size
            return True
        self._header, self._filled = header, 0
        return True

    def _lose(self, why: str, until: int, out: list[Frame | BadFrame]) -> None:
        """Pass over a stretch of bytes, and say so where it begins."""
        if not self._lost:
            out.append(BadFrame(why, None))
        self._at, self._lost = until, True


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
        header = json.loads(text.decode(), parse_constant=_reject, parse_float=_finite)
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


def _reject(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(word: str) -> float:
    """1e999 is spelled as JSON spells numbers, and is infinite all the same."""
    number = float(word)
    return number if math.isfinite(number) else _reject(word)


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
