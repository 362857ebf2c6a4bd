"""Checkpoints: opened, and run on a few tokens."""

import io
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors

from model_core.checkpoint.building import Loaded
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.families.first_weights import initialise
from model_core.families.llama import LlamaConfig
from model_core.families.registry import FAMILIES
from model_core.parts.decoder import Decoder
from tests.fuzz.formats import FORMATS, Files, Format, written
from tests.fuzz.formats.tokenizers import work
from tests.support.models import tutorials

VOCAB = 40
LLAMA = LlamaConfig(
    vocab_size=VOCAB, width=8, layers=2, heads=2, kv_heads=1, hidden=12, context=16, head_dim=4, tied=True
)
IDS = [1, 2, 3, 2, 1]


@cache
def model() -> Decoder:
    found = FAMILIES["llama"].build(LLAMA)
    assert isinstance(found, Decoder)
    initialise(found, 0)
    return found.eval().requires_grad_(False)


def run(loaded: Loaded) -> None:
    limit = min(len(IDS), loaded.model.context)
    tokens = torch.tensor([IDS])[:, :limit] % loaded.model.config.vocab_size
    with torch.inference_mode():
        loaded.model.reader(tokens)(tokens, None)
    work(loaded.tokenizer)


def opened(name: str, *said: str) -> Callable[[Path], object]:
    return lambda folder: run(open_checkpoint(folder / name, config=said))


def renamed(names: dict[str, str], rest: dict[str, str]) -> dict[str, torch.Tensor]:
    """The model's tensors under the names of another project."""
    found = {}
    for name, weight in model().named_parameters():
        _, *middle = name.split(".")
        if name in rest:
            found[rest[name]] = weight.detach().clone()
        elif len(middle) > 1:
            layer, part = middle[0], ".".join(middle[1:]).removesuffix(".weight")
            found[names[part].format(layer)] = weight.detach().clone()
    return found


HF = {
    "norm1": "model.layers.{}.input_layernorm.weight",
    "norm2": "model.layers.{}.post_attention_layernorm.weight",
    **{f"attn.{part}": f"model.layers.{{}}.self_attn.{part}_proj.weight" for part in "qkvo"},
    **{f"mlp.{part}": f"model.layers.{{}}.mlp.{part}_proj.weight" for part in ("gate", "up", "down")},
}
META = {
    "norm1": "layers.{}.attention_norm.weight",
    "norm2": "layers.{}.ffn_norm.weight",
    **{f"attn.{part}": f"layers.{{}}.attention.w{part}.weight" for part in "qkvo"},
    **{
        f"mlp.{part}": f"layers.{{}}.feed_forward.w{n}.weight"
        for part, n in (("gate", 1), ("down", 2), ("up", 3))
    },
}


def hugging_face(shards: int) -> Files:
    config = {
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": LLAMA.width,
        "num_hidden_layers": LLAMA.layers,
        "num_attention_heads": LLAMA.heads,
        "num_key_value_heads": LLAMA.kv_heads,
        "intermediate_size": LLAMA.hidden,
        "max_position_embeddings": LLAMA.context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": [2],
    }
    tensors = renamed(HF, {"embed.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight"})
    files = {"config.json": json.dumps(config).encode()}
    if shards == 1:
        return files | {"model.safetensors": safetensors(tensors)}
    names = [f"model-{n + 1:05}-of-{shards:05}.safetensors" for n in range(shards)]
    places = {name: names[n % shards] for n, name in enumerate(tensors)}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": places}).encode()
    for file in names:
        files[file] = safetensors({name: tensors[name] for name in tensors if places[name] == file})
    return files


def meta() -> Files:
    params = {"dim": LLAMA.width, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "vocab_size": VOCAB}
    params |= {"multiple_of": 4, "norm_eps": 1e-5, "max_seq_len": 16}
    tensors = renamed(META, {"embed.weight": "tok_embeddings.weight", "norm.weight": "norm.weight"})
    # What its rule makes of a width of 8.
    hidden = 24
    for layer in range(LLAMA.layers):
        for n, shape in ((1, (hidden, 8)), (2, (8, hidden)), (3, (hidden, 8))):
            tensors[f"layers.{layer}.feed_forward.w{n}.weight"] = torch.zeros(shape)
    tensors["output.weight"] = tensors["tok_embeddings.weight"].clone()
    return {"params.json": json.dumps(params).encode(), "consolidated.00.pth": pickled(tensors)}


def pickled(content: Any) -> bytes:
    target = io.BytesIO()
    torch.save(content, target)
    return target.getvalue()


def llama2c(version: int) -> Files:
    from tests.model_core.checkpoint.test_checkpoint_llama2c import legacy, versioned

    return {"model.bin": legacy(model()) if version == 0 else versioned(model())}


def own() -> Files:
    def write(folder: Path) -> None:
        native.save(folder, model(), FAMILIES["llama"], tokenizer=None, name="small", about="random weights")

    return written(write)


def state_dict(make: Callable[[], torch.nn.Module]) -> Callable[[], Files]:
    return lambda: {"model.pth": pickled({"model": make().state_dict()})}


def beside_what_is_shared() -> Files:
    """A state dict, and beside it lists and tuples of which each has the one before twice."""
    lists: Any = ["x"]
    tuples: Any = ("x",)
    for n in range(60):
        lists = [lists, lists]
        tuples = (tuples, tuples) if n < 12 else tuples
    state = tutorials.MiniGPT().state_dict()
    return {"model.pth": pickled({"config": lists, "more": tuples, "model": state})}


heads = f"heads={tutorials.HEADS}"
FORMATS["Hugging Face"] = Format(partial(hugging_face, 1), opened("."))
FORMATS["Hugging Face in pieces"] = Format(partial(hugging_face, 3), opened("."))
FORMATS["Meta"] = Format(meta, opened("."))
FORMATS["llama2.c version 0"] = Format(partial(llama2c, 0), opened("model.bin"))
FORMATS["llama2.c version 1"] = Format(partial(llama2c, 1), opened("model.bin"))
FORMATS["layerscope"] = Format(own, opened("."))
FORMATS["nanoGPT"] = Format(state_dict(tutorials.NanoGPT), opened("model.pth", heads))
FORMATS["mini-GPT"] = Format(state_dict(tutorials.MiniGPT), opened("model.pth"))
FORMATS["mini-GPT, shared parts"] = Format(beside_what_is_shared, opened("model.pth"))
FORMATS["encoder-decoder"] = Format(
    state_dict(partial(tutorials.TutorialTransformer, "pre")), opened("model.pth", heads)
)
