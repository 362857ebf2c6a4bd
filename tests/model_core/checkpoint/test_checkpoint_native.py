"""Own folders: what is saved comes back, and nothing is lost when saving fails."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from model_core.families.registry import family_of
from model_core.parts.decoder import Decoder
from model_core.text.tokenizer import IdTokenizer, TiktokenTokenizer
from tests.support.models.opening import refused
from tests.support.models.tiny import CONFIGS

pytestmark = pytest.mark.unit

GPT2 = GPT2Config(vocab_size=61, width=16, layers=2, heads=2, hidden=24, context=12)
LLAMA = LlamaConfig(
    vocab_size=61, width=16, layers=2, heads=4, kv_heads=2, hidden=24, context=12, head_dim=4, theta=300.0
)
TOKENS = torch.arange(10)[None]
MANIFEST, WEIGHTS = "layerscope.json", "model.safetensors"


def model_of(config: Any, seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    model = family_of(config).build(config).requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape) * 0.1)
    return model


def save(folder: Path, model: Decoder, tokenizer: str | None = None, dtype: str = "float32") -> None:
    family = family_of(model.config)
    native.save(folder, model, family, tokenizer=tokenizer, name="Tiny", about="For tests.", dtype=dtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "tiny", model_of(LLAMA))
    return tmp_path / "tiny"


def set_manifest(folder: Path, **values: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8")) | values
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_saved_model_comes_back_bit_for_bit(tmp_path: Path, config: Any) -> None:
    model = model_of(config)
    save(tmp_path, model)
    loaded = open_checkpoint(tmp_path)
    assert loaded.model.config == config
    assert (loaded.name, loaded.family) == ("Tiny", family_of(config))
    assert torch.equal(loaded.model(TOKENS), model(TOKENS))


def test_float16_halves_the_file_and_rounds_each_weight_once(tmp_path: Path) -> None:
    model = model_of(LLAMA)
    save(tmp_path / "half", model, dtype="float16")
    save(tmp_path / "full", model)
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.7 * sizes[1]
    opened = dict(open_checkpoint(tmp_path / "half").model.named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.equal(opened[name], parameter.half().float())


def test_tied_head_is_stored_once_and_tied_again(tmp_path: Path) -> None:
    save(tmp_path, model_of(GPT2))
    assert "head.weight" not in load_file(tmp_path / WEIGHTS)
    model = open_checkpoint(tmp_path).model
    assert model.head.weight is model.embed.weight


def test_manifest_says_what_the_model_is(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["format"] == 1
    assert manifest["family"] == "llama"
    assert manifest["config"]["theta"] == 300.0
    assert (manifest["name"], manifest["about"], manifest["tokenizer"]) == ("Tiny", "For tests.", None)


def test_model_without_a_tokenizer_reads_ids(folder: Path) -> None:
    assert isinstance(open_checkpoint(folder).tokenizer, IdTokenizer)


def test_named_tokenizer_is_found_among_the_bundled_ones_and_in_the_folder_first(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=2048, width=4, layers=1, heads=1, hidden=4, context=8)
    save(tmp_path, model_of(config), tokenizer="tales-2048")
    tokenizer = open_checkpoint(tmp_path).tokenizer
    assert isinstance(tokenizer, TiktokenTokenizer)
    assert (tokenizer.name, tokenizer.vocab_size, tokenizer.eos) == ("tales-2048", 2048, 2047)

    (tmp_path / "tales-2048.tiktoken").write_text("damaged")
    assert str(tmp_path) in refused(tmp_path)
    shutil.copy(asset("tokenizers", "tales-2048.tiktoken"), tmp_path / "own.tiktoken")
    set_manifest(tmp_path, tokenizer="own")
    assert open_checkpoint(tmp_path).tokenizer.name == "own"


@pytest.mark.parametrize("name", ["../own", "/etc/own", "", "..", "a\\b", 5, ["own"]])
def test_tokenizer_outside_the_folder_is_refused(folder: Path, name: object) -> None:
    set_manifest(folder, tokenizer=name)
    said = refused(folder)
    assert said.startswith(f"{folder / MANIFEST}: 'tokenizer' is ")
    assert "which is no tokenizer's name" in said


def test_unknown_tokenizer_is_named(folder: Path) -> None:
    set_manifest(folder, tokenizer="lost")
    assert "there is no tokenizer lost" in refused(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "has the format 2; this version reads 1"),
        ({"format": None}, "'format' is None, not a whole number"),
        ({"family": "bert"}, "has the family 'bert'; known are gpt2, llama"),
        ({"family": ["llama"]}, "'family' is ['llama'], not text"),
        ({"name": None}, "'name' is None, not text"),
        ({"config": None}, "the config is None, not an object"),
        ({"config": []}, "the config is [], not an object"),
    ],
)
def test_damaged_manifest_is_refused_by_its_path(folder: Path, values: dict[str, Any], message: str) -> None:
    set_manifest(folder, **values)
    said = refused(folder)
    assert message in said
    assert said.startswith(f"{folder / MANIFEST}")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("width", "16", "'width' is '16', not a whole number"),
        ("width", 16.5, "'width' is 16.5, not a whole number"),
        ("width", None, "'width' is None"),
        ("layers", 0, "'layers' is 0"),
        ("layers", True, "'layers' is True"),
        ("layers", 10**5, "100000 layers, but only 21 tensors"),
        ("eps", float("nan"), "'eps' is nan, not a positive number"),
        ("theta", [1], "'theta' is [1]"),
        ("tied", 1, "'tied' is 1, not true or false"),
        ("kv_heads", 3, "4 query heads cannot share 3"),
        ("head_dim", 5, "head width of 5 is odd"),
        ("hidden", 25, "does not fit its configuration: blocks.0.mlp.gate.weight"),
        ("heads", 2**28, "does not fit its configuration"),
        ("depth", 5, "the config has 'depth'; it may have vocab_size, width"),
    ],
)
def test_config_value_that_makes_no_model_is_named(
    folder: Path, key: str, value: object, message: str
) -> None:
    config = json.loads((folder / MANIFEST).read_text())["config"]
    set_manifest(folder, config=config | {key: value})
    assert message in refused(folder)


def test_missing_config_value_is_named_unless_it_has_a_default(folder: Path) -> None:
    config = json.loads((folder / MANIFEST).read_text())["config"]
    del config["eps"]
    set_manifest(folder, config=config)
    open_checkpoint(folder)
    del config["hidden"]
    set_manifest(folder, config=config)
    assert "the config has no 'hidden'" in refused(folder)


def test_missing_and_unneeded_weights_are_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: w for name, w in weights.items() if name != "norm.weight"}, folder / WEIGHTS)
    assert "Tiny lacks norm.weight" in refused(folder)
    save_file(weights | {"norm.bias": torch.zeros(16)}, folder / WEIGHTS)
    assert "Tiny stores norm.bias" in refused(folder)
    (folder / WEIGHTS).unlink()
    assert "has no model.safetensors" in refused(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def full_disk(*args: object) -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_full_disk_leaves_the_previous_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(folder)
    monkeypatch.setattr(native, "save_file", full_disk)
    with pytest.raises(InputError, match=r"could not be saved in .*: .*No space left on device"):
        save(folder, model_of(LLAMA, seed=1))
    assert contents(folder) == before


def test_disk_that_fills_at_the_second_file_leaves_the_previous_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    before = contents(folder)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"could not be saved in .*: No space left on device"):
        save(folder, model_of(LLAMA, seed=1))
    assert contents(folder) == before


def test_a_planted_link_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "another's"
    other.write_text("mine")
    for name in (WEIGHTS, MANIFEST):
        (folder / f".{name}.{os.getpid()}.part").symlink_to(other)
    save(folder, model_of(LLAMA, seed=1))
    assert other.read_text() == "mine"
    assert not any((folder / name).is_symlink() for name in (WEIGHTS, MANIFEST))


def test_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"could not be saved in .*: (File exists|Not a directory)"):
        save(folder / WEIGHTS, model_of(LLAMA))
    with pytest.raises(InputError, match="could not be saved"):
        save(folder / WEIGHTS / "below", model_of(LLAMA))


def test_saving_again_replaces_both_files_and_leaves_no_other(folder: Path) -> None:
    model = model_of(GPT2, seed=1)
    save(folder, model)
    assert sorted(contents(folder)) == [MANIFEST, WEIGHTS]
    assert torch.equal(open_checkpoint(folder).model(TOKENS), model(TOKENS))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_weights_that_the_dtype_cannot_hold_are_not_saved(folder: Path, value: float) -> None:
    before = contents(folder)
    model = model_of(LLAMA)
    model.blocks[1].norm1.weight[0] = value
    with pytest.raises(InputError, match=r"blocks\.1\.norm1\.weight is not finite in float16"):
        save(folder, model, dtype="float16")
    assert contents(folder) == before


def test_unknown_dtype_is_not_saved(folder: Path) -> None:
    with pytest.raises(InputError, match="saved as float16 or float32, not as 'int8'"):
        save(folder, model_of(LLAMA), dtype="int8")


@pytest.mark.process
def test_every_family_is_saved_and_opened(tmp_path: Path) -> None:
    for name, config in CONFIGS.items():
        save(tmp_path / name, model_of(config))
        assert open_checkpoint(tmp_path / name).family is family_of(config)
