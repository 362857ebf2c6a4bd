"""Whatever a configuration, a description, a record or a checkpoint is changed to: it is read, or refused in one line.

The corpus are files as they should be; what is put in is what JSON, TOML and pickles can spell and nobody should.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_core.api.errors import InputError
from model_core.api.recipe import Recipe
from model_core.api.run_files import DESCRIPTION
from model_core.checkpoint.formats import native
from model_core.checkpoint.formats.meta import PARAMS
from model_core.checkpoint.opening import open_checkpoint
from model_core.sources import growth
from model_core.training.plan import of_file
from model_core.training.run_folder import RunFolder, done_in, held_out_in
from tests.support.models import tiny

pytestmark = pytest.mark.unit

MOST_KB = 500_000
STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Half a second a case on a busy machine: the conftest's profiles say how many there are.
readers = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def within_memory() -> Iterator[None]:
    """Fails a test that takes more than half a gigabyte, though it gave it back, and whatever others took before."""
    PEAK.write_text("5")  # the highest of this process is what it has now
    before = kilobytes("VmRSS")
    yield
    assert kilobytes("VmHWM") - before < MOST_KB


def kilobytes(what: str) -> int:
    """A number of the process's memory, as Linux counts it."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(what))


@pytest.mark.parametrize("again", range(2))
def test_memory_that_was_given_back_is_counted_and_not_that_of_a_test_before(again: int) -> None:
    PEAK.write_text("5")
    before = kilobytes("VmRSS")
    assert kilobytes("VmHWM") - before < 10_000
    content = b"x" * 100_000_000
    del content
    assert kilobytes("VmHWM") - before > 90_000


numbers = st.sampled_from([0, -1, 1, 2, 4.0, 4.5, 2**28, 2**31, 2**63, 10**400, -0.0, 1e-320, 1e300, 3])
odd = st.sampled_from(
    [float("inf"), float("-inf"), float("nan"), True, False, None, "", "4", "llama", [], {}, [[1]]]
).map(copy.deepcopy)  # it is changed in its place
anything = st.recursive(
    numbers | odd,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=2),
)


@st.composite
def changed(draw: st.DrawFn, whole: Any) -> Any:
    """A value of JSON in which something is replaced, left away, or put in."""
    content = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        content = changed_once(draw, content)
    return content


def changed_once(draw: st.DrawFn, content: Any) -> Any:
    if not isinstance(content, dict | list) or not content or draw(st.integers(0, 9)) == 0:
        return draw(anything)
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    key = draw(st.sampled_from(keys))
    what = draw(st.sampled_from(["change", "change", "change", "drop", "add"]))
    if what == "drop":
        del content[key]
    elif what == "add" and isinstance(content, dict):
        content[draw(st.text(max_size=5))] = draw(anything)
    else:
        content[key] = changed_once(draw, content[key])
    return content


def read_or_refused(read: Callable[[], object]) -> None:
    message = ""
    try:
        read()
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 1500


HF: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 1,
        "intermediate_size": 8,
        "vocab_size": 8,
        "max_position_embeddings": 8,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 1e4,
            "factor": 2.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 4,
        },
    },
    "gpt2": {"n_embd": 8, "n_head": 2, "n_layer": 1, "n_inner": 8, "n_positions": 8, "vocab_size": 8},
}
HF["qwen2"] = {**HF["llama"], "rope_parameters": None, "use_sliding_window": True, "max_window_layers": 0}
HF["mistral"] = {**HF["llama"], "rope_parameters": None, "sliding_window": 4}
HF["qwen3"] = {**HF["llama"], "rope_parameters": None, "head_dim": 4, "layer_types": ["sliding_attention"]}


