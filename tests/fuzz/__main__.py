"""Damaged files by the thousand: whatever is done to a file, it is read, or refused in one line.

    python -m tests.fuzz                                           a hundred cases of every format
    python -m tests.fuzz --cases 2000                              more of each
    python -m tests.fuzz --format "Meta" --seed 4711 --cases 1     one that was found before

A case is a format and a seed. Exit code 1 where a case was neither read nor refused, took over 5 s or over 500 MB.
"""

import argparse
import sys
import time

from tests.fuzz.formats import FORMATS
from tests.fuzz.watch import watched


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=100, help="of each format")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--format", choices=FORMATS, action="append")
    arguments = parser.parse_args()
    faults, total, begun = [], 0, time.monotonic()
    for name in arguments.format or FORMATS:
        start = time.monotonic()
        found = watched((name, arguments.seed + n) for n in range(arguments.cases))[name]
        counts = ", ".join(f"{count} {what}" for what, count in sorted(found.counts.items()))
        print(f"{name:32} {counts:45} {time.monotonic() - start:6.1f} s", flush=True)
        for fault in found.faults:
            print("   ", fault, flush=True)
        faults += found.faults
        total += sum(found.counts.values())
    print(f"{total} cases, {len(faults)} faults, {time.monotonic() - begun:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
