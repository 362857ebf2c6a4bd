"""Dates written in many ways, and the same dates in ISO 8601: pairs made by rule, for an encoder-decoder to learn from.

    "Thursday, March 7th, 2024" -> "2024-03-07"

The rule knows which characters each digit of the answer comes from, so what cross-attention looks at can be checked.
Every tenth day of the calendar is held out: no way of writing it is ever trained on.

A number with dots is day.month.year, one with slashes and the year behind is month/day/year, and years of two digits
are 1950 to 2049, so no text can be read in two ways.
"""

import random
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
SHORT_YEARS = range(1950, 2050)
HELD_OUT = 10  # every so many days one is never trained on
LONGEST = 29  # characters, of "Wednesday, September 13, 2023"

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# Where the digits of year, month and day stand in the answer.
ANSWER: Mapping[str, range] = MappingProxyType({"year": range(4), "month": range(5, 7), "day": range(8, 10)})

# {Y} 2024  {y} 24  {B} March  {b} Mar  {m} 3  {mm} 03  {d} 7  {dd} 07  {th} the "th" of 7th  {A} Thursday  {a} Thu
WAYS = (
    "{Y}-{mm}-{dd}",
    "{Y}{mm}{dd}",
    "{Y}/{m}/{d}",
    "{Y} {B} {d}",
    "{Y}, {b} {dd}",
    "{d}.{m}.{Y}",
    "{dd}.{mm}.{Y}",
    "{dd}.{mm}.{y}",
    "{d}.{m}.{y}",
    "{m}/{d}/{Y}",
    "{mm}/{dd}/{Y}",
    "{mm}/{dd}/{y}",
    "{m}/{d}/{y}",
    "{d} {B} {Y}",
    "{dd} {b} {Y}",
    "{d}. {B} {Y}",
    "{d}{th} {B} {Y}",
    "{d}{th} of {B} {Y}",
    "the {d}{th} of {B}, {Y}",
    "{d} {b} '{y}",
    "{dd}-{b}-{Y}",
    "{d}-{b}-{y}",
    "{B} {d}, {Y}",
    "{b} {d}, {Y}",
    "{b} {dd} '{y}",
    "{B} {d}{th}, {Y}",
    "{B} the {d}{th}, {Y}",
    "{A}, {B} {d}, {Y}",
    "{A}, {d} {B} {Y}",
    "{a} {d} {b} {Y}",
    "{a}, {dd} {b} {Y}",
    "{a}, {b} {d}{th} '{y}",
)
CASES = (str, str, str, str.upper, str.lower)
OF: Mapping[str, str] = MappingProxyType(
    {
        "Y": "year",
        "y": "year",
        "B": "month",
        "b": "month",
        "m": "month",
        "mm": "month",
        "d": "day",
        "dd": "day",
    }
)
CHARACTERS = f"{string.digits} ,./-'{string.ascii_uppercase}{string.ascii_lowercase}"


@dataclass(frozen=True)
class Written:
    """A date as somebody wrote it.

    text   as it was written
    iso    the same in ISO 8601
    spans  for "year", "month" and "day" the characters of the text that say it: from, and up to
    """

    text: str
    iso: str
    spans: Mapping[str, tuple[int, int]]


def parts(day: date) -> dict[str, str]:
    """What may stand in the ways of writing."""
    ordinal = "th" if 10 <= day.day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    return {
        "Y": f"{day.year:04}",
        "y": f"{day.year % 100:02}",
        "B": month,
        "b": month[:3],
        "m": str(day.month),
        "mm": f"{day.month:02}",
        "d": str(day.day),
        "dd": f"{day.day:02}",
        "th": ordinal,
        "A": weekday,
        "a": weekday[:3],
    }


def write(day: date, way: str) -> Written:
    """The day in one of the WAYS."""
    text, spans, said = "", {}, parts(day)
    for between, name, _, _ in string.Formatter().parse(way):
        text += between
        if name is not None:
            if name in OF:
                spans[OF[name]] = len(text), len(text) + len(said[name])
            text += said[name]
    return Written(text, day.isoformat(), spans)


def is_held_out(day: date) -> bool:
    return day.toordinal() % HELD_OUT == 0


def written(seed: int, *, held_out: bool) -> Iterator[Written]:
    """Dates without end, all of them held out or none; the same seed gives the same."""
    draw = random.Random(f"{seed} {held_out}")
    while True:
        day = date.fromordinal(draw.randint(FIRST.toordinal(), LAST.toordinal()))
        way, case = draw.choice(WAYS), draw.choice(CASES)
        if is_held_out(day) == held_out and ("{y}" not in way or day.year in SHORT_YEARS):
            found = write(day, way)
            yield Written(case(found.text), found.iso, found.spans)