@pytest.mark.parametrize("kind", HF)
@readers
@given(data=st.data())
def test_any_config_json_is_read_or_refused(kind: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("model")
    content = data.draw(changed({"model_type": kind, **HF[kind]}))
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    read_or_refused(lambda: open_checkpoint(folder))


@pytest.mark.parametrize("family", ["llama", "mini", "gpt2", "qwen2", "seq2seq"])
@readers
@given(data=st.data())
@pytest.mark.process
def test_any_manifest_is_read_or_refused(family: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("model")
    tiny.save(folder, family, tokenizer=None)
    whole = json.loads((folder / native.MANIFEST).read_text())
    content = data.draw(
        changed(whole["config"]).map(lambda config: whole | {"config": config}) | changed(whole)
    )
    (folder / native.MANIFEST).write_text(json.dumps(content))
    read_or_refused(lambda: open_checkpoint(folder))


@readers
@given(data=st.data())
def test_any_params_json_is_read_or_refused(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("model")
    whole = {
        "dim": 8,
        "n_layers": 1,
        "n_heads": 2,
        "n_kv_heads": 1,
        "multiple_of": 4,
        "ffn_dim_multiplier": 1.3,
        "norm_eps": 1e-5,
        "rope_theta": 1e4,
        "vocab_size": 8,
        "use_scaled_rope": True,
    }
    (folder / PARAMS).write_text(json.dumps(data.draw(changed(whole))))
    tensors = {
        "tok_embeddings.weight": torch.zeros(8, 8),
        "layers.0.feed_forward.w1.weight": torch.zeros(8, 8),
    }
    torch.save(tensors, folder / "consolidated.00.pth")
    read_or_refused(lambda: open_checkpoint(folder))


DESCRIBED: dict[str, Any] = {
    "family": "mini",
    "name": "mine",
    "task": "text",
    "config": {
        "vocab_size": 9,
        "width": 16,
        "layers": 2,
        "heads": 2,
        "hidden": 32,
        "context": 16,
        "dropout": 0.1,
    },
    "recipe": {
        "steps": 18,
        "batch": 4,
        "length": 16,
        "lr": 1e-3,
        "held_out": [1, 2],
        "kept": [0],
        "repeats": 0.2,
    },
}


@readers
@given(content=changed(DESCRIBED))
def test_any_description_in_json_is_read_or_refused(content: Any, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    path.write_text(json.dumps(content))
    read_or_refused(lambda: of_file(path).check_room("cpu"))


TOML = """family = "mini"
[config]
vocab_size = 9
width = 16
layers = 2
heads = 2
hidden = 32
context = 16
[recipe]
steps = 18
held_out = [1, 2]
"""
TOML_VALUES = [
    *("1979-05-27T07:32:00Z", "1979-05-27", "07:32:00", "inf", "nan", "-inf", "true", "''", "{a = 1}", "[]"),
    *("0x" + "f" * 5000, "9" * 5000, "[" * 2000 + "]" * 2000, "[" * 150 + "]" * 150, "-1", "1e999", "1_000"),
    *("18.0", "[[1], 2]"),
]


@readers
@given(data=st.data())
def test_any_description_in_toml_is_read_or_refused(data: st.DataObject, tmp_path_factory: Any) -> None:
    lines = TOML.splitlines()
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(lines) - 1))
        name = lines[at].partition(" ")[0]
        value = data.draw(st.sampled_from(TOML_VALUES) | st.text(max_size=5))
        lines[at] = data.draw(
            st.sampled_from([f"{name} = {value}", f"{name}.a = {value}", value, f"[{name}.b]"])
        )
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    read_or_refused(lambda: of_file(path).check_room("cpu"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("steps = 0x" + "f" * 5000, "steps is a number of thousands of digits, larger than any that is used"),
        ("steps = " + "9" * 5000, "is not TOML"),
        ("steps = 1979-05-27", "steps is datetime.date(1979, 5, 27), not a whole number"),
        (".".join("a" * 20_000) + " = 1", "has a line of more than 100 dots"),
        *(
            ((".".join("a" * 99) + f'."{end}".') * 600 + "b = 1", "has a line of more than 100 dots")
            for end in "\u0085\u2028\u2029"
        ),
        ("steps = " + "[" * 2000 + "]" * 2000, "is not TOML"),
        ("steps = " + "[" * 150 + "]" * 150, "has lists or objects more than 100 deep in each other"),
        ("# " + "x" * (1 << 18), "such a file may have at most 131,072"),
    ],
)
def test_what_toml_can_spell_and_nobody_should_is_one_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TOML.replace("steps = 18", line), encoding="utf-8")
    with pytest.raises(InputError) as error:
        of_file(path)
    assert message in str(error.value)
    assert "plan.toml" in str(error.value)


MOMENTS = [
    {"step": step, "tokens": 8 * step, "scores": {"previous": [[0.5, 0.25]], "induction": [[0.1, 0.2]]}}
    for step in (0, 4)
]


@readers
@given(content=changed(MOMENTS))
def test_any_record_of_growth_is_read_or_refused(content: Any, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("grown")
    (folder / growth.FILE).write_text(json.dumps(content))
    read_or_refused(
        lambda: [torch.tensor(table) for m in growth.moments(folder) for table in m.scores.values()]
    )


@readers
@given(content=changed({"run": {"name": "a", "recipe": vars(Recipe(steps=3))}, "done": {"seconds": 1.0}}))
def test_any_description_of_a_training_is_read_or_refused(content: Any, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("trained")
    (folder / DESCRIPTION).write_text(json.dumps(content))
    read_or_refused(lambda: held_out_in(folder))
    done_in(folder)
    read_or_refused(lambda: RunFolder(folder, {"name": "a", "recipe": {"steps": 3}}))


@readers
@given(data=st.data())
@pytest.mark.process
def test_any_header_of_safetensors_is_read_or_refused(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("model")
    tiny.save(folder, "llama", tokenizer=None)
    whole = (folder / native.WEIGHTS).read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.dumps(data.draw(changed(json.loads(whole[8 : 8 + size])))).encode()
    claimed = data.draw(st.sampled_from([len(header), len(header) - 1, 2**24 - 1, 2**63, 0]))
    (folder / native.WEIGHTS).write_bytes(claimed.to_bytes(8, "little") + header + whole[8 + size :])
    read_or_refused(lambda: open_checkpoint(folder))
