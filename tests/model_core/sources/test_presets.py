"""A preset is what its folder says: its recipe lies beside its weights, and it opens on the head that it names."""

from pathlib import Path

import pytest
import torch

from model_core.analysis.roles import layer_scores
from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.api.opening import RECIPE, Opening, opening_in
from model_core.api.recipe import Recipe
from model_core.sources import growth
from model_core.sources.description import read_description
from model_core.sources.presets import NAMES, folder_of, open_model, preset_named
from model_core.taps.tap import record
from model_core.training.plan import of_file, of_preset
from model_core.training.run_folder import done_in

pytestmark = pytest.mark.unit

TALES = [name for name in NAMES if name.startswith("tales-")]


def test_every_folder_of_a_preset_has_a_name() -> None:
    assert sorted(NAMES) == sorted(folder.name for folder in asset("presets").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_trained_as_its_own_file_says_when_given_as_a_description(name: str) -> None:
    plan, other = of_preset(name), of_file(folder_of(name) / RECIPE)
    assert (plan.about, plan.family, plan.config, plan.task) == (
        other.about,
        other.family,
        other.config,
        other.task,
    )
    assert plan.recipes == other.recipes
    assert plan.tokenizer.name == other.tokenizer.name
    loaded = open_model(name)
    assert loaded.model.config == plan.config
    assert (loaded.name, loaded.tokenizer.name) == (name, plan.tokenizer.name)


@pytest.mark.parametrize("name", TALES)
def test_the_models_of_tales_learn_in_two_phases_of_which_the_second_repeats_random_tokens_alone(
    name: str,
) -> None:
    assert of_preset(name).recipes == (
        Recipe(
            steps=6000,
            batch=64,
            repeats=0.5,
            embedding=1.0,
            gain=0.05,
            held_out=(14, 15),
            autocast="bfloat16",
        ),
        Recipe(
            steps=300,
            batch=32,
            lr=0.001,
            warmup=20,
            repeats=0.2,
            random_repeats=1.0,
            embedding=1.0,
            gain=0.05,
            held_out=(14, 15),
            autocast="bfloat16",
        ),
    )
    assert done_in(folder_of(name))["tokens"] == 256 * (6000 * 64 + 300 * 32)


@pytest.mark.parametrize("name", [*TALES, "growth"])
def test_a_preset_opens_on_its_own_induction_head(name: str) -> None:
    """In the text it opens with, the head in focus looks more than any other at what followed the same token before."""
    loaded, opening = open_model(name), preset_named(name).opening
    (kind,) = loaded.model.attentions
    tokens = torch.tensor(loaded.tokenizer.encode(opening.prompt))
    with torch.inference_mode(), record(loaded.model, ["*.pattern", "*.masked"]) as trace:
        loaded.model(tokens[None])
    maps = [[trace[kind.site(n, word)][0] for word in ("masked", "pattern")] for n in range(kind.layers)]
    scores = layer_scores(maps, tokens, tokens, kind)["induction"]
    assert divmod(int(scores.argmax()), kind.heads) == (opening.layer, opening.head)
    assert scores.max() > (0.6 if growth.moments(folder_of(name)) else 0.75)


def test_dates_open_on_cross_attention() -> None:
    assert preset_named("dates").opening == Opening("the 3rd of March 1987", "1987-03-03", 1, 0, "cross")


@pytest.mark.parametrize("name", NAMES)
def test_an_opening_that_is_read_alone_is_that_of_the_preset(name: str) -> None:
    assert opening_in(folder_of(name)) == preset_named(name).opening


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("layer = 1.5", "'opening': 'layer' is 1.5, not a whole number from 0 up"),
        ("place = 3", "'opening' has 'place'; it may have prompt, target, layer, head, stack"),
        ("head = true", "'opening': 'head' is True, not a whole number from 0 up"),
    ],
)
def test_an_opening_that_is_none_is_one_line(tmp_path: Path, said: str, message: str) -> None:
    path = tmp_path / RECIPE
    path.write_text(f'family = "llama"\n[recipe]\nsteps = 3\n[opening]\n{said}\n')
    for refuse in (lambda: read_description(path), lambda: opening_in(tmp_path)):
        with pytest.raises(InputError) as error:
            refuse()
        assert str(error.value) == f"{path}: {message}"
