"""Whatever is done to a file, it is read, or refused in one line: within 5 s, within 500 MB, and nothing dies of it."""

import pytest

from tests.fuzz.formats import FORMATS, lay, scratch
from tests.fuzz.watch import watched
from tests.fuzz.worker import valid

CASES = 70  # of each format, the first seeds
MORE_CASES = 800


@pytest.mark.unit
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_damaged_can_be_used_as_long_as_it_is_whole(name: str) -> None:
    with scratch() as folder:
        lay(valid(name), folder)
        FORMATS[name].use(folder)


@pytest.mark.process
@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name: str) -> None:
    assert watched((name, seed) for seed in range(CASES))[name].faults == []


@pytest.mark.benchmark
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_damaged_in_many_more_ways_is_read_or_refused_in_one_line(name: str) -> None:
    assert watched((name, seed) for seed in range(CASES, CASES + MORE_CASES))[name].faults == []
