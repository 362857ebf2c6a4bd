"""A folder that makes no model ends in one line that says why."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_core.api.files.assets import asset
from model_core.checkpoint.opening import open_checkpoint
from model_core.system import devices
from tests.support.models.hf_folders import CONFIG, INDEX, WEIGHTS, change_weights, logits, set_config
from tests.support.models.opening import refused
from tests.support.models.reference import VOCAB, llama, reference

pytestmark = pytest.mark.unit


def test_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    assert "nowhere does not exist" in refused(tmp_path / "nowhere")
    assert "does not exist" in refused(tmp_path / ("n" * 300))


def test_folder_without_a_config_says_what_was_looked_for(tmp_path: Path) -> None:
    assert "has no config.json, params.json or layerscope.json" in refused(tmp_path)
    (tmp_path / CONFIG).mkdir()
    assert "config.json cannot be read: Is a directory" in refused(tmp_path)


def test_file_of_a_folder_opens_the_folder(folder: Path, tmp_path: Path) -> None:
    expected = logits(open_checkpoint(folder))
    for name in (WEIGHTS, CONFIG):
        loaded = open_checkpoint(folder / name)
        assert loaded.path == folder
        assert torch.equal(logits(loaded), expected)
    shutil.copy(folder / WEIGHTS, tmp_path / "alone.safetensors")
    assert "or the folder that has config.json" in refused(tmp_path / "alone.safetensors")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("heads=8", "has heads=4 in its files, and not 8: leave out heads=8"),
        ("x=1", "LLaMA has no 'x' to be said"),
    ],
)
def test_what_the_config_says_otherwise_cannot_be_said(folder: Path, said: str, message: str) -> None:
    assert message in refused(folder, config=[said])
    open_checkpoint(folder, config=["n_heads=4"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe{}", "is not UTF-8 text"),
        (b"", "is not JSON"),
        (b"{'model_type': 'llama'}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "holds no JSON object"),
        (b"null", "holds no JSON object"),
        (b"{}", "has no 'model_type'; the types known here are gpt2, llama"),
    ],
)
def test_damaged_config_is_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / CONFIG).write_bytes(content)
    assert message in refused(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type 'bert'; the types known here are gpt2, llama"),
        ({"model_type": ["llama"]}, "model_type ['llama']"),
        ({"hidden_size": None}, "config.json has no 'hidden_size'"),
        ({"hidden_size": "32"}, "'hidden_size' is '32', not a whole number"),
        ({"hidden_size": 32.5}, "'hidden_size' is 32.5"),
        ({"hidden_size": True}, "'hidden_size' is True"),
        ({"num_attention_heads": 0}, "'num_attention_heads' is 0"),
        ({"rms_norm_eps": -1e-6}, "'rms_norm_eps' is -1e-06, not a positive number"),
        ({"rms_norm_eps": float("nan")}, "'rms_norm_eps' is nan"),
        ({"rms_norm_eps": 10**400}, "'rms_norm_eps' is 1"),
        ({"tie_word_embeddings": "no"}, "'tie_word_embeddings' is 'no', not true or false"),
        ({"head_dim": None, "num_attention_heads": 5}, "hidden_size of 32 cannot be split into 5 heads"),
        ({"num_key_value_heads": 3}, "4 query heads cannot share 3 key/value heads"),
        ({"head_dim": 7}, "head width of 7 is odd"),
        ({"rope_parameters": [1]}, "'rope_parameters' is [1], not an object"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope scaling 'yarn'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, "rope scaling 'linear'"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"num_hidden_layers": 2}, "stores model.layers.2.input_layernorm.weight"),
        ({"num_hidden_layers": 4}, "lacks model.layers.3.input_layernorm.weight"),
        ({"num_hidden_layers": 10**9}, "'num_hidden_layers' is 1000000000, not a whole number from 1 to"),
        ({"num_hidden_layers": 10**6}, "1000000 layers, but only 30 tensors are stored"),
        ({"hidden_size": 2**28, "intermediate_size": 2**28}, "does not fit its configuration"),
        ({"vocab_size": 62}, "(makes embed.weight (61, 32), not (62, 32))"),
        ({"tie_word_embeddings": True}, "lm_head.weight is stored and differs"),
    ],
)
def test_config_that_makes_no_model_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    set_config(folder, **changes)
    assert message in refused(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "relu"}, "activation 'relu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"scale_attn_weights": False}, "scale_attn_weights"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"n_head": 5}, "width of 32 cannot be split into 5 heads"),
        ({"n_embd": 64}, "does not fit its configuration: "),
        ({"n_positions": 41}, "(makes pos.weight (40, 32), not (41, 32))"),
        ({"tie_word_embeddings": False}, "lacks lm_head.weight"),
    ],
)
def test_gpt2_config_that_makes_no_model_is_refused(
    gpt2_folder: Path, changes: dict[str, Any], message: str
) -> None:
    set_config(gpt2_folder, **changes)
    assert message in refused(gpt2_folder)


@pytest.mark.parametrize("kept", [0, 7, 8, 100, 3000, -1])
def test_truncated_weights_are_refused(either: Path, kept: int) -> None:
    content = (either / WEIGHTS).read_bytes()
    (either / WEIGHTS).write_bytes(content[:kept])
    assert "is no whole safetensors file" in refused(either)


def test_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "has no model.safetensors" in refused(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert "pickle, which could run code" in refused(folder)


def test_missing_tensors_are_named_three_and_counted(folder: Path) -> None:
    change_weights(folder, lambda old: {k: v for k, v in old.items() if "layers.0" not in k})
    message = refused(folder)
    assert message.count("model.layers.0.") == 3
    assert "and 6 more" in message


def test_tensors_that_nobody_needs_are_named(folder: Path) -> None:
    bias = {"model.layers.0.self_attn.q_proj.bias": torch.zeros(32), "two\nlines": torch.zeros(1)}
    change_weights(folder, lambda old: old | bias)
    message = refused(folder)
    assert "stores model.layers.0.self_attn.q_proj.bias, 'two\\nlines', for which" in message


@pytest.mark.parametrize("shape", [(), (1,), (32,), (32, 33), (2, 32), (1, 32, 32), (0, 32), (32, 32, 1)])
@pytest.mark.parametrize("name", ["h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "h.0.mlp.c_fc.weight"])
def test_gpt2_tensor_of_another_shape_is_named(gpt2_folder: Path, name: str, shape: tuple[int, ...]) -> None:
    change_weights(gpt2_folder, lambda old: old | {f"transformer.{name}": torch.zeros(shape)})
    assert name in refused(gpt2_folder)


@pytest.mark.parametrize("shape", [(), (33,), (3, 32), (40, 32), (32, 33), (32, 32, 1), (0, 0)])
@pytest.mark.parametrize("name", ["self_attn.q_proj", "self_attn.v_proj", "input_layernorm"])
def test_llama_tensor_of_another_shape_is_named(folder: Path, name: str, shape: tuple[int, ...]) -> None:
    full = f"model.layers.1.{name}.weight"
    change_weights(folder, lambda old: old | {full: torch.zeros(shape)})
    assert full in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weight_that_is_no_number_is_refused_with_its_tensor(either: Path, value: float) -> None:
    name = list(load_file(either / WEIGHTS))[5]

    def spoil(old: dict[str, Tensor]) -> dict[str, Tensor]:
        old[name].view(-1)[3] = value
        return old

    change_weights(either, spoil)
    assert f"{name} holds NaN or infinite weights" in refused(either)


def test_weight_too_large_for_the_dtype_is_refused(folder: Path) -> None:
    change_weights(folder, lambda old: old | {"model.norm.weight": torch.full((32,), 1e5)})
    open_checkpoint(folder)
    assert "model.norm.weight holds weights too large for float16" in refused(folder, dtype="float16")


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.float8_e4m3fn])
def test_weights_that_are_no_floats_are_refused(folder: Path, dtype: torch.dtype) -> None:
    change_weights(folder, lambda old: old | {"model.norm.weight": torch.ones(32).to(dtype)})
    assert "model.norm.weight is stored as" in refused(folder)


def test_tied_head_stored_with_other_values_is_refused(gpt2_folder: Path) -> None:
    change_weights(gpt2_folder, lambda old: old | {"lm_head.weight": torch.zeros(VOCAB, 32)})
    assert "lm_head.weight is stored and differs: set tie_word_embeddings to false" in refused(gpt2_folder)


def test_tied_head_stored_in_another_dtype_than_weights_is_named(gpt2_folder: Path) -> None:
    head = torch.zeros(VOCAB, 32).to(torch.float8_e4m3fn)
    change_weights(gpt2_folder, lambda old: old | {"lm_head.weight": head})
    assert "lm_head.weight is stored as F8_E4M3" in refused(gpt2_folder)


def test_a_name_of_many_letters_is_said_without_its_middle(folder: Path) -> None:
    change_weights(folder, lambda old: old | {"model." + "\x1b" * 100_000 + ".end": torch.zeros(1)})
    message = refused(folder)
    assert message.startswith(r"llama stores 'model.\x1b\x1b")
    assert "…" in message
    assert message.endswith(r"\x1b.end', for which its configuration has no place")


def test_names_with_and_without_the_prefix_are_refused(gpt2_folder: Path) -> None:
    change_weights(gpt2_folder, lambda old: old | {"wte.weight": torch.zeros(VOCAB, 32)})
    assert "both with and without 'transformer.'" in refused(gpt2_folder)


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    reference(llama()).save_pretrained(tmp_path / "sharded", max_shard_size="20kB")
    return tmp_path / "sharded"


@pytest.mark.parametrize(
    "shard",
    ["../model.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:b", "a\0b", 5, None, ["a"]],
)
def test_shard_outside_the_folder_is_refused(sharded: Path, shard: object) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["model.norm.weight"] = shard
    (sharded / INDEX).write_text(json.dumps(index))
    assert "no file of this folder" in refused(sharded)


def test_missing_shard_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.unlink()
    assert f"names the shard {shard.name}, which is missing" in refused(sharded)


@pytest.mark.parametrize("content", ["{}", "[]", '{"weight_map": []}', '{"weight_map": {}}', "{"])
def test_damaged_index_is_refused(sharded: Path, content: str) -> None:
    (sharded / INDEX).write_text(content)
    assert INDEX in refused(sharded)


def test_tensor_in_two_shards_is_refused(sharded: Path) -> None:
    first, second, *_ = sorted(sharded.glob("*.safetensors"))
    name = next(iter(load_file(first)))
    save_file(load_file(second) | {name: torch.zeros(1)}, second)
    assert f"stores {name}, which an earlier shard has as well" in refused(sharded)


def test_vocabulary_of_another_model_is_refused(folder: Path) -> None:
    shutil.copy(asset("tokenizers", "tales-2048.tiktoken"), folder)
    assert "belongs to another model: 2047 tokens, where this has 61" in refused(folder)


def test_model_larger_than_the_memory_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cpu_free", lambda: 100_000)
    assert "but cpu has 0.1 MB free: choose a smaller dtype" in refused(folder)
    open_checkpoint(folder, dtype="float16")


def test_unknown_device_or_dtype_is_refused(folder: Path) -> None:
    assert "no device 'tpu'" in refused(folder, device="tpu")
    assert "no dtype 'int8'" in refused(folder, dtype="int8")
