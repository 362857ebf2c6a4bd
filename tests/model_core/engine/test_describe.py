"""What forms and panels are told of families, configurations and models is what the models are."""

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from model_core.checkpoint import said
from model_core.checkpoint.building import empty_model
from model_core.engine import describe
from model_core.families.registry import FAMILIES
from model_core.sources.presets import NAMES, folder_of, open_model, preset_named
from model_core.training.run_folder import done_in
from tests.support.models.tiny import save

pytestmark = pytest.mark.unit

SIZES = [(name, size) for name, family in FAMILIES.items() for size in family.published]


def test_families_are_plain_json() -> None:
    assert json.loads(json.dumps(describe.families())) == describe.families()


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_words_of_a_published_size_say_it_again(name: str, size: str) -> None:
    family = FAMILIES[name]
    words = describe.families()[name]["published"][size]
    assert family.config(**said.values(family, words)) == family.published[size]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_form_has_every_field_of_a_configuration(name: str) -> None:
    form: list[dict[str, Any]] = describe.families()[name]["fields"]
    assert [field["name"] for field in form] == list(get_type_hints(FAMILIES[name].config))
    assert all(field["choices"] for field in form if field["kind"] == "choice")


@pytest.mark.parametrize(
    ("model", "config", "parameters"),
    [
        ("untrained:gpt2/124M", [], 124_439_808),
        ("untrained:gpt2/1558M", [], 1_557_611_200),
        ("untrained:gpt2/124M", ["tied=false"], 124_439_808 + 50257 * 768),
        ("untrained:gpt2/124M", ["layers=11", "seed=7"], 124_439_808 - 7_087_872),
    ],
)
def test_the_parameters_of_a_configuration_are_those_of_the_published_model(
    model: str, config: list[str], parameters: int
) -> None:
    size = describe.size(model, config, "cpu")
    assert size["error"] == ""
    assert size["parameters"] == parameters
    assert size["bytes"]["float32"] == 2 * size["bytes"]["bfloat16"] == 4 * parameters


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (["heads=7"], "a width of 768 cannot be split into 7 heads"),
        (["seed=-1"], "seed is a whole number"),
        (["colour=red"], "has no 'colour'"),
        (["layers=100000000"], "choose fewer layers or heads"),
    ],
)
@pytest.mark.process
def test_a_configuration_that_makes_no_model_is_said_so(config: list[str], words: str) -> None:
    size = describe.size("untrained:gpt2/124M", config, "cpu")
    assert size["parameters"] is None
    assert words in size["error"]
    assert "\n" not in size["error"]


@pytest.mark.parametrize("model", ["tales-llama", "untrained:mini/tiny"])
def test_the_parts_of_a_model_are_all_of_it(model: str) -> None:
    loaded = open_model(model)
    facts = describe.architecture(loaded)
    assert sum(part["parameters"] for part in facts["parts"]) == loaded.model.parameter_count
    assert sum(part["bytes"] for part in facts["parts"]) == facts["bytes"]
    assert all(part["part"] != "other" for part in facts["parts"])
    assert facts["config"]["width"] == str(loaded.model.config.width)


def test_shared_weights_are_named_and_count_once() -> None:
    tied = describe.architecture(open_model("tales-llama"))
    assert tied["shared"] == [["embed.weight", "head.weight"]]
    assert all(part["part"] != "head" for part in tied["parts"])
    assert describe.architecture(open_model("untrained:mini/tiny"))["shared"] == []


def test_parts_of_two_stacks_are_told_apart() -> None:
    facts = describe.architecture(open_model("untrained:seq2seq/tiny", config=["layers=1"]))
    assert {(part["stack"], part["part"]) for part in facts["parts"]} >= {
        ("encoder", "attn"),
        ("decoder", "attn"),
        ("decoder", "cross"),
    }


def test_a_bundled_model_is_placed_among_the_bundled_files_and_on_no_machine() -> None:
    told = describe.architecture(open_model("tales-llama"))
    assert (told["bundled"], told["path"]) == (True, "presets/tales-llama")


def test_a_checkpoint_is_placed_where_it_lies(tmp_path: Path) -> None:
    told = describe.architecture(open_model(save(tmp_path / "model", "llama")))
    assert (told["bundled"], told["path"]) == (False, str(tmp_path / "model"))


def test_presets_say_what_they_are_and_how_good() -> None:
    facts, damaged = describe.presets()
    assert list(json.loads(json.dumps(facts))) == list(NAMES)
    assert damaged == {}
    for name in NAMES:
        preset, known = preset_named(name), facts[name]
        assert known["about"] == preset.about
        assert known["recipe"]["steps"] == preset.recipe.steps
        assert known["parameters"] == empty_model(FAMILIES[preset.family], preset.config).parameter_count
        done = done_in(folder_of(name))
        assert bool(known["quality"]) == bool(known["data"]) == bool(done)
        if "bits_per_byte" in done.get("measured", {}):
            assert known["quality"].startswith(f"{done['measured']['bits_per_byte']:.2f} bits per byte")


def test_measures_are_words_and_those_that_are_none_say_nothing() -> None:
    assert describe.quality({"bits_per_byte": 1.7789, "induction": 0.98, "other": 3}) == (
        "1.78 bits per byte, induction 0.98"
    )
    assert (
        describe.quality({"exact": 0.998, "alignment": 0.957})
        == "99.80% of unseen dates right, alignment 95.7%"
    )
    assert describe.quality({}) == describe.quality({"exact": None}) == ""  # type: ignore[dict-item]
    assert describe.quality({"exact": 10**400}) == ""


@pytest.mark.parametrize("text", ["", "[]", '{"done": 3}', '{"run": {}}'])
def test_a_folder_that_says_nothing_of_its_training_has_nothing_to_show(text: str, tmp_path: Path) -> None:
    assert done_in(tmp_path) == {}
    (tmp_path / "training.json").write_text(text)
    assert done_in(tmp_path) == {}
