"""The ways a run ends early that are nobody's fault in the code."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


class InputError(ValueError):
    """What the user gave cannot be used. The message is one line: what is wrong, and what to do.

    fix     fields of a scene that would work, where one can be offered
    asks    what a form may ask of the person, where that would help
    edits   the edits that it is about, in their words, and why each of them cannot be made
    window  the same in the words of the window, where the message names options of the command line
    """

    fix: dict[str, str] | None = None
    asks: list[dict[str, Any]] | None = None
    edits: dict[str, str] | None = None

    def __init__(self, message: str, *, window: str = "") -> None:
        super().__init__(message)
        self.window = window or message


class TooLong(InputError):
    """A prompt of `length` tokens does not fit a context of `limit`."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"the prompt has {length} tokens, {length - limit} more than the context of {limit}: shorten it"
        )
        self.length = length
        self.limit = limit


class Unsaid(InputError):
    """The files of a checkpoint leave open what its model needs: the person is to say it.

    asks  for a form: {"name": "heads", "default": 8, "about": "attention heads in each layer", "kind": "int", "float",
          "bool" or "choice", "choices": [...]}. `names` are those that no answer can be assumed for.
    """

    def __init__(self, model: str, asks: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
        open_ = [ask for ask in asks if ask["name"] in names]
        what = "; ".join(f"{ask['name']} ({ask['about']})" for ask in open_)
        how = " ".join(f"--config {ask['name']}={spelled(ask['default'])}" for ask in open_)
        rest = ", ".join(f"{ask['name']}={spelled(ask['default'])}" for ask in asks if ask not in open_)
        assumed = f" (assumed unless said: {rest})" if rest else ""
        left_open = f"the files of {model} do not say {what}"
        super().__init__(f"{left_open}: say it, such as {how}{assumed}", window=f"{left_open}: fill it in")
        self.asks = [dict(ask) for ask in asks]


def spelled(value: object) -> str:
    """A value as it is said on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class DoesNotFit(InputError):
    """A model needs more memory than its device has left."""


class Misfit(InputError):
    """A tokenizer's file is of another model: it has tokens that this one has not."""


class Cancelled(Exception):
    """The run was stopped on request, at a tap. Nothing was changed."""


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turns whatever a library raises inside the block into an InputError of one line: `what`, and its own words.

    A panic of a library in Rust is a BaseException and no Exception.
    """
    try:
        yield
    except (InputError, Cancelled, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise InputError(f"{what}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """What an error says, as far as a line has room for it; its name where it says nothing."""
    return next(
        (line.strip()[:200] for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
