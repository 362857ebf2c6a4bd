"""What training begins from: random weights that depend on the seed alone, never on the device."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from model_core.api.recipe import EMBEDDING


def first_weights(
    model: nn.Module, seed: int, embedding: float = EMBEDDING, gain: float = 1.0
) -> Iterator[tuple[str, Tensor]]:
    """Each parameter's name and float32 values as training begins, one after the other; the model's own are not read.

    normal(0, 0.02), gains 1, biases 0; of a decoder-only model the layers that write to the residual stream are scaled
    by 1/sqrt(2 N), as GPT-2's are. An embedding to which fixed sines as large as 1 are added may have to begin wider,
    to be seen beside them. So may one that is to keep tokens apart while a high learning rate moves it; where it is
    the output head as well, the last norm's gain then has to begin lower, or the first logits are far too large.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = sum(name.endswith("attn.o.weight") for name, _ in model.named_parameters())
    for name, parameter in model.named_parameters():
        values = torch.zeros(parameter.shape)
        if parameter.ndim == 2:
            writes = name.startswith("blocks.") and name.endswith((".attn.o.weight", ".mlp.down.weight"))
            std = 0.02 / math.sqrt(2 * layers) if writes else 0.02
            values.normal_(std=embedding if name.endswith("embed.weight") else std, generator=generator)
        elif name.endswith("weight"):
            values.fill_(gain if name == "norm.weight" else 1)
        yield name, values


@torch.no_grad()
def initialise(model: nn.Module, seed: int, embedding: float = EMBEDDING, gain: float = 1.0) -> None:
    """Give the model its first weights, in place."""
    drawn = first_weights(model, seed, embedding, gain)
    for parameter, (_, values) in zip(model.parameters(), drawn, strict=True):
        parameter.copy_(values)
