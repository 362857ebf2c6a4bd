"""Files of torch.save, read without running anything that they say.

Such a file is a zip: its data.pkl says which tensors lie in which of its other records. That pickle is followed word by
word here, and nothing is called: what makes a tensor leaves a `Laid`, other words of PyTorch leave an `Opaque`, and
anything else is refused by its name. Every size is held against the file's before it is believed.
"""

import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from model_core.errors import InputError, first_line
from model_core.plain_text import shortened
from model_core.regular_file import open_regular
from model_core.schema import shown

ZIP = b"PK\x03\x04"
PICKLE = "/data.pkl"
LOCAL = struct.Struct("<4s22xHH")  # before each record: a mark, and how long its name and what follows it are

MOST_LISTING = 4 << 20  # bytes of the zip's directory; each record takes about a hundred
MOST_PICKLE = 16 << 20
MOST_WORDS = 1_000_000  # a tensor takes about forty
MOST_NUMBERS = 2**62
MOST_NESTED = 16  # tuples within tuples; what makes a tensor has three

TORCH = (
    "torch",
    "torch._utils",
    "torch._tensor",
    "torch.storage",
    "torch.serialization",
    "torch.nn.parameter",
)
HARMLESS = ("collections.OrderedDict", "_codecs.encode", "builtins.bytearray", "builtins.set")
WHOLE, TYPED = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"
PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
OF_TYPE = "torch._tensor._rebuild_from_type_v2"
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}


@dataclass(frozen=True)
class Record:
    """Where the bytes of a record lie in the file."""

    start: int
    size: int


@dataclass(frozen=True)
class Storage:
    """Numbers of a type in a record."""

    record: Record
    dtype: torch.dtype


@dataclass(frozen=True)
class Laid:
    """A tensor as the pickle describes it, all of whose numbers lie in the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    file: "Mapped"

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    def read(self) -> Tensor:
        """The tensor, mapped."""
        record = self.storage.record
        within = self.file.bytes[record.start : record.start + record.size]
        return torch.empty(0, dtype=self.dtype).set_(within, self.offset, self.shape, self.strides)


@dataclass(frozen=True)
class Opaque:
    """What a word of PyTorch's would have made."""

    word: str

    @property
    def is_tensor(self) -> bool:
        return "._rebuild_" in self.word


@dataclass(frozen=True)
class Word:
    """What a pickle would import."""

    name: str


class Tuple(tuple[Any, ...]):
    """What a pickle has put together. Such may share their parts: written out, a few bytes of one fill any memory."""

    depth: int

    def __new__(cls, items: Iterable[Any]) -> "Tuple":
        made = super().__new__(cls, items)
        made.depth = 1 + max((item.depth for item in made if isinstance(item, Tuple)), default=0)
        if made.depth > MOST_NESTED:
            raise Damaged(f"its pickle has more than {MOST_NESTED} tuples within each other")
        return made

    def __repr__(self) -> str:
        return f"a tuple of {len(self)}"


@dataclass
class Mapped:
    """A file, mapped when its bytes are first asked for."""

    path: Path
    size: int

    @cached_property
    def bytes(self) -> torch.UntypedStorage:
        return cast(torch.UntypedStorage, torch.UntypedStorage.from_file(str(self.path), False, self.size))


