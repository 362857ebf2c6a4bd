"""What strangers wrote, shown as it is and never obeyed: control characters of a file reach no terminal and no window.

visible("\\x1b[2J")    the six characters \\x1b[2J instead of an order to clear the screen
guard_terminal()      from now on everything that is printed goes through `visible`
"""

import io
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

# Escape sequences and other orders (C0, C1, DEL), what turns or hides the text around it (bidi controls, zero widths,
# tags), line ends that only some programs know, and halves of characters, which no encoding can say. The joiners
# U+200C and U+200D stay: words of Persian and of many emojis are written with them.
_ORDERS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
MOST_OF_A_LINE = 2000


def visible(text: str, keep: str = "\n\t") -> str:
    """The text with its control characters written out, such as \\x1b and \\u202e; those in `keep` stay."""
    return _ORDERS.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """The text in a line of bounded length that orders nothing; blanks and line ends in it are spaces."""
    return visible(shortened(" ".join(text.split()), MOST_OF_A_LINE), keep="")


def bytes_text(size: int, gigabytes_from: float = 1e9) -> str:
    """Bytes as a person reads them: "15.6 GB", or "11.0 MB" below so many."""
    return f"{size / 1e9:.1f} GB" if size >= gigabytes_from else f"{size / 1e6:.1f} MB"


def shortened(text: str, most: int) -> str:
    """At most so many characters: beginning and end, with … between them."""
    if len(text) <= most:
        return text
    end = (most - 1) // 3
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def guard_terminal() -> None:
    """What is printed from now on, tracebacks and warnings included, is made visible on its way.

    A terminal that does not know a character is shown a `?` instead.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Guarded):
            setattr(sys, name, Guarded(stream))


def unguarded(stream: TextIO) -> TextIO:
    """The stream itself, for what the program orders its terminal."""
    return stream.stream if isinstance(stream, Guarded) else stream


class Passed:
    """A stream of text for whoever sees to what is written to it; it is the stream itself in all else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Guarded(Passed):
    """A stream that makes visible what is written to it."""

    def write(self, text: str) -> int:
        self.stream.write(visible(text))
        return len(text)
