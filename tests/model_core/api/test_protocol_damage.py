"""Whatever arrives in place of a frame is one line, and costs no frame but its own."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.protocol import MAGIC, MAX_HEADER, MAX_PAYLOAD, BadFrame, Frame, FrameReader, encode_bytes
from tests.support.engine.frames import DTYPES, GOOD, garbage, json_values, plain, raw, read, read_bytewise

pytestmark = pytest.mark.unit


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_arbitrary_bytes_never_raise(data: bytes, cuts: list[int]) -> None:
    read(data, cuts)


@given(st.binary(max_size=200), st.binary(max_size=100))
def test_an_arbitrary_header_and_payload_never_cost_the_next_frame(text: bytes, payload: bytes) -> None:
    first, second = read(raw(text, payload) + encode_bytes(GOOD))
    assert isinstance(first, BadFrame)
    assert second == plain(GOOD)


specs = st.fixed_dictionaries(
    {},
    optional={
        "name": json_values,
        "dtype": st.sampled_from(DTYPES) | json_values,
        "shape": st.lists(st.integers() | st.integers(-1, 4)) | json_values,
    },
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.text() | json_values,
        "id": st.integers() | json_values,
        "fields": json_values,
        "arrays": st.lists(specs) | json_values,
    },
)


@given(headers, st.binary(max_size=64))
def test_an_arbitrary_json_header_is_answered_in_one_line(header: dict[str, Any], payload: bytes) -> None:
    first, second = read(raw(header, payload) + encode_bytes(GOOD))
    assert second == plain(GOOD)
    if isinstance(first, BadFrame):
        assert len(first.reason.splitlines()) == 1
        assert len(first.reason) < 250
        assert first.id is None or first.id == header["id"]


lengths = st.integers(0, 200) | st.integers(0, MAX_PAYLOAD)


@given(headers, st.binary(max_size=64), st.tuples(lengths.filter(lambda n: n <= MAX_HEADER), lengths))
@pytest.mark.process
def test_false_lengths_cost_no_later_frame_and_make_none_wait(
    header: dict[str, Any], payload: bytes, lengths: tuple[int, int]
) -> None:
    # Where header and lengths agree nothing can be known to be false.
    agreed = sum(1 for item in read(raw(header, payload, lengths)) if not isinstance(item, BadFrame))
    whole = raw(header, payload)
    for lying in (raw(header, payload, lengths), raw(header, payload, (len(whole) - 20, lengths[1]))):
        if not agreed:
            assert read(lying + encode_bytes(GOOD) * 3)[-3:] == [plain(GOOD)] * 3


@given(
    st.integers(0, 2**20),
    st.binary(max_size=12),
    st.integers(0, 12),
    st.lists(st.integers(0, 2**20), max_size=5),
)
def test_a_frame_damaged_anywhere_costs_at_most_the_one_behind_it(
    at: int, put: bytes, taken: int, cuts: list[int]
) -> None:
    bad = bytearray(encode_bytes(GOOD))
    at %= len(bad)
    bad[at : at + taken] = put
    assert read(bytes(bad) + encode_bytes(GOOD) * 3, cuts)[-2:] == [plain(GOOD)] * 2


def test_a_false_payload_length_swallows_no_frame() -> None:
    header = {"kind": "a", "id": 5, "arrays": [{"name": "x", "dtype": "uint8", "shape": [4]}]}
    text = json.dumps(header).encode()
    lie = BadFrame("the arrays take 4 bytes, but the payload has 5,000", 5)
    stream = raw(header, b"abcd", (len(text), 5000)) + encode_bytes(GOOD) * 2
    assert read(stream) == [lie, plain(GOOD), plain(GOOD)]
    assert read_bytewise(stream) == [lie, plain(GOOD), plain(GOOD)]


def test_a_false_header_length_swallows_no_frame() -> None:
    stream = raw({"kind": "a", "id": 5}, b"", (2**20, 0)) + encode_bytes(GOOD) * 2
    lie = BadFrame("the header is not JSON", None)
    assert read(stream) == [lie, plain(GOOD), plain(GOOD)]
    assert read_bytewise(stream) == [lie, plain(GOOD), plain(GOOD)]


def test_lengths_that_were_damaged_on_the_way_are_not_believed() -> None:
    bad = bytearray(encode_bytes(GOOD))
    bad[5] ^= 1
    lost = BadFrame("bytes that belong to no frame were skipped", None)
    assert read(bytes(bad) + encode_bytes(GOOD)) == [lost, plain(GOOD)]


def test_a_payload_may_hold_whole_frames() -> None:
    inside = Frame("a", 1, {}, {"x": np.frombuffer(encode_bytes(GOOD), np.uint8)})
    assert read(encode_bytes(inside) + encode_bytes(GOOD)) == [plain(inside), plain(GOOD)]


def test_many_false_frames_in_one_piece_are_read_in_one_pass() -> None:
    many = raw(b"{}") * 5_000 + raw(MAGIC * 3) * 5_000
    assert read(many + encode_bytes(GOOD))[-1] == plain(GOOD)


@given(garbage.filter(lambda data: MAGIC not in data))
def test_a_stretch_of_garbage_is_reported_once_and_the_next_frame_is_read(data: bytes) -> None:
    lost = BadFrame("bytes that belong to no frame were skipped", None)
    expected = ([lost] if data else []) + [plain(GOOD)]
    assert read(data + encode_bytes(GOOD)) == expected
    assert read_bytewise(data + encode_bytes(GOOD)) == expected


def test_two_stretches_of_garbage_are_reported_each_in_its_place() -> None:
    good = encode_bytes(GOOD)
    answers = read(b"Loading..." + good + MAGIC[:2] + MAGIC[:3] + good)
    assert [isinstance(answer, BadFrame) for answer in answers] == [True, False, True, False]


def test_garbage_is_reported_before_a_frame_follows_it() -> None:
    reader = FrameReader()
    assert reader.feed(MAGIC[:2]) == []
    assert reader.feed(b"x") == [BadFrame("bytes that belong to no frame were skipped", None)]
    assert reader.feed(b"more of the same") == []


def spec(**changes: object) -> dict[str, object]:
    return {"kind": "a", "id": 5, "arrays": [{"name": "x", "dtype": "uint8", "shape": [4], **changes}]}


LIMIT = "over 2,147,483,648 bytes"
UNUSABLE: dict[str, tuple[object, str, int | None]] = {
    "no header": (b"", "the header is not JSON", None),
    "not UTF-8": (b'{"kind": "\xff", "id": 1}', "the header is not JSON", None),
    "UTF-16": ('{"kind": "a", "id": 1}'.encode("utf-16-le"), "the header is not JSON", None),
    "not JSON": (b"{'kind': 1}", "the header is not JSON", None),
    "NaN": (b'{"kind": "a", "id": 5, "fields": {"x": NaN}}', "the header is not JSON", None),
    "infinity": (b'{"kind": "a", "id": 5, "fields": {"x": -Infinity}}', "the header is not JSON", None),
    "infinity as a number": (
        b'{"kind": "a", "id": 5, "fields": {"x": 1e999}}',
        "the header is not JSON",
        None,
    ),
    "too deep": (b"[" * 100_000, "the header is not JSON", None),
    "too many digits": (b'{"kind": "a", "id": ' + b"1" * 5000 + b"}", "the header is not JSON", None),
    "not an object": (b"[1, 2]", "the header is not a JSON object", None),
    "no id": ({"kind": "a"}, "the header's id is not a whole number: None", None),
    "text id": ({"kind": "a", "id": "5"}, "the header's id is not a whole number: '5'", None),
    "boolean id": ({"kind": "a", "id": True}, "the header's id is not a whole number: True", None),
    "fractional id": ({"kind": "a", "id": 5.0}, "the header's id is not a whole number: 5.0", None),
    "no kind": ({"id": 5}, "the header's kind is not a string: None", 5),
    "number kind": ({"kind": 3, "id": 5}, "the header's kind is not a string: 3", 5),
    "list fields": ({"kind": "a", "id": 5, "fields": []}, "the header's fields are not an object: []", 5),
    "object arrays": ({"kind": "a", "id": 5, "arrays": {}}, "the header's arrays are not a list: {}", 5),
    "number array": (
        {"kind": "a", "id": 5, "arrays": [3]},
        "an array is not described by name, dtype and shape: 3",
        5,
    ),
    "number name": (
        spec(name=3),
        "an array is not described by name, dtype and shape: {'dtype': 'uint8', 'name': 3, 'shape': [4]}",
        5,
    ),
    "same name": (
        {"kind": "a", "id": 5, "arrays": [{"name": "x", "dtype": "uint8", "shape": [2]}] * 2},
        "two arrays have the name 'x'",
        5,
    ),
    "unknown dtype": (
        spec(dtype="object"),
        f"array 'x' has the dtype 'object'; carried are {' '.join(DTYPES)}",
        5,
    ),
    "list dtype": (
        spec(dtype=["uint8"]),
        "an array is not described by name, dtype and shape: {'dtype': ['uint8'], 'name': 'x', 'shape': [4]}",
        5,
    ),
    "number shape": (
        spec(shape=4),
        "an array is not described by name, dtype and shape: {'dtype': 'uint8', 'name': 'x', 'shape': 4}",
        5,
    ),
    "fractional shape": (spec(shape=[4.0]), "array 'x' has a shape not of whole numbers: [4.0]", 5),
    "boolean shape": (spec(shape=[4, True]), "array 'x' has a shape not of whole numbers: [4, True]", 5),
    "negative shape": (spec(shape=[-2, -2]), "array 'x' has a negative length in its shape [-2, -2]", 5),
    "huge shape": (spec(shape=[2**40]), f"array 'x' of shape [1099511627776] is {LIMIT}", 5),
    "huge product": (
        spec(shape=[65536] * 2),
        f"array 'x' of shape [65536, 65536] is {LIMIT}",
        5,
    ),
    "huge and empty": (
        spec(shape=[2**40, 0]),
        f"array 'x' of shape [1099511627776, 0] is {LIMIT}",
        5,
    ),
    "too many axes": (spec(shape=[1] * 33), "array 'x' has 33 axes; at most 32 are carried", 5),
    "payload too long": (spec(shape=[3]), "the arrays take 3 bytes, but the payload has 4", 5),
    "payload too short": (spec(shape=[5]), "the arrays take 5 bytes, but the payload has 4", 5),
    "payload without arrays": ({"kind": "a", "id": 5}, "the arrays take 0 bytes, but the payload has 4", 5),
}


@pytest.mark.parametrize(("header", "reason", "id"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_header_is_one_clear_line_and_costs_that_frame_alone(
    header: object, reason: str, id: int | None
) -> None:
    # The payload is itself a magic: whoever took any for the start of a frame would be misled by it.
    stream = raw(header, MAGIC) + encode_bytes(GOOD)
    assert read(stream) == [BadFrame(reason, id), plain(GOOD)]
    assert read_bytewise(stream) == [BadFrame(reason, id), plain(GOOD)]


@pytest.mark.parametrize(
    ("lengths", "reason"),
    [
        ((MAX_HEADER + 1, 0), "a frame's header of 16,777,217 bytes is over the limit of 16,777,216"),
        ((2, MAX_PAYLOAD + 1), "a frame's payload of 2,147,483,649 bytes is over the limit of 2,147,483,648"),
        ((2**32 - 1, 2**64 - 1), "a frame's header of 4,294,967,295 bytes is over the limit of 16,777,216"),
    ],
)
def test_a_too_long_frame_is_reported_once_and_reading_resumes_at_the_next_magic(
    lengths: tuple[int, int], reason: str
) -> None:
    stream = raw(b"{}", b"some of its payload", lengths) + encode_bytes(GOOD)
    assert read(stream) == [BadFrame(reason, None), plain(GOOD)]
    assert read_bytewise(stream) == [BadFrame(reason, None), plain(GOOD)]


def test_a_payload_that_memory_cannot_hold_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = np.empty

    def small_machine(shape: int, dtype: type) -> np.ndarray:
        if shape > 1000:
            raise MemoryError
        return empty(shape, dtype)

    monkeypatch.setattr(np, "empty", small_machine)
    big = encode_bytes(Frame("a", 9, {}, {"x": np.zeros(2000, np.uint8)}))
    no_memory = BadFrame("there is no memory for a payload of 2,000 bytes", 9)
    assert read(big + encode_bytes(GOOD)) == [no_memory, plain(GOOD)]
