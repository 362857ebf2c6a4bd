"""What files bring along is shown on a terminal and never obeyed, whatever the terminal can say."""

import errno
import io
import os
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_core.api.command import printing
from model_core.api.errors import InputError
from model_core.api.plain_text import bytes_text, guard_terminal, one_line, shortened, unguarded, visible
from tests.support.hostile.hostile_text import LONG, OBEYED

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\rb\x07", "a\\rb\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eback", "\\u202eback"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
        ("line\n\tline", "line\n\tline"),
        ("naïve 漢字 👩\u200d👩", "naïve 漢字 👩\u200d👩"),
    ],
)
def test_orders_are_written_out_and_everything_else_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_is_shown_orders_anything(text: str) -> None:
    assert not OBEYED.search(visible(text))
    assert visible(visible(text)) == visible(text)


@given(st.text())
def test_a_line_is_one_line_of_bounded_length(text: str) -> None:
    line = one_line(text * 3000)
    assert not re.search(r"[\n\t]", line)
    assert not OBEYED.search(line)
    assert len(one_line("w" * 100_000)) == 2000


def test_a_short_text_stays_and_a_long_one_keeps_its_ends() -> None:
    assert shortened("short", 10) == "short"
    long = shortened("begin" + LONG + "end", 30)
    assert len(long) == 30
    assert long.startswith("begin")
    assert long.endswith("end")


def test_everything_printed_is_guarded_and_the_guard_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    guard_terminal()
    guard_terminal()
    print("\x1b[2J and a line\n\tmore")
    print("\x9b", file=sys.stderr)
    assert capsys.readouterr() == ("\\x1b[2J and a line\n\tmore\n", "\\x9b\n")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_lines_that_are_written_together_are_guarded_too(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    guard_terminal()
    getattr(sys, name).writelines(["a\x1b[2J\n", "b\x9b\n"])
    with printing():
        getattr(sys, name).writelines(["c\x1b[2J\n"])
    assert getattr(capsys.readouterr(), name.removeprefix("std")) == "a\\x1b[2J\nb\\x9b\nc\\x1b[2J\n"


def test_what_the_program_orders_its_terminal_goes_past_the_guard_inside_a_command_as_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    guard_terminal()
    print("\r\x1b[K1", end="", file=unguarded(sys.stderr))
    with printing():
        print("\r\x1b[K2", end="", file=unguarded(sys.stderr))
        print("\x1b", end="", file=sys.stderr)
    assert capsys.readouterr().err == "\r\x1b[K1\r\x1b[K2\\x1b"


class Full(io.StringIO):
    """A stream on a full device."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize("guarded", [True, False])
def test_lines_that_cannot_be_written_are_one_error_past_the_guard_too(
    guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with printing(), pytest.raises(InputError, match="stdout cannot be written: No space left on device"):
        (sys.stdout if guarded else unguarded(sys.stdout)).writelines(["a\n"])


def test_bytes_are_said_in_the_unit_that_suits_them() -> None:
    assert [bytes_text(size) for size in (0, 11_020_032, 1_000_000_000)] == ["0.0 MB", "11.0 MB", "1.0 GB"]
    assert bytes_text(300_000_000, gigabytes_from=1e8) == "0.3 GB"
