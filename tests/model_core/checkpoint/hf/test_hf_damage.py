"""Whatever is in the files of a folder, the answer is a model or one line."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.checkpoint.opening import open_checkpoint
from tests.support.models.hf_folders import CONFIG, WEIGHTS

pytestmark = pytest.mark.unit


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(2**70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


any_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def opens_or_says_why(folder: Path) -> None:
    message = ""
    try:
        open_checkpoint(folder)
    except InputError as error:
        message = str(error)
    assert "\n" not in message


@any_folder
@given(data=st.data())
@pytest.mark.process
def test_any_value_of_any_config_key_gives_a_model_or_one_line(either: Path, data: st.DataObject) -> None:
    original = (either / CONFIG).read_text()
    config = json.loads(original)
    for key in data.draw(st.lists(st.sampled_from(sorted(config)), min_size=1, max_size=3)):
        config[key] = data.draw(JSON)
    (either / CONFIG).write_text(json.dumps(config))
    opens_or_says_why(either)
    (either / CONFIG).write_text(original)


@any_folder
@given(data=st.data())
def test_any_damage_of_the_header_gives_a_model_or_one_line(either: Path, data: st.DataObject) -> None:
    original = (either / WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(original[:8], "little")
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    (either / WEIGHTS).write_bytes(damaged)
    opens_or_says_why(either)
    (either / WEIGHTS).write_bytes(original)


@any_folder
@given(data=st.data())
@pytest.mark.process
def test_any_entry_of_the_header_gives_a_model_or_one_line(folder: Path, data: st.DataObject) -> None:
    original = (folder / WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(original[:8], "little")
    header = json.loads(original[8:end])
    name = data.draw(st.sampled_from(sorted(header)))
    part = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "other"]))
    value = data.draw(JSON | st.lists(st.integers(0, 2**64), max_size=3))
    assume(isinstance(header[name], dict))
    header[data.draw(st.sampled_from([name, "new"]))] = {**header[name], part: value}
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + original[end:])
    opens_or_says_why(folder)
    (folder / WEIGHTS).write_bytes(original)
