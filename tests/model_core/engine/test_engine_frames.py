"""Whatever comes over the pipe, the engine lives, faults nowhere, and answers what was asked."""

from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import hypothesis
import pytest

from model_core.api.protocol import BadFrame, Frame, FrameReader, encode_bytes, hello
from model_core.engine.questions.registry import QUESTIONS
from tests.support.engine.engine_process import Process
from tests.support.hostile.frame_cases import FIRST_ID, QUERIES, asks, malformed
from tests.support.models.tiny import save

pytestmark = pytest.mark.process

SEED = 20260
CASES = 10 * hypothesis.settings().max_examples  # of each; HYPOTHESIS_PROFILE=thorough has 10,000
AT_ONCE = 10


def test_every_question_is_among_the_asks() -> None:
    assert {kind for kind, _ in QUERIES} == {kind.kind for kind in QUESTIONS}


def test_malformed_frames_fault_nowhere_and_every_ask_among_them_is_answered(tmp_path: Path) -> None:
    models = [save(tmp_path / family, family) for family in ("llama", "gpt2")]
    process = Process("-m", "model_core.cli", "engine", log=tmp_path / "log")
    bad, good, random = malformed(SEED), asks(SEED, models), Random(SEED)
    answered: Counter[int] = Counter()
    for batch in range(CASES // AT_ONCE):
        pieces = [[piece] for piece in islice(bad, AT_ONCE)] + list(islice(good, AT_ONCE))
        random.shuffle(pieces)
        first = FIRST_ID + batch * AT_ONCE
        process.write(*(piece for group in pieces for piece in group), hello(10**6 + batch))
        frames = process.until("hello", 10**6 + batch)
        faults = [frame.fields["message"] for frame in frames if frame.fields.get("fault")]
        assert faults == []
        answered.update(
            frame.id
            for frame in frames
            if frame.kind == "done" or (frame.kind == "error" and frame.fields["scene"] is None)
        )
        ids = range(first, first + AT_ONCE)
        assert [answered[id] for id in ids] == [1] * AT_ONCE
    assert process.end() == 0
    assert "Traceback" not in process.log.read_text()


def test_no_malformed_frame_takes_a_good_one_with_it() -> None:
    reader = FrameReader()
    for number, piece in enumerate(islice(malformed(SEED), CASES)):
        came = reader.feed(piece + encode_bytes(Frame("good", number)))
        last = came[-1]
        assert not isinstance(last, BadFrame)
        assert (last.kind, last.id) == ("good", number)
