"""Each family's file is complete and consistent with the model it builds."""

import dataclasses
import re
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from model_core.api.errors import InputError
from model_core.checkpoint.building import empty_model
from model_core.families.config import LARGEST, flag, needed
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from model_core.families.qwen3 import Qwen3Config
from model_core.families.registry import FAMILIES, family_of
from tests.support.models.reference import CONFIGS, FULL, LLAMA3, SLIDING, llama, mistral, qwen2, qwen3

pytestmark = pytest.mark.unit

GPT2 = GPT2Config(vocab_size=61, width=16, layers=2, heads=2, hidden=24, context=12)
LLAMA = LlamaConfig(vocab_size=61, width=16, layers=2, heads=4, kv_heads=2, hidden=24, context=12, head_dim=4)

QWEN3 = Qwen3Config(vocab_size=61, width=16, layers=2, heads=4, kv_heads=2, hidden=24, context=12, head_dim=8)


def test_families_are_found_by_their_files() -> None:
    assert {"gpt2", "llama", "mini", "mistral", "qwen2", "qwen3", "seq2seq"} <= FAMILIES.keys()
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.title


@pytest.mark.parametrize("name", FAMILIES)
def test_family_says_in_short_paragraphs_what_makes_it_different(name: str) -> None:
    first, *others = FAMILIES[name].about.strip().split("\n\n")
    assert re.fullmatch(r"[^\n]+: [^\n]+\.", first)
    assert others[0].startswith("Against ") or others[1].startswith("Against ")
    assert all(len(paragraph.splitlines()) <= 6 for paragraph in others)
    assert re.search(r"20\d\d", others[-1])  # whose paper it is


def test_configuration_knows_its_family() -> None:
    assert family_of(GPT2) is FAMILIES["gpt2"]
    assert family_of(LLAMA) is FAMILIES["llama"]


@pytest.mark.parametrize("name", CONFIGS)
def test_weight_map_names_exactly_the_parameters(name: str) -> None:
    hf = CONFIGS[name].to_dict()
    family = next(family for family in FAMILIES.values() if hf["model_type"] in family.hf_types)
    config = family.from_hf(hf)
    parameters = [name for name, _ in empty_model(family, config).named_parameters()]
    assert set(family.hf_weights(config)) == set(parameters)


@pytest.mark.parametrize("name", CONFIGS)
def test_model_has_as_many_parameters_as_the_reference(name: str) -> None:
    with torch.device("meta"):
        theirs = AutoModelForCausalLM.from_config(CONFIGS[name])
    hf = CONFIGS[name].to_dict()
    family = next(family for family in FAMILIES.values() if hf["model_type"] in family.hf_types)
    assert empty_model(family, family.from_hf(hf)).parameter_count == theirs.num_parameters()


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (GPT2, {"width": 15}, "width of 15 cannot be split into 2 heads"),
        (GPT2, {"heads": 0}, "'heads' is 0"),
        (GPT2, {"hidden": -1}, "'hidden' is -1"),
        (GPT2, {"context": 1.5}, "'context' is 1.5"),
        (GPT2, {"vocab_size": LARGEST + 1}, f"from 1 to {LARGEST}"),
        (GPT2, {"tied": None}, "'tied' is None, not true or false"),
        (GPT2, {"eps": "small"}, "'eps' is 'small', not a positive number"),
        (GPT2, {"qkv_bias": 0}, "'qkv_bias' is 0, not true or false"),
        (GPT2, {"dropout": 1}, "'dropout' is 1, not a share from 0 to below 1"),
        (GPT2, {"dropout": None}, "'dropout' is None, not a share from 0 to below 1"),
        (LLAMA, {"kv_heads": 8}, "4 query heads cannot share 8 key/value heads"),
        (LLAMA, {"head_dim": 3}, "odd"),
        (LLAMA, {"theta": float("inf")}, "'theta' is inf"),
        (LLAMA, {"high_freq_factor": 1.0}, "low_freq_factor of 1.0 is not below the high_freq_factor of 1.0"),
        (LLAMA, {"rope_factor": 0.0}, "'rope_factor' is 0.0"),
        (QWEN3, {"windows": (4,)}, "'windows' has 1 entries for 2 layers"),
        (QWEN3, {"windows": (4, 0)}, "'windows' is 0, not a whole number"),
        (QWEN3, {"windows": 4}, "'windows' is 4, not a list"),
        (QWEN3, {"bias": 1}, "'bias' is 1, not true or false"),
    ],
)
def test_sizes_that_make_no_model_are_refused(config: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **changes)


def test_head_width_need_not_divide_the_width_where_it_is_given() -> None:
    config = dataclasses.replace(LLAMA, width=18, head_dim=6)
    assert empty_model(FAMILIES["llama"], config)(
        torch.zeros(1, 5, dtype=torch.long, device="meta")
    ).shape == (1, 5, 61)


