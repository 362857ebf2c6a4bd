"""llama2.c's files open, and tell the story that llama2.c tells."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from model_core.api.errors import Cancelled, InputError
from model_core.checkpoint.building import Loaded
from model_core.checkpoint.opening import open_checkpoint
from model_core.families.first_weights import initialise
from model_core.families.llama import LlamaConfig
from model_core.families.registry import FAMILIES
from model_core.generation.generate import Sampling, generate
from model_core.parts.decoder import Decoder
from tests.support.data_files import STORIES
from tests.support.models.opening import refused
from tests.support.models.stories import STORY

pytestmark = pytest.mark.unit

BOS = 1
TOKENS = torch.arange(20)[None] * 7 % 40

LAYERED = ["norm1", "attn.q", "attn.k", "attn.v", "attn.o", "norm2", "mlp.gate", "mlp.down", "mlp.up"]


def model_of(*, tied: bool) -> Decoder:
    config = LlamaConfig(
        vocab_size=40, width=24, layers=3, heads=4, kv_heads=2, hidden=20, context=32, head_dim=6, tied=tied
    )
    model = FAMILIES["llama"].build(config)
    assert isinstance(model, Decoder)
    initialise(model, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim == 2 else 1.1)
    return model.eval().requires_grad_(False)


def floats(tensors: list[Tensor]) -> bytes:
    return b"".join(tensor.float().numpy().tobytes() for tensor in tensors)


def layers_of(model: Decoder, part: str) -> list[Tensor]:
    return [dict(block.named_parameters())[f"{part}.weight"] for block in model.blocks]


def legacy(model: Decoder) -> bytes:
    """As export.py's legacy_export writes it."""
    c = model.config
    vocab_size = c.vocab_size if c.tied else -c.vocab_size
    header = struct.pack("<7i", c.width, c.hidden, c.layers, c.heads, c.kv_heads, vocab_size, c.context)
    tensors = [model.embed.weight]
    for part in LAYERED:
        tensors += layers_of(model, part)
    tensors += [model.norm.weight, torch.full((2, c.context, c.head_dim // 2), 9.0)]
    return header + floats(tensors + ([] if c.tied else [model.head.weight]))


def versioned(model: Decoder, version: int = 1) -> bytes:
    """As export.py's version1_export writes it."""
    c = model.config
    numbers = (c.width, c.hidden, c.layers, c.heads, c.kv_heads, c.vocab_size, c.context)
    header = struct.pack("<Ii7iB", 0x616B3432, version, *numbers, c.tied).ljust(256, b"\0")
    tensors = layers_of(model, "norm1") + layers_of(model, "norm2") + [model.norm.weight, model.embed.weight]
    for part in ("attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.down", "mlp.up"):
        tensors += layers_of(model, part)
    return header + floats(tensors + ([] if c.tied else [model.head.weight]))


@pytest.fixture(scope="module")
def stories() -> Loaded:
    return open_checkpoint(STORIES / "stories260K.bin")


def test_stories260k_is_recognised_with_its_tokenizer(stories: Loaded) -> None:
    config = stories.model.config
    assert (config.layers, config.width, config.heads, config.kv_heads) == (5, 64, 8, 4)
    assert (config.vocab_size, config.context, config.tied) == (512, 512, True)
    assert (stories.tokenizer.name, stories.tokenizer.vocab_size) == ("tok512", 512)


@pytest.mark.process
def test_greedy_story_is_the_one_that_llama2c_documents(stories: Loaded) -> None:
    tokens = [BOS, *generate(stories.model, [BOS], 200, Sampling(temperature=0), stop=BOS)]
    text = stories.tokenizer.decode(tokens)
    assert len(tokens) == 201
    assert STORY.startswith(text)
    # The documented run goes on for 256 tokens.
    more = [BOS, *generate(stories.model, [BOS], 256, Sampling(temperature=0), stop=BOS)]
    assert stories.tokenizer.decode(more) == STORY


def halves(weight: Tensor, head_dim: int) -> Tensor:
    """Rows of q or k from adjacent pairs to first and second halves, as Hugging Face orders them."""
    return weight.unflatten(0, (-1, head_dim // 2, 2)).transpose(1, 2).flatten(0, 2).contiguous()


def test_same_weights_in_a_hugging_face_folder_give_the_same_logits(stories: Loaded, tmp_path: Path) -> None:
    c, ours = stories.model.config, dict(stories.model.named_parameters())
    names = {"attn.v": "self_attn.v_proj", "attn.o": "self_attn.o_proj", "norm1": "input_layernorm"}
    names |= {"mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj", "mlp.down": "mlp.down_proj"}
    names |= {"norm2": "post_attention_layernorm"}
    theirs = {"model.embed_tokens.weight": ours["embed.weight"], "model.norm.weight": ours["norm.weight"]}
    for n in range(c.layers):
        for a, b in names.items():
            theirs[f"model.layers.{n}.{b}.weight"] = ours[f"blocks.{n}.{a}.weight"]
        for a in "qk":
            rows = ours[f"blocks.{n}.attn.{a}.weight"]
            theirs[f"model.layers.{n}.self_attn.{a}_proj.weight"] = halves(rows, c.head_dim)
    save_file(
        {name: tensor.detach().clone() for name, tensor in theirs.items()}, tmp_path / "model.safetensors"
    )
    config = {
        "model_type": "llama",
        "vocab_size": c.vocab_size,
        "hidden_size": c.width,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "intermediate_size": c.hidden,
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.eps,
        "rope_theta": c.theta,
        "tie_word_embeddings": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    tokens = torch.arange(100)[None] * 37 % 512
    assert torch.equal(open_checkpoint(tmp_path).model(tokens), stories.model(tokens))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("write", [legacy, versioned])
def test_written_model_comes_back(write: Any, tied: bool, tmp_path: Path) -> None:
    model = model_of(tied=tied)
    (tmp_path / "any.name").write_bytes(write(model))
    loaded = open_checkpoint(tmp_path / "any.name")
    assert loaded.model.config == model.config
    assert torch.equal(loaded.model(TOKENS), model(TOKENS))


def test_opened_weights_are_independent_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(legacy(model_of(tied=True)))
    loaded = open_checkpoint(path)
    before = loaded.model(TOKENS)
    with open(path, "r+b") as file:
        file.seek(28)
        file.write(b"\0" * 1000)
    assert torch.equal(loaded.model(TOKENS), before)


def test_cancelled_opening_stops(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(legacy(model_of(tied=True)))
    shares: list[float] = []
    with pytest.raises(Cancelled):
        open_checkpoint(tmp_path / "model.bin", progress=shares.append, cancelled=lambda: len(shares) == 2)
    assert len(shares) == 2


def test_eight_bit_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(versioned(model_of(tied=True), version=2))
    assert "llama2.c's version 2, with weights of 8 bits, which cannot be read" in refused(
        tmp_path / "model.bin"
    )


@pytest.mark.parametrize("change", [-4, -1, 1, 4, 1000])
def test_another_size_than_the_header_makes_is_refused(change: int, tmp_path: Path) -> None:
    content = legacy(model_of(tied=True))
    path = tmp_path / "model.bin"
    path.write_bytes(content[:change] if change < 0 else content + b"\0" * change)
    message = refused(path)
    assert f"has {len(content) + change:,} bytes, but its header makes {len(content):,}" in message


def test_config_that_the_header_says_otherwise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(legacy(model_of(tied=True)))
    message = refused(path, config=["n_heads=8"])
    assert "model has heads=4 in its files, and not 8: leave out heads=8" in message
    assert open_checkpoint(path, config=["rope_theta=500"]).model.config.theta == 500.0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
@pytest.mark.process
def test_any_header_gives_a_model_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "model.bin"
    content = bytearray(data.draw(st.sampled_from([legacy, versioned]))(model_of(tied=True)))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, 36)) // 4 * 4
        number = data.draw(st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 100))
        content[at : at + 4] = struct.pack("<i", number)
    for at in data.draw(st.lists(st.integers(0, 60), max_size=4)):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    message = ""
    try:
        open_checkpoint(path)
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    os.unlink(path)
