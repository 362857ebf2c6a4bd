"""Tiny random models of every decoder family, with weights wide enough that every part of them matters.

Some families have several: the name begins with the family's, and goes on with what is different.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from model_core.checkpoint.formats import native
from model_core.families.first_weights import initialise
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from model_core.families.mini import MiniConfig
from model_core.families.mistral import MistralConfig
from model_core.families.qwen2 import Qwen2Config
from model_core.families.qwen3 import Qwen3Config
from model_core.families.registry import family_of
from model_core.families.seq2seq import Seq2SeqConfig
from model_core.parts.decoder import Decoder
from model_core.sources import growth

VOCAB = 2048  # as many as the tales vocabulary has
CONTEXT = 24
LAYERS = 3
HEADS = 4

Config = GPT2Config | MiniConfig | LlamaConfig | Qwen2Config | Qwen3Config | MistralConfig

GPT_LIKE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "width": 24,
    "layers": LAYERS,
    "heads": HEADS,
    "hidden": 40,
    "context": CONTEXT,
    "tied": False,
}

LLAMA_LIKE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "width": 24,
    "layers": LAYERS,
    "heads": HEADS,
    "kv_heads": 2,
    "hidden": 40,
    "context": CONTEXT,
    "head_dim": 6,
}

CONFIGS: dict[str, Config] = {
    "gpt2": GPT2Config(**GPT_LIKE),
    "gpt2 without qkv_bias": GPT2Config(**GPT_LIKE, qkv_bias=False),
    "mini": MiniConfig(**GPT_LIKE),
    "mini learned silu": MiniConfig(**GPT_LIKE, positions="learned", activation="silu"),
    "mini rope gelu": MiniConfig(**GPT_LIKE, positions="rope", activation="gelu"),
    "mini none": MiniConfig(**GPT_LIKE, positions="none"),
    "llama": LlamaConfig(**LLAMA_LIKE),
    "qwen2": Qwen2Config(**LLAMA_LIKE, windows=(None, 4, None)),
    "qwen3": Qwen3Config(**LLAMA_LIKE | {"head_dim": 8}),
    "mistral": MistralConfig(**LLAMA_LIKE, windows=(5,) * LAYERS),
}

# The site that says where a token stands, where there is one.
POSITIONS: dict[str, list[str]] = {
    "gpt2": ["pos.out"],
    "gpt2 without qkv_bias": ["pos.out"],
    "mini": ["pos.out"],
    "mini learned silu": ["pos.out"],
    "mini rope gelu": ["rope.angles"],
    "mini none": [],
    "llama": ["rope.angles"],
    "qwen2": ["rope.angles"],
    "qwen3": ["rope.angles"],
    "mistral": ["rope.angles"],
}


# Those that read two texts.
ENCODER_DECODERS: dict[str, Seq2SeqConfig] = {
    "seq2seq": Seq2SeqConfig(
        vocab_size=VOCAB, width=24, layers=LAYERS, heads=HEADS, hidden=40, context=CONTEXT
    ),
}
ENCODER_DECODERS["seq2seq post"] = replace(ENCODER_DECODERS["seq2seq"], order="post", norm="standard")


def tiny(family: str, dtype: torch.dtype = torch.float32) -> Decoder:
    """The decoder family's model, the same at every call: attention far from uniform, logits far apart."""
    model: Decoder = built(CONFIGS[family], dtype)
    return model


def built(config: Config | Seq2SeqConfig, dtype: torch.dtype = torch.float32) -> Any:
    """The model of a configuration, the same at every call."""
    model = family_of(config).build(config)
    initialise(model, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(25 if name.removeprefix("encoder.").startswith(("embed", "pos")) else 8)
            else:
                weight.add_(torch.linspace(-0.2, 0.2, len(weight)))
    return model.to(dtype).eval().requires_grad_(False)


def tokens(length: int) -> list[int]:
    """Token ids without a pattern, the same at every call."""
    return torch.randint(VOCAB, (length,), generator=torch.Generator().manual_seed(1)).tolist()


def save(folder: Path, family: str, *, tokenizer: str | None = "tales-2048", name: str = "tiny") -> str:
    """A checkpoint of a tiny model in our own layout; returns its path, to be given as a model."""
    model = built((CONFIGS | ENCODER_DECODERS)[family])
    native.save(
        folder,
        model,
        family_of(model.config),
        tokenizer=tokenizer,
        name=name,
        about="random weights",
        dtype="float32",
    )
    return str(folder)


# The steps of `growing`.
GROWN = (0, 1, 4, 16)


def growing(folder: Path, tokenizer: str | None = "tales-2048") -> Path:
    """A model that was kept at the steps GROWN of a training that never was: other weights and scores at each."""
    family, kept = family_of(CONFIGS["llama"]), []
    for n, step in enumerate(GROWN):
        model = built(CONFIGS["llama"])
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(1 + n / 8)
        place = folder if step == GROWN[-1] else growth.step_folder(folder, step)
        native.save(place, model, family, tokenizer=tokenizer, name=f"grown {step}", about="random weights")
        scores = torch.rand(2, LAYERS, HEADS, generator=torch.Generator().manual_seed(n)).tolist()
        kept.append(
            growth.Moment(step, 1000 * step, dict(zip(("previous", "induction"), scores, strict=True)))
        )
        growth.write(folder, kept)
    return folder
