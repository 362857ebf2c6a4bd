"""Files of a state dict, as tutorials save them."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from model_core.checkpoint.building import Loaded
from tests.support.models import tutorials
from tests.support.models.tutorials import HEADS, VOCAB, drawn

TOKENS = torch.arange(15)[None] * 7 % VOCAB
HEADS_SAID = [f"heads={HEADS}"]
EXACT = {"rtol": 0.0, "atol": 1e-5}


# What is opened, the family it is, and what has to be said of it.
LAYOUTS: dict[str, tuple[Callable[[], nn.Module], str, list[str]]] = {
    "nanoGPT": (tutorials.NanoGPT, "gpt2", [*HEADS_SAID, "activation=gelu"]),
    "nanoGPT without biases": (partial(tutorials.NanoGPT, bias=False), "gpt2", [*HEADS_SAID, "act=gelu"]),
    "nanoGPT, untied": (partial(tutorials.NanoGPT, tied=False), "gpt2", [*HEADS_SAID, "activation=gelu"]),
    "minGPT": (
        partial(tutorials.NanoGPT, tied=False, activation=partial(gelu, approximate="tanh")),
        "gpt2",
        HEADS_SAID,
    ),
    "LLMs-from-scratch": (tutorials.FromScratchGPT, "gpt2", HEADS_SAID),
    "LLMs-from-scratch with biases": (partial(tutorials.FromScratchGPT, qkv_bias=True), "gpt2", HEADS_SAID),
    "LLMs-from-scratch, tied": (partial(tutorials.FromScratchGPT, tied=True), "gpt2", HEADS_SAID),
    "mini-GPT": (tutorials.MiniGPT, "mini", []),
    "mini-GPT, tied": (partial(tutorials.MiniGPT, tied=True), "mini", []),
    "mini-GPT with learned positions, tied": (
        partial(tutorials.MiniGPT, positions="learned", tied=True),
        "mini",
        [],
    ),
    "mini-GPT without a stored table": (partial(tutorials.MiniGPT, positions="computed"), "mini", []),
    "mini-GPT with learned positions": (partial(tutorials.MiniGPT, positions="learned"), "mini", []),
    "mini-GPT without positions": (partial(tutorials.MiniGPT, positions="none"), "mini", ["positions=none"]),
    "encoder-decoder": (partial(tutorials.TutorialTransformer, "pre"), "seq2seq", HEADS_SAID),
    "encoder-decoder, tied": (
        partial(tutorials.TutorialTransformer, "pre", tied=True),
        "seq2seq",
        HEADS_SAID,
    ),
    "encoder-decoder, normed": (
        partial(tutorials.TutorialTransformer, "normed"),
        "seq2seq",
        [*HEADS_SAID, "order=normed"],
    ),
}


def logits(loaded: Loaded) -> Tensor:
    if loaded.family.name == "seq2seq":
        return loaded.model.reader(TOKENS)(TOKENS, None)
    return loaded.model(TOKENS)


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def nano(path: Path) -> Path:
    return saved(path, drawn(tutorials.NanoGPT()).state_dict())


def change(path: Path, change: Callable[[dict[str, Tensor]], object], make: type[nn.Module]) -> Path:
    state = dict(drawn(make()).state_dict())
    change(state)
    return saved(path, state)


def rewritten(path: Path, change: Callable[[str, bytes], tuple[bytes, int]]) -> Path:
    """The file with other records; `change` is given each, and says its bytes and how they are compressed."""
    with zipfile.ZipFile(path) as old:
        content = {entry.filename: old.read(entry) for entry in old.infolist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            data, method = change(name, data)
            new.writestr(name, data, method)
    return path
