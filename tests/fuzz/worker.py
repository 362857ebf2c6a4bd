"""Does the cases that it is told of, one after the other: a line of JSON in, a line out. A process of its own.

What a case does to the process, its watcher (watch.py) sees from outside: it may hang, end, or take all memory.
"""

import json
import os
import sys
import warnings
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def outcome(name: str, seed: int) -> str:
    """ "read", "refused", or what else came of it."""
    from model_core.api.errors import InputError
    from model_core.api.plain_text import one_line
    from tests.fuzz.formats import FORMATS, lay, scratch

    format = FORMATS[name]
    with scratch() as folder:
        lay(case(name, seed), folder)
        try:
            format.use(folder)
        except InputError as error:
            # What is strange in it is written out where it is shown.
            if "\n" in str(error) or not one_line(str(error)):
                return f"no one line: {str(error)[:300]!r}"
            return "refused"
        except BaseException as error:  # a panic of a library in Rust is no Exception
            return f"{type(error).__name__}: {str(error)[:300]}"
    return "read"


def case(name: str, seed: int) -> dict[str, bytes]:
    """The files of a case, one of them damaged."""
    from tests.fuzz.formats import FORMATS
    from tests.fuzz.mutations import mutated

    format = FORMATS[name]
    files = valid(name)
    random = Random(f"{name} {seed}")
    # Most of what can be wrong stands in what says how the rest is to be read.
    open_ = [file for file in files if file not in format.kept]
    damaged = random.choice(open_)
    return files | {damaged: mutated(random, files[damaged])}


FILES: dict[str, dict[str, bytes]] = {}


def valid(name: str) -> dict[str, bytes]:
    from tests.fuzz.formats import FORMATS

    if name not in FILES:
        FILES[name] = FORMATS[name].files()
    return dict(FILES[name])


@cache
def used_once(name: str) -> None:
    """Use a valid case: what is imported and opened at the first use is no part of any case's time and memory."""
    from tests.fuzz.formats import FORMATS, lay, scratch

    with scratch() as folder:
        lay(valid(name), folder)
        FORMATS[name].use(folder)


def main() -> None:
    warnings.simplefilter("error")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")

    from tests.fuzz.formats import FORMATS

    for line in sys.stdin:
        name, seed = json.loads(line)
        assert name in FORMATS, name
        used_once(name)
        say(begun=seed)
        say(seed=seed, outcome=outcome(name, seed))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