WINDOWED = {"use_sliding_window": True, "sliding_window": 7}


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        (qwen2(), ()),
        (qwen2(sliding_window=7, max_window_layers=0), ()),
        (qwen2(**WINDOWED), ()),
        (qwen2(**WINDOWED, max_window_layers=0), (7, 7, 7)),
        (qwen2(**WINDOWED, max_window_layers=2), (None, None, 7)),
        (qwen2(**WINDOWED, max_window_layers=3), ()),
        (qwen2(**WINDOWED, layer_types=[SLIDING, FULL, SLIDING]), (7, None, 7)),
        (qwen3(**WINDOWED, max_window_layers=1), (None, 7, 7)),
        (mistral(), (4096, 4096, 4096)),
        (mistral(sliding_window=9), (9, 9, 9)),
        (mistral(sliding_window=None), ()),
    ],
)
def test_windows_are_those_of_the_configuration(config: PreTrainedConfig, windows: tuple[Any, ...]) -> None:
    hf = config.to_dict()
    assert FAMILIES[hf["model_type"]].from_hf(hf).windows == windows


@pytest.mark.parametrize("first", [0, 1, 2, 3, 28])
@pytest.mark.parametrize("family", [qwen2, qwen3])
def test_windows_of_a_file_without_layer_types_begin_where_it_says(family: Any, first: int) -> None:
    for on in (WINDOWED, {"sliding_window": 7}, {}):
        hf = family(**on, max_window_layers=first).to_dict()
        read = FAMILIES[hf["model_type"]].from_hf
        assert hf.pop("layer_types").count(SLIDING) == len([w for w in read(hf).windows if w])
        assert read(hf).windows == (
            (None,) * first + (7,) * (3 - first) if on is WINDOWED and first < 3 else ()
        )


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (qwen2(), {"rope_parameters": LLAMA3}, "rope scaling 'llama3'; here rope is unscaled"),
        (llama(), {"rope_parameters": {"rope_type": "yarn"}}, "'yarn'; here rope is unscaled or llama3"),
        (llama(), {"rope_parameters": LLAMA3 | {"factor": None}}, "config.json has no 'factor'"),
        (llama(), {"rope_parameters": LLAMA3 | {"high_freq_factor": "4"}}, "'high_freq_factor' is '4'"),
        (llama(), {"rope_parameters": LLAMA3 | {"high_freq_factor": 0.5}}, "is not below the high_freq"),
        (qwen2(), {"layer_types": [SLIDING] * 3}, "has sliding_attention, but no sliding_window is in use"),
        (qwen2(), {"layer_types": ["chunked"] * 3}, "not a list of sliding_attention and full_attention"),
        (qwen2(**WINDOWED), {"layer_types": [SLIDING]}, "'windows' has 1 entries for 3 layers"),
        (qwen2(), {"use_sliding_window": "yes"}, "'use_sliding_window' is 'yes'"),
        (mistral(), {"sliding_window": 0}, "'sliding_window' is 0"),
        (mistral(), {"sliding_window": 5, "num_hidden_layers": 2**20}, "1048576 layers with a window"),
        (qwen3(), {"attention_bias": 1}, "'attention_bias' is 1, not true or false"),
    ],
)
def test_configuration_that_cannot_be_followed_is_refused_in_one_line(
    config: PreTrainedConfig, changes: dict[str, Any], message: str
) -> None:
    hf = config.to_dict() | changes
    with pytest.raises(InputError) as error:
        FAMILIES[hf["model_type"]].from_hf(hf)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_llama3_scaling_is_read_from_old_files_and_new() -> None:
    scaling = {key: value for key, value in LLAMA3.items() if key != "rope_theta"}
    new = FAMILIES["llama"].from_hf(llama(rope_parameters=LLAMA3).to_dict())
    plain = llama(tie_word_embeddings=False).to_dict()
    plain.pop("rope_parameters")
    assert FAMILIES["llama"].from_hf(plain | {"rope_theta": 30.0, "rope_scaling": scaling}) == new
    assert (new.rope_factor, new.original_context, new.theta) == (8.0, 20, 30.0)


def test_missing_key_takes_its_default_or_is_named() -> None:
    assert needed({}, "n", int, default=3) == needed({"n": None}, "n", int, default=3) == 3
    with pytest.raises(InputError, match=r"config\.json has no 'n'"):
        needed({}, "n", int)


def test_whole_number_may_be_written_as_a_float() -> None:
    value = needed({"n": 4.0}, "n", int)
    assert value == 4
    assert isinstance(value, int)


@pytest.mark.parametrize("value", ["4", 4.5, 0, -4, True, [4], {}, float("nan"), float("inf"), 10**400])
def test_value_that_is_no_size_is_named(value: object) -> None:
    with pytest.raises(InputError, match=r"config\.json: 'n' is "):
        needed({"n": value}, "n", int)


@pytest.mark.parametrize("value", ["1", 0, -1.0, True, float("nan"), float("inf"), 10**400])
def test_value_that_is_no_positive_number_is_named(value: object) -> None:
    with pytest.raises(InputError, match=r"config\.json: 'x' is "):
        needed({"x": value}, "x", float)


def test_switch_is_true_or_false() -> None:
    assert flag({}, "on", True)
    assert not flag({"on": False}, "on", True)
    with pytest.raises(InputError, match="'on' is 'yes', not true or false"):
        flag({"on": "yes"}, "on", True)
