"""A folder of a Hugging Face checkpoint opens as the model that was saved."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model_core.api.errors import Cancelled
from model_core.api.files.assets import asset
from model_core.checkpoint.opening import open_checkpoint
from model_core.system import devices
from model_core.text.tokenizer import IdTokenizer, TiktokenTokenizer
from tests.support.models.hf_folders import WEIGHTS, change_weights, logits, set_config
from tests.support.models.reference import VOCAB, gpt2, llama, reference

pytestmark = pytest.mark.unit


def test_opened_model_is_ready_to_run(either: Path) -> None:
    loaded = open_checkpoint(str(either))
    assert (loaded.name, loaded.path, loaded.family.name) == (either.name, either, either.name)
    assert not loaded.model.training
    for parameter in loaded.model.parameters():
        assert parameter.dtype == torch.float32
        assert not parameter.requires_grad
        assert parameter.is_contiguous()


def test_shards_equal_one_file(either: Path, tmp_path: Path) -> None:
    config = {"gpt2": gpt2, "llama": llama}[either.name]()
    reference(config).save_pretrained(tmp_path / "sharded", max_shard_size="20kB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    assert torch.equal(logits(open_checkpoint(tmp_path / "sharded")), logits(open_checkpoint(either)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_stored_in_any_float_dtype_open_in_float32(either: Path, dtype: torch.dtype) -> None:
    rounded = {name: tensor.to(dtype) for name, tensor in load_file(either / WEIGHTS).items()}
    change_weights(either, lambda _: {name: tensor.float() for name, tensor in rounded.items()})
    expected = logits(open_checkpoint(either))
    change_weights(either, lambda _: rounded)
    assert torch.equal(logits(open_checkpoint(either)), expected)


@pytest.mark.parametrize("dtype", list(devices.DTYPES))
def test_model_opens_in_the_dtype_asked_for(either: Path, dtype: str) -> None:
    loaded = open_checkpoint(either, dtype=dtype)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {devices.DTYPES[dtype]}
    exact = logits(open_checkpoint(either, dtype="float64"))
    assert (logits(loaded).double() - exact).abs().max() < 0.2


def test_prefix_before_gpt2_names_is_optional(gpt2_folder: Path) -> None:
    expected = logits(open_checkpoint(gpt2_folder))
    change_weights(gpt2_folder, lambda old: {name.removeprefix("transformer."): w for name, w in old.items()})
    assert torch.equal(logits(open_checkpoint(gpt2_folder)), expected)


def test_stored_masks_and_frequencies_are_no_weights(either: Path) -> None:
    expected = logits(open_checkpoint(either))
    buffers = {
        "transformer.h.0.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.bool),
        "transformer.h.1.attn.masked_bias": torch.tensor(-1e4),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
    }
    of_family = {name: w for name, w in buffers.items() if (either.name == "gpt2") == (".attn." in name)}
    change_weights(either, lambda old: old | of_family)
    assert torch.equal(logits(open_checkpoint(either)), expected)


def test_tied_head_shares_the_embedding_and_untied_does_not(saved: dict[str, Path]) -> None:
    tied, untied = (open_checkpoint(saved[name]).model for name in ("gpt2", "llama"))
    assert tied.head.weight is tied.embed.weight
    assert untied.head.weight is not untied.embed.weight


def test_tied_head_may_be_stored_too(gpt2_folder: Path) -> None:
    expected = logits(open_checkpoint(gpt2_folder))
    change_weights(gpt2_folder, lambda old: old | {"lm_head.weight": old["transformer.wte.weight"].clone()})
    assert torch.equal(logits(open_checkpoint(gpt2_folder)), expected)


def test_single_weights_file_may_have_any_name(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "weights.safetensors")
    open_checkpoint(folder)


def test_older_configs_give_theta_at_the_top(folder: Path) -> None:
    set_config(folder, rope_parameters=None, rope_theta=500.0)
    assert open_checkpoint(folder).model.config.theta == 500.0


def test_code_in_the_folder_is_never_run(folder: Path) -> None:
    set_config(folder, auto_map={"AutoModelForCausalLM": "modeling_own.Own"}, trust_remote_code=True)
    (folder / "modeling_own.py").write_text("raise AssertionError('this was run')")
    open_checkpoint(folder)


def test_prompt_is_ids_where_no_vocabulary_is_known(folder: Path) -> None:
    tokenizer = open_checkpoint(folder).tokenizer
    assert isinstance(tokenizer, IdTokenizer)
    assert tokenizer.vocab_size == VOCAB


@pytest.mark.parametrize("vocab_size", [2047, 2048, 2050])
def test_ranks_file_of_the_folder_is_its_vocabulary(tmp_path: Path, vocab_size: int) -> None:
    reference(llama(vocab_size=vocab_size)).save_pretrained(tmp_path)
    shutil.copy(asset("tokenizers", "tales-2048.tiktoken"), tmp_path)
    tokenizer = open_checkpoint(tmp_path).tokenizer
    assert isinstance(tokenizer, TiktokenTokenizer)
    assert tokenizer.decode(tokenizer.encode("The cat sat")) == "The cat sat"
    assert tokenizer.vocab_size == vocab_size
    assert all(tokenizer.token(id) for id in range(vocab_size))


def test_opened_weights_are_independent_of_the_file(folder: Path) -> None:
    loaded = open_checkpoint(folder)
    before = logits(loaded)
    size = (folder / WEIGHTS).stat().st_size
    with open(folder / WEIGHTS, "r+b") as file:
        file.write(b"\xff" * size)
    assert torch.equal(logits(loaded), before)


def test_progress_rises_to_one(either: Path) -> None:
    shares: list[float] = []
    open_checkpoint(either, progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 10
    assert shares[-1] == 1.0


def test_cancelled_opening_stops(either: Path) -> None:
    shares: list[float] = []
    with pytest.raises(Cancelled):
        open_checkpoint(either, progress=shares.append, cancelled=lambda: len(shares) == 3)
    assert len(shares) == 3
