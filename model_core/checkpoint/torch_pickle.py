"""The pickle in a file of torch.save, followed word by word without calling anything.

What makes a tensor leaves a `Laid`, a dict leaves its entries, and what else PyTorch, Python's plain types and numpy's
numbers would make, beside the weights, leaves an `Opaque`. Any other name is refused: it could run code.
"""

import math
import pickletools

# Private to Python, whose own pickle reads by it: what the names of Python 2 are called now is written nowhere else.
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model_core.api.files.regular_file import StaysOpen
from model_core.api.schema import shown
from model_core.checkpoint.files import numbers, readable, without_ones

MOST_WORDS = 1_000_000  # a tensor takes about forty
MAX_AXES = (
    500_000  # of all tensors: those of 20,000 weights and of what an optimiser keeps of each are far less
)
MOST_NUMBERS = 2**62
FEW_NUMBERS = 1 << 14  # read at once, whosever they are
MOST_NESTED = 16  # tuples within tuples; what makes a tensor has three
LONGEST_WORD = (
    200  # letters; said once and used a hundred thousand times, a name of megabytes fills any memory
)

# Modules of what makes tensors and of what says their types: nothing of them is called either.
TORCH = (
    "torch",
    "torch._utils",
    "torch._tensor",
    "torch.cuda",
    "torch.cuda.sparse",
    "torch.sparse",
    "torch.storage",
    "torch.serialization",
    "torch.nn.parameter",
)
# What else plain values and numpy's are made of, at any protocol.
HARMLESS: Mapping[str, set[str]] = {
    "builtins": {
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset"),
        *("int", "list", "range", "set", "slice", "str", "tuple"),
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "_codecs": {"encode"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
}
# Dicts whose entries follow, and how many arguments they may have before: more would be entries too.
DICTS = {"collections.OrderedDict": 0, "collections.defaultdict": 1}
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


class Unopened(Exception):
    """Why a file is not opened, in words."""


class Damaged(Unopened):
    """What is wrong with it."""


class Refused(Unopened):
    """The name of what its pickle would have called."""


class Unread(Unopened):
    """What its pickle uses that no such file needs, and that is not followed here."""


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
    file: StaysOpen

    @property
    def dtype(self) -> torch.dtype:
        return self.storage.dtype

    @property
    def bytes(self) -> int:
        """How many its numbers take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> Tensor:
        """The tensor, in memory of its own. InputError where the file has been cut."""
        return self.part(self.offset, self.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        """Some of it along the first axis longer than 1, the axes before that left away."""
        if math.prod(self.shape) == 1:
            return self.read().reshape(1)[start:stop]
        axis = len(self.shape) - len(without_ones(self.shape))
        shape = (*self.shape[:axis], stop - start, *self.shape[axis + 1 :])
        return self.part(self.offset + start * self.strides[axis], shape).reshape(shape[axis:])

    def part(self, offset: int, shape: tuple[int, ...]) -> Tensor:
        """So much of the tensor as that shape takes from there on: in halves where most between is not its own."""
        wanted = math.prod(shape)
        if not wanted:
            return torch.empty(shape, dtype=self.dtype)
        lengths = [(n - 1) * stride for n, stride in zip(shape, self.strides, strict=True)]
        span = 1 + sum(lengths)
        if span <= max(FEW_NUMBERS, 2 * wanted):
            start = self.storage.record.start + offset * self.dtype.itemsize
            return numbers(self.file, start, self.dtype, (span,)).as_strided(shape, self.strides)
        axis = lengths.index(max(lengths))
        half = shape[axis] // 2
        first, second = ((*shape[:axis], n, *shape[axis + 1 :]) for n in (half, shape[axis] - half))
        return torch.cat(
            [self.part(offset, first), self.part(offset + half * self.strides[axis], second)], axis
        )


@dataclass(frozen=True)
class Opaque:
    """What a word would have made that is neither a plain tensor nor a dict."""

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
            raise Unread(f"more than {MOST_NESTED} tuples within each other")
        return made

    def __repr__(self) -> str:
        return f"a tuple of {len(self)}"


class Pickle:
    """A pickle that is followed without calling anything: values on a stack, and what was put aside."""

    def __init__(self, records: Mapping[str, Record], folder: str, file: StaysOpen) -> None:
        self.records, self.folder, self.file = records, folder, file
        self.stack: list[Any] = []
        self.axes = 0
        self.marked: list[list[Any]] = []
        self.aside: dict[int, Any] = {}

    def follow(self, data: bytes) -> Any:
        """What the pickle makes."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST_WORDS:
                raise Unread(f"more than {MOST_WORDS:,} words of pickle")
            if opcode.name in VALUES:
                self.stack.append(argument)
                continue
            try:
                if opcode.name == "STOP":
                    return self.stack.pop()
                self.step(opcode.name, argument)
            except Unopened:
                raise
            except Exception:  # what a word needs is not there, or is something else
                raise Damaged(f"its pickle makes no sense from word {count:,} on") from None
        raise Damaged("its pickle has no end")

    def step(self, word: str, argument: Any) -> None:
        if word not in STEPS:
            raise Unread(f"{word} of pickle")
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

    def import_(self, module: str, name: str) -> None:
        """A name goes on the stack, by that of Python 3 where it is of Python 2, as protocol 2 has them."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise Damaged("its pickle imports what is no name")
        if max(len(module), len(name)) > LONGEST_WORD:
            raise Refused(f"{readable(module)}.{readable(name)}")
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        if "." in name or (module not in TORCH and name not in HARMLESS.get(module, ())):
            raise Refused(readable(f"{module}.{name}"))
        self.stack.append(Word(f"{module}.{name}"))

    def instance(self, name: str) -> None:
        """It calls what it imports, in one word; what it would import is looked at first."""
        self.import_(*name.split(" "))
        raise Unread("INST of pickle")

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
        arguments, word = self.stack.pop(), self.stack.pop()
        if isinstance(word, Opaque):
            raise Unread(f"a call of what {readable(word.word)} makes")
        if not isinstance(word, Word):
            raise Damaged("its pickle calls what is no function")
        self.stack.append(self.made(word.name, arguments))

    def made(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """What a call would have made."""
        if len(arguments) <= DICTS.get(name, -1):
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
        named = isinstance(key, str) and len(key) <= LONGEST_WORD
        record = self.records.get(f"{self.folder}/data/{key}") if named else None
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
            # Only what is there: PyTorch imports some of its modules when they are asked for.
            dtype = vars(torch).get(typed.name.removeprefix("torch."))
            if not isinstance(dtype, torch.dtype):
                return Opaque(TYPED)
            storage = Storage(storage.record, dtype)
        sizes = (offset, *shape, *strides)
        self.axes += len(shape)
        if self.axes > MAX_AXES:
            raise Unread(f"tensors of more than {MAX_AXES:,} axes in all")
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
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
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
    "FROZENSET": push(lambda pickle: pickle.made("builtins.frozenset", (pickle.items(),))),
    "MARK": lambda pickle, _: pickle.mark(),
    "TUPLE": push(lambda pickle: Tuple(pickle.items())),
    "LIST": push(lambda pickle: list(pickle.items())),
    "TUPLE1": push(lambda pickle: pickle.last(1)),
    "TUPLE2": push(lambda pickle: pickle.last(2)),
    "TUPLE3": push(lambda pickle: pickle.last(3)),
    "APPEND": lambda pickle, _: pickle.append([pickle.stack.pop()]),
    "APPENDS": lambda pickle, _: pickle.append(pickle.items()),
    "ADDITEMS": lambda pickle, _: pickle.items(),
    "SETITEM": lambda pickle, _: pickle.set_items([pickle.stack.pop(), pickle.stack.pop()][::-1]),
    "SETITEMS": lambda pickle, _: pickle.set_items(pickle.items()),
    "POP": lambda pickle, _: pickle.stack.pop(),
    "POP_MARK": lambda pickle, _: pickle.items(),
    "DUP": push(lambda pickle: pickle.stack[-1]),
    "GLOBAL": lambda pickle, name: pickle.import_(*name.split(" ")),
    "STACK_GLOBAL": lambda pickle, _: pickle.import_(*pickle.last(2)),
    "INST": lambda pickle, name: pickle.instance(name),
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
