"""How a file is damaged: as bytes, as the JSON or TOML in it, as an archive, as headers with lengths before them.

Every damage is drawn from the random numbers that it is given: the same seed damages alike.
"""

import io
import json
import re
import tomllib
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from model_core.api.protocol import MAGIC, prefix

# Text that JSON's own writer does not write; it is put into the place of a marker.
RAW = [
    "1e999", "-1e999", "NaN", "-Infinity", "1" + "0" * 400, "9" * 5000, "4.0", "1e2", "[" * 20_000 + "]" * 20_000,
    '{"a":' * 5000 + "1" + "}" * 5000, '"\\ud800"', '"' + "x" * 100_000 + '"', '"\\u0000\\u001b[31m"', "",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 7, 16, 65, -5, 1000, 999_999, 2**31, 2**32, 2**63, 2**64, -(2**63), 0.5, -0.5,
    1e-300, 1e308, "", " ", "x", "0", "../x", "/dev/zero", "a/b", "<b>x</b>", "\u202e", [], {}, [[]], [{}], [1, "a"],
    {"": 0}, [None], [0] * 1000, {"type": "x"}, "(x+x+)+y", "float16", "llama",
]  # fmt: skip
INTEGERS = [
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
]


def mutated(random: Random, data: bytes) -> bytes:
    """The content of a file after one to three damages of whatever kinds fit it."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        ways: list[Callable[[Random, bytes], bytes]] = [damaged_bytes]
        if data[:1] in (b"{", b"["):
            ways += [damaged_json] * 4
        elif data[:2] == b"PK":
            ways += [damaged_archive] * 2
        elif data[8:9] == b"{":
            ways += [damaged_header] * 3
        elif data[:4] == MAGIC:
            ways += [damaged_frames] * 4
        elif b"\n" in data and is_text(data):
            ways += [damaged_lines] * 3
            if is_toml(data):
                ways += [damaged_toml] * 3
        data = random.choice(ways)(random, data)
    return data


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def is_toml(data: bytes) -> bool:
    try:
        return bool(toml(data))
    except (ValueError, RecursionError):
        return False


def damaged_bytes(random: Random, data: bytes) -> bytes:
    """Flipped bits, a cut, a stretch doubled, dropped or overwritten, a whole number replaced."""
    found = bytearray(data)
    at = random.randrange(len(found) + 1)
    # What says sizes and types stands near the beginning.
    at = at if random.random() < 0.5 else min(at, random.randrange(256))
    length = random.choice((1, 2, 4, 8, 64))
    kind = random.randrange(7)
    if kind == 0 and found:
        for _ in range(random.choice((1, 1, 2, 8))):
            found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    elif kind == 1:
        del found[at:]
    elif kind == 2:
        found[at:at] = found[at : at + length] * random.choice((1, 3, 200))
    elif kind == 3:
        del found[at : at + length]
    elif kind == 4:
        found[at : at + length] = random.randbytes(length)
    elif kind == 5:
        width = random.choice((4, 8))
        number = random.choice(INTEGERS) & ((1 << 8 * width) - 1)
        found[at : at + width] = number.to_bytes(width, random.choice(("little", "little", "big")))
    else:
        found += random.choice((b"\0", b"\n", b"}", random.randbytes(16)))
    return bytes(found)


def damaged_json(
    random: Random,
    data: bytes,
    read: Callable[[bytes], Any] = json.loads,
    write: Callable[[Any], str] = json.dumps,
) -> bytes:
    """A value somewhere inside replaced, dropped, doubled or renamed; of lines of JSON, in one of them."""
    try:
        tree = read(data)
    except (ValueError, RecursionError):
        return damaged_line_of_json(random, data)
    holders = containers(tree)
    if not holders:
        return damaged_bytes(random, data)
    # Of a vocabulary with thousands of entries the rest is to be damaged as often.
    holder = min(random.sample(holders, min(2, len(holders))), key=len)
    key = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    raw = None
    kind = random.randrange(10)
    if kind < 2:
        holder[key] = random.choice(alike(holder[key]))
    elif kind < 4:
        holder[key] = random.choice(VALUES)
    elif kind < 6:
        holder[key], raw = "@raw@", random.choice(RAW)
    elif kind == 6:
        del holder[key]
    elif kind == 7 and isinstance(holder, dict):
        holder[random.choice(("type", "x", "", str(key).upper()))] = holder.pop(key)
    elif kind == 8:
        other = random.choice(holders)
        holder[key] = other[random.choice(list(other) if isinstance(other, dict) else range(len(other)))]
    elif isinstance(holder, dict):
        holder[f"{key}@twice@"] = random.choice(VALUES)
    else:
        holder.append(random.choice(VALUES))
    try:
        text = write(tree)
    except (ValueError, RecursionError):
        return damaged_bytes(random, data)
    text = text.replace("@twice@", "")
    return (text if raw is None else text.replace('"@raw@"', raw)).encode("utf-8", "surrogatepass")


def alike(said: Any) -> list[Any]:
    """Values that may pass for one of the same kind, and be wrong further in."""
    kinds = (
        (bool,)
        if isinstance(said, bool)
        else (int, float)
        if isinstance(said, int | float)
        else (type(said),)
    )
    return [value for value in VALUES if type(value) in kinds] or VALUES


def damaged_line_of_json(random: Random, data: bytes) -> bytes:
    """One line of several damaged, each of which is JSON by itself; bytes, where they are none."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    if len(lines) < 3 or lines[at][:1] != b"{":
        return damaged_bytes(random, data)
    return b"\n".join([*lines[:at], damaged_json(random, lines[at]), *lines[at + 1 :]])


def damaged_toml(random: Random, data: bytes) -> bytes:
    """As JSON is damaged. Each table becomes a line."""
    return damaged_json(random, data, toml, toml_text)


def toml(data: bytes) -> dict[str, Any]:
    return tomllib.loads(data.decode())


def toml_text(tree: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(name)} = {toml_value(said)}\n" for name, said in tree.items())


def toml_value(said: Any) -> str:
    if isinstance(said, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml_value(one)}" for name, one in said.items()) + "}"
    if isinstance(said, list):
        return f"[{', '.join(map(toml_value, said))}]"
    if said is None:  # TOML has no such value
        return "1979-05-27"
    return json.dumps(said) if isinstance(said, str | bool) else repr(said)


