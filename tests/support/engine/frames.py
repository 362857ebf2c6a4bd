"""Frames of every content, and how a stream of them is read."""

import itertools
import json
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model_core.api.protocol import MAGIC, BadFrame, Frame, FrameReader, encode_bytes, prefix

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64"]
DTYPES += ["uint8", "uint16", "uint32", "uint64", "bool"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
arrays = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
frames = st.builds(
    Frame,
    kind=st.text(max_size=8),
    id=st.integers(),
    fields=st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    arrays=st.dictionaries(st.text(max_size=4), arrays, max_size=3),
)
near_magic = st.lists(
    st.sampled_from([MAGIC[:1], MAGIC[:2], MAGIC[:3], MAGIC[2:], MAGIC, b"\n"]), min_size=1
).map(b"".join)
garbage = st.binary(min_size=1, max_size=60) | near_magic


def raw(header: object, payload: bytes = b"", lengths: tuple[int, int] | None = None) -> bytes:
    """A frame on the wire with whatever header is wanted."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return prefix(*(lengths or (len(text), len(payload)))) + text + payload


def plain(item: Frame | BadFrame) -> Any:
    """Something with an ==, in which NaNs and dtypes count."""
    if isinstance(item, BadFrame):
        return item
    arrays = {name: (a.dtype.name, a.shape, a.tobytes()) for name, a in item.arrays.items()}
    return item.kind, item.id, item.fields, arrays


def read(data: bytes, cuts: list[int] | None = None) -> list[Any]:
    reader, out = FrameReader(), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    for start, end in itertools.pairwise(edges):
        out += reader.feed(data[start:end])
    return [plain(item) for item in out]


def carried(array: np.ndarray) -> np.ndarray:
    (frame,) = FrameReader().feed(encode_bytes(Frame("a", 1, {}, {"x": array})))
    assert isinstance(frame, Frame)
    return frame.arrays["x"]


def read_bytewise(data: bytes) -> list[Any]:
    return read(data, list(range(len(data))))


GOOD = Frame("result", 7, {"text": "héllo"}, {"x": np.arange(6, dtype=np.float32).reshape(2, 3)})