def load(path: Path) -> Any:
    """The content of a file of torch.save, its tensors as `Laid`; keys that are no text are left away.

    InputError for any other file, and for one that claims more than it holds.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if file.read(len(ZIP)) != ZIP:
            raise InputError(
                f"{path} is a pickle or was saved by PyTorch before 1.6: "
                "load it there and torch.save its state_dict()"
            )
        try:
            found = dict(records(file, size))
            folder = next((name.removesuffix(PICKLE) for name in found if name.endswith(PICKLE)), None)
            if folder is None:
                raise Damaged("it has no data.pkl")
            if part(file, found.get(f"{folder}/byteorder"), 10) == b"big":
                raise Damaged("it has its numbers the other way round")
            return Pickle(found, folder, Mapped(path, size)).follow(
                part(file, found[folder + PICKLE], MOST_PICKLE)
            )
        except Refused as refused:
            raise InputError(
                f"{path} holds more than weights ({refused}), which could run code and is not read: "
                "save model.state_dict() alone"
            ) from None
        except Damaged as error:
            raise InputError(f"{path} is no whole file of torch.save: {error}") from None
        except Exception as error:  # damaged bytes make zipfile and pickletools raise almost anything
            raise InputError(f"{path} is no whole file of torch.save: {first_line(error)}") from None


class Damaged(Exception):
    """What is wrong with a file, in words."""


class Refused(Exception):
    """What a pickle would have called."""


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


class Pickle:
    """A pickle that is followed without calling anything: values on a stack, and what was put aside."""

    def __init__(self, records: Mapping[str, Record], folder: str, file: Mapped) -> None:
        self.records, self.folder, self.file = records, folder, file
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.aside: dict[int, Any] = {}

    def follow(self, data: bytes) -> Any:
        """What the pickle makes."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST_WORDS:
                raise Damaged(f"its pickle has more than {MOST_WORDS:,} words")
            if opcode.name in VALUES:
                self.stack.append(argument)
                continue
            try:
                if opcode.name == "STOP":
                    return self.stack.pop()
                self.step(opcode.name, argument)
            except (Damaged, Refused):
                raise
            except Exception:  # what a word needs is not there, or is something else
                raise Damaged(f"its pickle makes no sense from word {count:,} on") from None
        raise Damaged("its pickle has no end")

    def step(self, word: str, argument: Any) -> None:
        if word == "INST":  # a call in one word, which no torch.save has written
            self.import_(argument.replace(" ", "."))
        if word not in STEPS:
            raise Refused(f"{word} of pickle")
        STEPS[word](self, argument)

    def items(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        found, self.stack = self.stack, self.marked.pop()
        return found

    def last(self, count: int) -> Tuple:
        """The last values, taken from the stack."""
        return Tuple(reversed([self.stack.pop() for _ in range(count)]))

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def put_aside(self, number: int | None) -> None:
        self.aside[len(self.aside) if number is None else number] = self.stack[-1]

    def import_(self, name: str) -> None:
        module = name.rpartition(".")[0]
        if module not in TORCH and name not in HARMLESS:
            raise Refused(shortened(name, 200))
        self.stack.append(Word(name))

    def set_items(self, items: list[Any]) -> None:
        """Entries of the dict on the stack. Keys of state dicts are text; whatever else is counted by is no weight."""
        held = self.stack[-1]
        if isinstance(held, dict):
            held |= {
                key: one for key, one in zip(items[::2], items[1::2], strict=True) if isinstance(key, str)
            }

    def append(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def call(self) -> None:
        word, arguments = self.last(2)
        if isinstance(word, Opaque):
            raise Refused(f"a call of what {word.word} makes")
        if not isinstance(word, Word):
            raise Damaged("its pickle calls what is no function")
        self.stack.append(self.made(word.name, arguments))

    def made(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """What a call of PyTorch's would have made."""
        if name == "collections.OrderedDict" and not arguments:
            return {}
        if name == OF_TYPE and arguments[0].name != OF_TYPE:
            return self.made(arguments[0].name, arguments[2])
        if name in PARAMETERS:
            return arguments[0]
        if name in (WHOLE, TYPED) and isinstance(arguments[0], Storage):
            storage, offset, shape, strides = arguments[:4]
            return self.tensor(storage, offset, shape, strides, arguments[6] if name == TYPED else None)
        return Opaque(name)

    def storage(self) -> None:
        kind, word, key, _, count = self.stack.pop()
        dtype = DTYPES.get(word.name.rpartition(".")[2])
        record = self.records.get(f"{self.folder}/data/{key}") if isinstance(key, str) else None
        if kind != "storage" or record is None:
            raise Damaged(f"it has no record {shown(key)}")
        if dtype is None:
            self.stack.append(Opaque(word.name))
            return
        if not is_size(count) or count * dtype.itemsize > record.size:
            raise Damaged(
                f"record {shown(key)} is to hold {shown(count)} numbers, but has {record.size:,} bytes"
            )
        self.stack.append(Storage(record, dtype))

    def tensor(
        self, storage: Storage, offset: Any, shape: Any, strides: Any, typed: Word | None
    ) -> Laid | Opaque:
        if typed is not None:
            dtype = getattr(torch, typed.name.removeprefix("torch."), None)
            if not isinstance(dtype, torch.dtype):
                return Opaque(TYPED)
            storage = Storage(storage.record, dtype)
        sizes = (offset, *shape, *strides)
        if len(shape) != len(strides) or len(shape) > 64 or not all(map(is_size, sizes)):
            raise Damaged("a tensor has an impossible shape")
        if math.prod(max(1, n) for n in shape) >= MOST_NUMBERS:
            raise Damaged("a tensor is larger than can be counted")
        held, wanted = storage.record.size // storage.dtype.itemsize, math.prod(shape)
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if wanted and (wanted > held or last >= held):
            raise Damaged(f"a tensor is to have {wanted:,} numbers, but {held:,} are stored for it")
        return Laid(storage, offset if wanted else 0, tuple(shape), tuple(strides), self.file)


def is_size(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MOST_NUMBERS


VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "INT", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)


def push(make: Callable[[Pickle], Any]) -> Callable[[Pickle, Any], None]:
    """A step that puts something new on the stack."""

    def step(pickle: Pickle, _: Any) -> None:
        made = make(pickle)  # first: it may change which stack there is
        pickle.stack.append(made)

    return step


STEPS: Mapping[str, Callable[[Pickle, Any], Any]] = {
    "PROTO": lambda pickle, version: None,
    "FRAME": lambda pickle, size: None,
    "NONE": push(lambda pickle: None),
    "NEWTRUE": push(lambda pickle: True),
    "NEWFALSE": push(lambda pickle: False),
    "EMPTY_DICT": push(lambda pickle: {}),
    "EMPTY_LIST": push(lambda pickle: []),
    "EMPTY_TUPLE": push(lambda pickle: ()),
    "EMPTY_SET": push(lambda pickle: Opaque("builtins.set")),
    "MARK": lambda pickle, _: pickle.mark(),
    "TUPLE": push(lambda pickle: Tuple(pickle.items())),
    "LIST": push(lambda pickle: list(pickle.items())),
    "TUPLE1": push(lambda pickle: pickle.last(1)),
    "TUPLE2": push(lambda pickle: pickle.last(2)),
    "TUPLE3": push(lambda pickle: pickle.last(3)),
    "APPEND": lambda pickle, _: pickle.append([pickle.stack.pop()]),
    "APPENDS": lambda pickle, _: pickle.append(pickle.items()),
    "ADDITEMS": lambda pickle, _: pickle.items(),
    "SETITEM": lambda pickle, _: pickle.set_items(list(pickle.last(2))),
    "SETITEMS": lambda pickle, _: pickle.set_items(pickle.items()),
    "POP": lambda pickle, _: pickle.stack.pop(),
    "DUP": push(lambda pickle: pickle.stack[-1]),
    "GLOBAL": lambda pickle, name: pickle.import_(name.replace(" ", ".")),
    "STACK_GLOBAL": lambda pickle, _: pickle.import_(".".join(pickle.last(2))),
    "REDUCE": lambda pickle, _: pickle.call(),
    "NEWOBJ": lambda pickle, _: pickle.call(),
    "BUILD": lambda pickle, _: pickle.stack.pop(),  # attributes, such as the version of a module
    "BINPERSID": lambda pickle, _: pickle.storage(),
    "MEMOIZE": lambda pickle, _: pickle.put_aside(None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda pickle, number: pickle.put_aside(number)),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda pickle, number: pickle.stack.append(pickle.aside[number])
    ),
}