def containers(tree: Any) -> list[Any]:
    """Every object and list with something in it, the outermost first."""
    found, left = [], [tree]
    while left and len(found) < 10_000:
        one = left.pop(0)
        if isinstance(one, dict | list) and one:
            found.append(one)
            left += one.values() if isinstance(one, dict) else one
    return found


def damaged_header(random: Random, data: bytes) -> bytes:
    """A safetensors file whose JSON is damaged; its length is mostly said as it is then, sometimes as it was."""
    size = int.from_bytes(data[:8], "little")
    header = damaged_json(random, data[8 : 8 + size])
    said = random.choice((len(header), len(header), len(header), size, random.choice(INTEGERS)))
    return (said & ((1 << 64) - 1)).to_bytes(8, "little") + header + data[8 + size :]


def damaged_frames(random: Random, data: bytes) -> bytes:
    """Frames of the protocol, one of them damaged, dropped, doubled, moved, or with false lengths."""
    frames, at, before = [], 0, len(prefix(0, 0))
    while data[at : at + len(MAGIC)] == MAGIC and len(frames) < 10_000:
        head, payload = at + before, int.from_bytes(data[at + 8 : at + 16], "little")
        body = head + int.from_bytes(data[at + 4 : at + 8], "little")
        at = body + payload
        frames.append((data[head:body], data[body:at]))
    if not frames:
        return damaged_bytes(random, data)
    one = random.randrange(len(frames))
    header, content = frames[one]
    lengths = None
    kind = random.randrange(10)
    if kind < 5:
        frames[one] = damaged_json(random, header), content
    elif kind == 5:
        frames[one] = header, damaged_bytes(random, content)
    elif kind == 6:
        del frames[one]
    elif kind == 7:
        frames.insert(random.randrange(len(frames)), frames[one])
    elif kind == 8:
        frames.append(frames.pop(one))
    else:
        lengths = (random.choice(INTEGERS) & 0xFFFFFFFF, random.choice((0, len(content), *INTEGERS)))
    pieces = [prefix(len(header), len(content)) + header + content for header, content in frames]
    if lengths is not None:
        pieces[one] = prefix(*lengths) + header + content
    return b"".join(pieces)


def damaged_archive(random: Random, data: bytes) -> bytes:
    """A zip file written anew with one member damaged, dropped, doubled, renamed, compressed or blown up."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return damaged_bytes(random, data)
    if not members:
        return damaged_bytes(random, data)
    at = random.randrange(len(members))
    name, content = members[at]
    packing = zipfile.ZIP_STORED
    kind = random.randrange(7)
    if kind < 3:
        members[at] = name, damaged_bytes(random, content)
    elif kind == 3:
        del members[at]
    elif kind == 4:
        members[at] = random.choice(("x", "../x", f"{name}/", name.upper(), "a\\b")), content
    elif kind == 5:
        members[at], packing = (
            (name, content + b"\0" * random.choice((1, 1 << 20, 30 << 20))),
            zipfile.ZIP_DEFLATED,
        )
    else:
        packing = zipfile.ZIP_DEFLATED
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", packing) as archive, warnings.catch_warnings():
        # Two damages may give two members one name.
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def damaged_lines(random: Random, data: bytes) -> bytes:
    """A text with a line dropped, doubled, swapped or grown, or one of its words replaced."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, random.choice(lines))
    elif kind == 2:
        other = random.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines[at] += random.choice((b" ", b"\0", b"\r", b" x", b"=", b'"', b"[" * 5000, b"x" * 100_000))
    else:
        words = re.findall(rb"[^\s=\[\],:]+", lines[at])
        if words:
            value = random.choice((*RAW, *(json.dumps(value) for value in VALUES)))
            lines[at] = lines[at].replace(random.choice(words), value.encode("utf-8", "surrogatepass"), 1)
    return b"\n".join(lines)
