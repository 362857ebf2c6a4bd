"""A preset whose folder is damaged or gone costs itself alone: every other model opens, and it says what is wrong."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_core.api.errors import InputError
from model_core.api.opening import RECIPE
from model_core.api.protocol import hello
from model_core.api.scene import Scene
from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS
from model_core.engine import describe
from model_core.sources.presets import NAMES, open_model, preset_named
from tests.support.command_line import refused
from tests.support.engine.engine_process import ROOT, Process, ask
from tests.support.models.own_assets import copied_assets, use_assets

GONE, DAMAGED, BARE = "dates", "tales-gpt2", "tales-qwen2"
WHOLE = ["tales-llama", "tales-mini", "growth"]
REASON = {GONE: f"{RECIPE} cannot be read: No such file or directory", DAMAGED: f"{RECIPE} is not TOML: "}


def damage(presets: Path) -> None:
    """One preset's folder is gone, one's recipe is cut off, and one's weights are gone."""
    shutil.rmtree(presets / GONE)
    recipe = presets / DAMAGED / RECIPE
    recipe.write_text(recipe.read_text(encoding="utf-8")[:100], encoding="utf-8")
    for file in (MANIFEST, WEIGHTS):
        (presets / BARE / file).unlink()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the core with presets that are damaged."""
    root = tmp_path_factory.mktemp("program")
    shutil.copytree(ROOT / "model_core", root / "model_core", ignore=shutil.ignore_patterns("__pycache__"))
    damage(copied_assets(root))
    return root


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of presets, to be damaged, as this process finds them."""
    folder = copied_assets(tmp_path)
    use_assets(monkeypatch, tmp_path)
    return folder


