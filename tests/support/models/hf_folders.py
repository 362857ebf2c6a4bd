"""Folders of Hugging Face checkpoints, changed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_core.checkpoint.building import Loaded
from tests.support.models.reference import VOCAB

TOKENS = torch.arange(20)[None] % VOCAB
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def logits(loaded: Loaded) -> Tensor:
    return loaded.model(TOKENS)


def set_config(folder: Path, **values: Any) -> None:
    """Change keys of config.json; None removes one."""
    config = json.loads((folder / CONFIG).read_text()) | values
    (folder / CONFIG).write_text(
        json.dumps({key: value for key, value in config.items() if value is not None})
    )


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]) -> None:
    weights = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file({name: tensor.contiguous() for name, tensor in change(weights).items()}, folder / WEIGHTS)
