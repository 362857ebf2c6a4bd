"""What may come over the engine's pipe: frames that a broken or hostile peer sends, and asks as a window makes them.

Both go on for ever and are the same for the same seed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from model_core.api.protocol import MAGIC, MAX_HEADER, MAX_PAYLOAD, Frame, encode_bytes, prefix
from model_core.api.scene import Scene

WORDS = "the", "cat", "sat", "on a mat", "7", "more:", "éà", "猫", "🙂", "<|end|>", "\n"
FIRST_ID = 100_000  # no malformed frame has such
EDITS = "mask off", "mask off L1", "mask off L1H2", "ablate L0H1", "ablate L2H3"
QUERIES: Sequence[tuple[str, dict[str, Any]]] = (
    ("run", {}),
    ("sites", {}),
    ("graph", {}),
    ("architecture", {}),
    ("next_token", {"k": 3}),
    ("overview", {"side": 3}),
    ("value", {"site": "blocks.1.attn.pattern", "at": {"H": 2}}),
    ("inspect", {"site": "blocks.0.attn.q", "at": {"H": 0}, "limit": 4}),
    ("growth", {}),
    ("roles", {"on": "prompt"}),
    ("split", {"position": 1}),
    ("norm", {"module": "blocks.0.norm1"}),
    ("rope", {"layer": 1, "head": 0}),
    ("rope_conventions", {"layer": 0, "head": 1, "query": 0, "key": 0}),
    ("positions", {}),
)
ODD = None, True, -1, 1.5, 2**70, "", "ask", [], {}, [[]], {"": None}, "\ud800"


def malformed(seed: int) -> Iterator[bytes]:
    """Bytes that are no frame, or a frame that means nothing; none of them keeps what follows from being read."""
    random = Random(seed)
    while True:
        yield random.choice(_KINDS)(random)


def asks(seed: int, models: Sequence[str]) -> Iterator[list[Frame]]:
    """One ask of a scene, numbered from FIRST_ID, with a cancel behind a third of them."""
    random = Random(seed)
    id = FIRST_ID - 1
    while True:
        id += 1
        prompt = " ".join(random.choices(WORDS, k=random.randint(1, 8)))
        edits = tuple(random.sample(EDITS, random.choice((0, 0, 1, 2))))
        scene = Scene(random.choice(models), prompt, edits=edits)
        chosen = random.sample(QUERIES, random.randint(1, 4))
        queries = [{"kind": kind, "arguments": arguments} for kind, arguments in chosen]
        frames = [Frame("ask", id, {"asks": [{"scene": scene.to_json(), "queries": queries}]})]
        yield frames + [Frame("cancel", id)] * (random.random() < 1 / 3)


def _raw(header: object, payload: bytes = b"", lengths: tuple[int, int] | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return prefix(*(lengths or (len(text), len(payload)))) + text + payload


def _noise(random: Random) -> bytes:
    return random.randbytes(random.randint(1, 80))


def _near_magic(random: Random) -> bytes:
    return b"".join(random.choices([MAGIC, MAGIC[:1], MAGIC[:3], MAGIC[1:], b"\n"], k=random.randint(1, 9)))


def _damaged(random: Random) -> bytes:
    """A good frame with some bytes changed, taken out or put in."""
    data = bytearray(encode_bytes(Frame(random.choice(["hello", "cancel"]), random.randint(0, 99))))
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data))
        data[at : at + random.choice((0, 1, 1, 4))] = random.randbytes(random.choice((0, 1, 1, 3)))
    return bytes(data)


def _false_lengths(random: Random) -> bytes:
    header = {"kind": "hello", "id": 1, "arrays": [{"name": "x", "dtype": "uint8", "shape": [4]}]}
    size = len(json.dumps(header))
    lengths = random.choice(
        [(size, 5), (size, 10**6), (size, MAX_PAYLOAD), (size + 900, 4), (3, 4), (MAX_HEADER, 4)]
    )
    return _raw(header, b"abcd", lengths)


def _over_limits(random: Random) -> bytes:
    return prefix(*random.choice([(MAX_HEADER + 1, 0), (2, MAX_PAYLOAD + 1), (2**32 - 1, 2**64 - 1)]))


def _odd_header(random: Random) -> bytes:
    names = random.sample(["kind", "id", "fields", "arrays", "more"], random.randint(0, 5))
    return _raw({name: random.choice(ODD) for name in names}, _noise(random)[: random.choice((0, 9))])


def _odd_json(random: Random) -> bytes:
    return _raw(
        random.choice(
            [
                b"",
                b"{",
                b"[" * 5000,
                b'{"a":' * 5000,
                b'{"kind": "ask", "id": ' + b"9" * 5000 + b"}",
                b'{"kind": "ask", "id": 1, "fields": {"x": NaN}}',
                b'{"kind": "ask", "id": 1e999}',
                b'{"kind": "\xff", "id": 1}',
                b"null",
            ]
        )
    )


def _odd_array(random: Random) -> bytes:
    array = {"name": "x", "dtype": "uint8", "shape": [4]} | {
        random.choice(["name", "dtype", "shape"]): random.choice([*ODD, [2**40], [-4], [1] * 40, "object"])
    }
    return _raw({"kind": "hello", "id": 2, "arrays": [array] * random.randint(1, 2)}, b"abcd")


def _odd_request(random: Random) -> bytes:
    """A good frame that asks for nothing that there is."""
    scene = Scene("m", "p").to_json() | {
        random.choice(["model", "prompt", "edits", "config", "special"]): random.choice(ODD[:-1])
    }
    fields = random.choice(
        [
            {},
            {"asks": [{"scene": scene, "queries": []}]},
            {"scene": scene},
            {"asks": [{"scene": 3, "queries": 4}]},
        ]
    )
    return _raw({"kind": random.choice(["ask", "size", "dance", ""]), "id": -5, "fields": fields})


_KINDS: Sequence[Callable[[Random], bytes]] = (
    _noise, _near_magic, _damaged, _damaged, _false_lengths, _over_limits,
    _odd_header, _odd_json, _odd_array, _odd_request,
)  # fmt: skip