def said(program: Path, *arguments: str) -> tuple[int, str, str]:
    """The exit code of a command of the copy, its stdout and its stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "model_core.cli", *arguments],
        cwd=program,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.process
def test_models_lists_a_damaged_preset_with_its_reason_and_all_others_as_ever(program: Path) -> None:
    code, out, err = said(program, "models")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line in NAMES] == list(NAMES)
    for name, reason in REASON.items():
        assert f"{name}\n    the preset {name} is damaged: {program}" in out
        assert reason in out
    assert f"no weights yet: layerscope train --preset {BARE}" in out
    for name in WHOLE:
        assert f" MB in {program / 'assets' / 'presets' / name}\n" in out


@pytest.mark.process
def test_another_preset_is_evaluated(program: Path) -> None:
    code, out, err = said(program, "evaluate", "growth")
    assert (code, err) == (0, "")
    assert "L1H0" in out


@pytest.mark.process
@pytest.mark.parametrize("name", ["tales-llama", BARE])
def test_a_preset_that_says_how_it_is_trained_can_be(program: Path, name: str) -> None:
    code, _, err = said(program, "train", "--preset", name, "--out", "made")
    assert (code, err) == (2, f"layerscope: {name} learns from text: name it with --data FILE\n")


@pytest.mark.process
def test_the_engine_starts_with_another_model_and_tells_what_is_damaged(
    program: Path, tmp_path: Path
) -> None:
    engine = Process("-m", "model_core.cli", "engine", log=tmp_path / "log", folder=program)
    engine.write(hello(1))
    told = engine.until("hello", 1)[-1].fields
    assert list(told["presets"]) == [*WHOLE[:1], BARE, *WHOLE[1:]]
    assert told["damaged"].keys() == REASON.keys()
    assert sorted(told["order"]) == sorted([*told["presets"], *told["damaged"]])
    engine.write(ask(2, Scene("tales-llama", "the cat"), ("run", {})))
    assert [frame.kind for frame in engine.until("done", 2) if frame.kind in ("answer", "error")] == [
        "answer"
    ]
    engine.write(ask(3, Scene(GONE, "the cat"), ("run", {})))
    message = engine.until("error", 3)[-1].fields["message"]
    assert f"the preset {GONE} is damaged: " in message
    assert engine.end() == 0


@pytest.mark.unit
@pytest.mark.parametrize("name", [GONE, DAMAGED])
def test_a_damaged_preset_that_is_to_be_trained_is_one_line(
    presets: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    damage(presets)
    message = refused(capsys, ["train", "--preset", name, "--out", str(tmp_path / "made")])
    assert message.startswith(f"the preset {name} is damaged: {presets / name / RECIPE}")
    assert message.endswith("; install Layerscope again")
    assert REASON[name] in message


@pytest.mark.unit
def test_a_preset_that_is_gone_is_one_line_where_it_is_to_be_opened(
    presets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(presets)
    message = refused(capsys, ["evaluate", GONE])
    assert message.startswith(f"the preset {GONE} is damaged: ")
    assert REASON[GONE] in message


@pytest.mark.unit
def test_weights_open_whatever_became_of_the_recipe_that_made_them(presets: Path) -> None:
    damage(presets)
    assert open_model(DAMAGED).name == DAMAGED


@pytest.mark.unit
@pytest.mark.parametrize("files", [[WEIGHTS], [MANIFEST], [MANIFEST, WEIGHTS]])
@pytest.mark.parametrize("model", ["growth", "growth@16"])
def test_a_preset_without_weights_says_how_to_make_them(
    presets: Path, capsys: pytest.CaptureFixture[str], files: list[str], model: str
) -> None:
    for file in files:
        (presets / "growth" / file).unlink()
    message = refused(capsys, ["generate", "--model", model, "--prompt", "a"])
    assert message == "the preset growth has no weights yet: layerscope train --preset growth makes them"
    assert describe.presets()[0]["growth"]["bytes"] == 0


def without_weights(folder: Path) -> None:
    """Their name is there, and leads nowhere."""
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("nowhere")


def no_text(folder: Path) -> None:
    (folder / RECIPE).write_bytes(b"\xff\xfe")


def a_file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def rewritten(old: str, new: str) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        recipe = folder / RECIPE
        text = recipe.read_text(encoding="utf-8")
        assert old in text
        recipe.write_text(text.replace(old, new), encoding="utf-8")

    return rewrite


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (shutil.rmtree, f"{RECIPE} cannot be read: No such file or directory"),
    "a file for a folder": (
        a_file_in_its_place,
        f"{RECIPE} cannot be read: Not a directory",
    ),
    "no recipe": (lambda folder: (folder / RECIPE).unlink(), "cannot be read: No such file"),
    "no text": (no_text, f"{RECIPE} is not UTF-8"),
    "no family": (rewritten('"llama"', '"lama"'), "there is no family 'lama'"),
    "a field gone": (rewritten("width = 192", ""), f"{RECIPE}: the config has no 'width'"),
    "heads that do not divide": (
        rewritten("kv_heads = 2", "kv_heads = 5"),
        f"{RECIPE}: 6 query heads cannot share 5",
    ),
    "weights that lead nowhere": (without_weights, f"{WEIGHTS} cannot be read: No such file"),
}


@pytest.mark.unit
@pytest.mark.parametrize("kind", DAMAGES)
def test_a_list_of_models_has_one_line_for_whatever_damage_and_the_others_whole(
    presets: Path, kind: str
) -> None:
    harm, reason = DAMAGES[kind]
    harm(presets / "tales-llama")
    known, damaged = describe.presets()
    assert list(known) == [name for name in NAMES if name != "tales-llama"]
    assert list(damaged) == ["tales-llama"]
    assert reason in damaged["tales-llama"]
    assert "\n" not in damaged["tales-llama"]


@pytest.mark.unit
def test_a_preset_is_read_when_it_is_asked_for(presets: Path) -> None:
    recipe = presets / "growth" / RECIPE
    whole = recipe.read_text(encoding="utf-8")
    recipe.write_text("[", encoding="utf-8")
    with pytest.raises(InputError, match="the preset growth is damaged: "):
        preset_named("growth")
    recipe.write_text(whole, encoding="utf-8")
    assert preset_named("growth").family
