"""Checkpoints that cannot be opened: how each is damaged, and the words that its message must have.

A damage is done to a folder in our own layout, such as `tiny.save` writes.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_core.checkpoint.formats.native import MANIFEST, WEIGHTS


def broken(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return damage


def without_first_layer(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("blocks.0.")]:
        del tensors[name]


def without_width(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del manifest["config"]["width"]
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def of_family(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        (folder / MANIFEST).write_text(json.dumps(manifest | {"family": name}), encoding="utf-8")

    return damage


def hugging_face(**config: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / MANIFEST).unlink()
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    return damage


class Malicious:
    """Unpickled, it would end the program."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def of_meta(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / MANIFEST).unlink()
        (folder / "params.json").write_text(json.dumps({"dim": 24, "n_layers": 3, "n_heads": 4}))
        write(folder / "consolidated.00.pth")

    return damage


BROKEN: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no config": (
        lambda folder: (folder / MANIFEST).unlink(),
        ["has no config.json, params.json or layerscope.json"],
    ),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), ["has no model.safetensors"]),
    "config without a key": (without_width, ["layerscope.json: the config has no 'width'"]),
    "config of Hugging Face without a key": (
        hugging_face(model_type="llama", num_attention_heads=4),
        ["config.json has no 'hidden_size'"],
    ),
    "unknown family": (of_family("mamba"), ["the family 'mamba'; known are gpt2, llama"]),
    "unknown family of Hugging Face": (
        hugging_face(model_type="mamba"),
        ["the model_type 'mamba'; the types known here are gpt2, llama"],
    ),
    "tensors missing": (
        broken(without_first_layer),
        ["lacks blocks.0.attn.k.weight, blocks.0.attn.o.weight, blocks.0.attn.q.weight and 6 more"],
    ),
    "tensors too many": (
        broken(lambda tensors: tensors.update({f"more.{n}": torch.zeros(1) for n in range(5)})),
        ["stores more.0, more.1, more.2 and 2 more, for which its configuration has no place"],
    ),
    "tensors of another shape": (
        broken(
            lambda tensors: tensors.update({f"blocks.{n}.norm1.weight": torch.zeros(7) for n in range(3)})
        ),
        ["blocks.0.norm1.weight", "blocks.2.norm1.weight", "(7,), not (24,)"],
    ),
    "damaged file of Meta's": (
        of_meta(lambda path: path.write_bytes(b"PK\x03\x04 and no more")),
        ["consolidated.00.pth is no whole file of torch.save"],
    ),
    "malicious pickle": (
        of_meta(lambda path: torch.save({"tok_embeddings.weight": Malicious()}, path)),
        ["holds more than weights (", "which could run code and is not read"],
    ),
    "truncated weights": (
        lambda folder: os.truncate(folder / WEIGHTS, 5000),
        ["model.safetensors is no whole safetensors file: "],
    ),
    "weights that are no numbers": (
        broken(lambda tensors: tensors["blocks.1.mlp.up.weight"][3].fill_(float("nan"))),
        ["blocks.1.mlp.up.weight holds NaN or infinite weights: the checkpoint is damaged"],
    ),
}
