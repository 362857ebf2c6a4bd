"""Models without training are made from a configuration and a seed, like a checkpoint's."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model_core.api.errors import Cancelled, DoesNotFit, InputError
from model_core.families.first_weights import initialise
from model_core.families.registry import FAMILIES
from model_core.sources.presets import open_model
from model_core.system import devices

pytestmark = pytest.mark.unit

SMALL = ["layers=2", "width=32", "heads=4", "hidden=48", "context=64"]


def refused(model: str, **how: Any) -> str:
    with pytest.raises(InputError) as error:
        open_model(model, **how)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.process
def test_every_effort_moves_gpt2_without_any_weights() -> None:
    loaded = open_model("untrained:gpt2/124M", config=["layers=2", "width=64", "heads=4", "hidden=128"])
    tokens = loaded.tokenizer.encode("Every effort moves you")
    assert tokens == [6109, 3626, 6100, 345]
    assert loaded.model(torch.tensor([tokens])).shape == (1, 4, 50257)
    assert (loaded.name, loaded.path, loaded.family.name) == ("gpt2/124M, untrained", None, "gpt2")
    assert not loaded.model.training


def test_weights_are_those_that_training_begins_from() -> None:
    loaded = open_model("untrained:gpt2/124M", config=[*SMALL, "vocab_size=61", "seed=5"])
    model = FAMILIES["gpt2"].build(loaded.model.config)
    initialise(model, 5)
    for (name, ours), expected in zip(loaded.model.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, expected), name


def test_seed_changes_every_matrix_and_the_same_seed_none() -> None:
    first, again, other = (
        dict(
            open_model(
                "untrained:gpt2/124M", config=[*SMALL, "vocab_size=61", f"seed={seed}"]
            ).model.named_parameters()
        )
        for seed in (0, 0, 1)
    )
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        assert torch.equal(weight, other[name]) == (weight.ndim == 1)


def test_another_dtype_rounds_the_same_numbers() -> None:
    config = [*SMALL, "vocab_size=61"]
    exact, rounded = (
        open_model("untrained:gpt2/124M", "cpu", d, config=config) for d in ("float32", "bfloat16")
    )
    for a, b in zip(exact.model.parameters(), rounded.model.parameters(), strict=True):
        assert torch.equal(a.bfloat16(), b)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_opens_at_a_published_size_made_small(family: str) -> None:
    size, config = next(iter(FAMILIES[family].published.items()))
    small = ["layers=2", "width=32", "heads=4", "hidden=48", "context=64", "vocab_size=61"]
    small += [
        f"{name}={value}" for name, value in (("kv_heads", 2), ("head_dim", 8)) if hasattr(config, name)
    ]
    loaded = open_model(f"untrained:{family}/{size}", config=small)
    assert (loaded.model.config.layers, loaded.model.config.width) == (2, 32)
    tokens = torch.arange(10)[None]
    others = [tokens] * (len(loaded.model.inputs) - 1)
    assert loaded.model.reader(*others)(tokens, None).isfinite().all()


def test_windows_of_mistral_follow_the_number_of_layers() -> None:
    small = ["width=32", "heads=4", "kv_heads=2", "head_dim=8", "hidden=48", "vocab_size=61"]
    for layers in (2, 40):
        config = open_model("untrained:mistral/7B", config=[*small, f"n_layers={layers}"]).model.config
        assert len(config.windows) == layers
    config = open_model("untrained:mistral/7B", config=[*small, "layers=2", "windows=5,none"]).model.config
    assert config.windows == (5, None)


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        ("untrained:", [], "there is no family ''; untrained models are of gpt2"),
        ("untrained:bert/base", [], "there is no family 'bert'"),
        ("untrained:gpt2", [], "GPT-2 was not published as '': choose one of untrained:gpt2/124M"),
        ("untrained:gpt2/7B", [], "GPT-2 was not published as '7B'"),
        ("untrained:gpt2/124M", ["heads=7"], "cannot be: a width of 768 cannot be split into 7 heads"),
        ("untrained:gpt2/124M", ["seed=first"], "seed=first: seed is a whole number"),
        ("untrained:gpt2/124M", ["seed=-1"], "seed=-1: seed is a whole number"),
        ("untrained:gpt2/124M", ["layers=1000000"], "1000000 layers of 12 heads: 20000 in all are the most"),
        ("untrained:mini/tiny", ["heads=100000", "width=100000"], "20000 in all are the most"),
        ("untrained:gpt2/124M", ["width=134217728", "hidden=99999999", "heads=1"], "GB free"),
        ("nothing", [], "a checkpoint's path, or untrained:family/size"),
    ],
)
def test_what_makes_no_model_ends_in_one_line(model: str, config: list[str], message: str) -> None:
    assert message in refused(model, config=config)


def test_model_that_does_not_fit_is_refused_before_a_weight_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 300000 kB\n")
    monkeypatch.setattr(devices, "MEMINFO", meminfo)
    with pytest.raises(DoesNotFit, match=r"needs 0\.5 GB, but cpu has 0\.3 GB free"):
        open_model("untrained:gpt2/124M")
    said: list[str] = []
    config = ["layers=2", "vocab_size=100"]
    open_model("untrained:gpt2/124M", dtype="float16", config=config, needs=said.append)
    assert said == ["needs 30.1 MB, 0.3 GB free"]


def test_progress_rises_to_one_and_cancel_stops() -> None:
    shares: list[float] = []
    open_model("untrained:gpt2/124M", config=[*SMALL, "vocab_size=61"], progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    with pytest.raises(Cancelled):
        open_model("untrained:gpt2/124M", config=SMALL, cancelled=lambda: True)
