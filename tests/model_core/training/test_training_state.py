"""What a training goes on from is whole to the last bit, or refused in a line; nobody else goes on in its folder."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.files.folder_lock import LOCK, held
from model_core.api.recipe import Recipe
from model_core.api.run_files import DESCRIPTION, LOG, NUMBERS, STATE
from model_core.training.run_folder import CHECKSUM, RunFolder, checksum, done_in, held_out_in
from model_core.training.train import State, moment_shapes, optimizer_for, remember
from tests.support.models.tiny import CONFIGS, built

pytestmark = pytest.mark.unit

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

STEPS = (0, 18)  # where the only phase begins and ends
RUN: dict[str, Any] = {"name": "tiny", "recipe": {"steps": 18, "held_out": [1, 2], "held_out_share": 0.0}}

# What a training in float16 keeps of its gradients.
SCALE = {
    "scale": 65536.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 2000.0,
    "_growth_tracker": 1.0,
}


def model() -> Any:
    return built(CONFIGS["llama"]).requires_grad_(True)


def kept(folder: Path) -> Path:
    """The folder of a training that was kept after a step."""
    one, state = model(), State(step=1, since=1, tokens=8, seconds=0.5, loss_sum=3.0)
    optimizer = optimizer_for(one, Recipe(steps=18))
    one(torch.arange(8)[None]).sum().backward()
    optimizer.step()
    remember(state, one, optimizer, torch.amp.GradScaler("cpu", enabled=False), torch.device("cpu"))
    RunFolder(folder, RUN).keep(one, state)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kept(tmp_path / "made")


def refused(folder: Path) -> str:
    """Why the state is refused; the model is as it was then."""
    one = model()
    before = {name: values.clone() for name, values in one.named_parameters()}
    with pytest.raises(InputError) as error:
        RunFolder(folder, RUN).kept(one, STEPS)
    assert all(torch.equal(before[name], values) for name, values in one.named_parameters())
    assert str(error.value).startswith(f"{folder / STATE} is damaged: ")
    assert str(error.value).endswith("; delete it to begin anew")
    assert "\n" not in str(error.value)
    return str(error.value)


def rewrite(
    folder: Path,
    tensors: Callable[[dict[str, Tensor]], object] = lambda tensors: None,
    numbers: Callable[[dict[str, Any]], object] = lambda numbers: None,
    text: str | None = None,
) -> None:
    """Change the state and give it the checksum that it then has."""
    with safe_open(folder / STATE, framework="pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = json.loads(file.metadata()[NUMBERS])
    tensors(found)
    numbers(said)
    text = json.dumps(said) if text is None else text
    save_file(found, folder / STATE, {NUMBERS: text, CHECKSUM: checksum(found, text)})


def test_what_was_kept_is_given_back(folder: Path) -> None:
    state = RunFolder(folder, RUN).kept(model(), STEPS)
    assert state is not None
    assert (state.step, state.since, state.tokens, state.seconds, state.loss_sum) == (1, 1, 8, 0.5, 3.0)
    assert state.random["cpu"].shape == torch.get_rng_state().shape
    assert state.moments.keys() == moment_shapes(model()).keys()


def test_a_loss_that_is_no_number_is_gone_on_from(folder: Path) -> None:
    # float16 leaves steps out whose loss is NaN, and goes on.
    rewrite(folder, numbers=lambda said: said.update(loss_sum=float("nan")))
    state = RunFolder(folder, RUN).kept(model(), STEPS)
    assert state is not None
    assert state.loss_sum != state.loss_sum


def test_a_flipped_bit_anywhere_in_the_state_is_refused(folder: Path) -> None:
    whole = (folder / STATE).read_bytes()
    with safe_open(folder / STATE, framework="pt") as file:
        moment = file.get_tensor("moments exp_avg_sq blocks.1.mlp.up.weight").numpy().tobytes()
    for at in (whole.index(moment) + 1, len(whole) - 3, whole.index(b"seconds") + 12):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (folder / STATE).write_bytes(damaged)
        assert "its checksum does not match" in refused(folder)


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.pop(name)


def put(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.update({name: value})


def fill(name: str, value: float) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors[name].fill_(value)


MOMENT = "moments exp_avg blocks.0.norm1.weight"
SQUARE = "moments exp_avg_sq blocks.0.norm1.weight"
STEP = "moments step blocks.0.norm1.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop(MOMENT), "its moments exp_avg blocks.0.norm1.weight is not that of this model"),
        (drop("weights embed.weight"), "its weights embed.weight is not that"),
        (put(MOMENT, torch.zeros(7)), "is not that of this model"),
        (put(MOMENT, torch.zeros(24, dtype=torch.float64)), "is not that of this model"),
        (put("more", torch.zeros(7)), "its more is not that of this model"),
        (drop("random cpu"), "it has no random numbers to go on with on cpu"),
        (put("random cpu", torch.zeros(3, dtype=torch.uint8)), "no random numbers to go on with"),
        (put("random cpu", torch.zeros(3)), "its random cpu is not that"),
        (put("random cpu", torch.zeros(1 << 20, dtype=torch.uint8)), "its random cpu is not that"),
        (fill(STEP, -1), "are of step -1, not of one from 1 to 1"),
        (fill(STEP, 0), "are of step 0, not of one from 1 to 1"),
        (fill(STEP, 0.5), "are of step 0.5, not of one from 1 to 1"),
        (fill(STEP, 2), "are of step 2, not of one from 1 to 1"),
        (fill(STEP, float("nan")), "norm1.weight are not all finite numbers"),
        (fill(SQUARE, -1e-9), "are squares, and some are below 0"),
        (fill(SQUARE, float("inf")), "norm1.weight are not all finite numbers"),
        (fill(MOMENT, float("nan")), "norm1.weight are not all finite numbers"),
        (fill("weights embed.weight", float("nan")), "its weights embed.weight are not all finite numbers"),
        (
            lambda found: [found.pop(name) for name in list(found) if name.startswith("moments ")],
            "it is of step 1, but has no moments",
        ),
    ],
)
def test_missing_and_wrong_tensors_are_named(
    change: Callable[[dict[str, Tensor]], object], message: str, folder: Path
) -> None:
    rewrite(folder, tensors=change)
    assert message in refused(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("step", "1", "what it counts: 'step' is '1', not a whole number from 0 up"),
        ("step", 1.5, "'step' is 1.5"),
        ("step", -1, "'step' is -1"),
        ("step", float("inf"), "'step' is inf"),
        ("step", 19, "it is of step 19, but the training has 18"),
        ("tokens", True, "'tokens' is True"),
        ("since", None, "'since' is None"),
        ("seconds", float("nan"), "'seconds' is nan, not a number of seconds"),
        ("seconds", 1e300, "'seconds' is 1e+300"),
        ("loss_sum", "low", "'loss_sum' is 'low', not a number"),
        ("scale", {"scale": 1.0}, "what it says of the scale of gradients is not whole"),
        ("scale", [1], "'scale' is [1], not an object"),
        (
            "scale",
            SCALE | {"scale": 1e308},
            "gradients: 'scale' is 1e+308, not a number that float32 holds",
        ),
        ("scale", SCALE | {"scale": -1}, "'scale' is -1.0, not a number that float32 holds"),
        ("scale", SCALE | {"growth_factor": 1}, "'growth_factor' is 1.0, not a factor above 1"),
        ("scale", SCALE | {"backoff_factor": 1.5}, "'backoff_factor' is 1.5, not a share from 0 to below 1"),
        (
            "scale",
            SCALE | {"growth_interval": 2**64},
            "is 1.8446744073709552e+19, larger than any that is used",
        ),
        ("scale", SCALE | {"growth_interval": 2.5}, "'growth_interval' is 2.5, not a number of steps"),
        (
            "scale",
            SCALE | {"_growth_tracker": 2**31},
            "'_growth_tracker' is 2147483648.0, not a number of steps",
        ),
        ("more", 1, "has 'more'; it may have step"),
        ("moments", {"a": 1}, "'moments' of a is 1"),
    ],
)
def test_wrong_numbers_are_named(name: str, value: object, message: str, folder: Path) -> None:
    rewrite(folder, numbers=put(name, value))
    assert message in refused(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 5000, '{"step": 1e999}', "{}"])
def test_numbers_that_are_none_are_refused(text: str, folder: Path) -> None:
    rewrite(folder, text=text)
    refused(folder)


def test_a_missing_number_is_named(folder: Path) -> None:
    rewrite(folder, numbers=drop("tokens"))
    assert "it does not say its tokens" in refused(folder)


@few
@given(data=st.data())
@pytest.mark.process
def test_any_damage_of_a_state_is_refused_in_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = kept(tmp_path_factory.mktemp("damaged"))
    whole = (folder / STATE).read_bytes()
    damaged = bytearray(whole)
    for at in data.draw(
        st.lists(st.integers(0, 3000) | st.integers(0, len(whole) - 1), min_size=1, max_size=4)
    ):
        damaged[at] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.sampled_from([len(whole), len(whole) - 1, 3000, 8, 0]))]
    (folder / STATE).write_bytes(damaged)
    if damaged != whole:
        refused(folder)


# The log


def test_lines_of_the_log_that_cannot_be_read_are_left_away(folder: Path) -> None:
    lines = [
        '{"step": 1, "loss": NaN}',
        '{"step": 2}',
        '{"step": 1e999}',
        "[" * 5000,
        "1" * 200_000,
        '{"step": 0',
    ]
    (folder / LOG).write_text("\n".join(lines), encoding="utf-8")
    RunFolder(folder, RUN).kept(model(), STEPS)
    assert (folder / LOG).read_text().splitlines() == lines[:1]


# The description


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (3, "'run' is 3, not an object"),
        ({}, "the recipe is None, not an object"),
        ({"recipe": {"held_out": [1], "held_out_share": 1e999}}, "'held_out_share' is inf, not a share"),
        ({"recipe": {"held_out": [1.5], "held_out_share": 0}}, "'held_out' is 1.5, not a whole number"),
        ({"recipe": {"held_out": 4, "held_out_share": 0}}, "'held_out' is 4, not a list"),
        ({"recipe": {"held_out": []}}, "has no 'held_out_share'"),
    ],
)
def test_what_was_held_out_is_said_or_refused(run: object, message: str, folder: Path) -> None:
    assert held_out_in(folder) == ((1, 2), 0.0)
    (folder / DESCRIPTION).write_text(json.dumps({"run": run}))
    with pytest.raises(InputError) as error:
        held_out_in(folder)
    assert f"{folder / DESCRIPTION}: " in str(error.value)
    assert message in str(error.value)
    assert done_in(folder) == {}


def test_nothing_held_out_is_said_where_no_training_says_so(tmp_path: Path) -> None:
    assert held_out_in(tmp_path) is None
    (tmp_path / DESCRIPTION).write_text("{}")
    assert held_out_in(tmp_path) is None


@pytest.mark.parametrize(
    "there", ["[" * 5000, '{"run": [[[]]]}', '{"run": {"recipe": ' + "[" * 90 + "]" * 90 + "}}"]
)
def test_another_description_is_refused_in_one_line(there: str, folder: Path) -> None:
    (folder / DESCRIPTION).write_text(there)
    with pytest.raises(InputError) as error:
        RunFolder(folder, RUN)
    assert "\n" not in str(error.value)


# The lock


def test_a_folder_that_is_held_is_refused_with_who_holds_it(tmp_path: Path) -> None:
    with held(tmp_path / "made"):
        with pytest.raises(InputError) as error, held(tmp_path / "made"):
            pytest.fail("it went on")
        assert f"{tmp_path / 'made'} is being trained in already, by process {os.getpid()} on " in str(
            error.value
        )
    with held(tmp_path / "made"):
        pass
    assert not list((tmp_path / "made").iterdir())


def test_where_there_are_no_locks_everybody_is_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with held(tmp_path), held(tmp_path):
        pass


def test_a_lock_that_was_taken_away_meanwhile_is_made_anew(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / LOCK).unlink()
        with held(tmp_path):
            assert (tmp_path / LOCK).exists()
        (tmp_path / LOCK).touch()
    assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize("plant", ["fifo", "link", "folder"])
def test_what_is_planted_as_a_lock_is_refused_in_one_line(plant: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = tmp_path / "made"
    place.mkdir()
    {"fifo": os.mkfifo, "folder": os.mkdir, "link": lambda path: path.symlink_to(victim)}[plant](place / LOCK)
    with pytest.raises(InputError, match="made cannot be written: "), held(place):
        pytest.fail("it went on")
    assert victim.read_text() == "precious"
