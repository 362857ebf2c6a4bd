"""Each family's file is complete and consistent with the model it builds."""

import dataclasses
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from model_core.checkpoint import empty_model
from model_core.config import LARGEST, flag, needed
from model_core.errors import InputError
from model_core.families import FAMILIES, family_of
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from tests.model_core.reference import CONFIGS

GPT2 = GPT2Config(vocab_size=61, width=16, layers=2, heads=2, hidden=24, context=12)
LLAMA = LlamaConfig(vocab_size=61, width=16, layers=2, heads=4, kv_heads=2, hidden=24, context=12, head_dim=4)


def test_families_are_found_by_their_files() -> None:
    assert {"gpt2", "llama"} <= FAMILIES.keys()
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.title
        assert len(family.about.splitlines()) > 3


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
        (GPT2, {"tied": None}, "'tied' is None, not of type bool"),
        (GPT2, {"eps": "small"}, "'eps' is 'small', not a positive number"),
        (LLAMA, {"kv_heads": 8}, "4 query heads cannot share 8 key/value heads"),
        (LLAMA, {"head_dim": 3}, "odd"),
        (LLAMA, {"theta": float("inf")}, "'theta' is inf"),
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
