"""The probe: n random tokens, twice: x[0] ... x[n-1] x[0] ... x[n-1].

Nothing but the repetition can be foreseen, so a head that looks at the right place there does so by rule and not by
meaning (Olsson et al. 2022, "In-context Learning and Induction Heads").
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from model_core.api.errors import Cancelled, InputError
from model_core.parts.model import Model
from model_core.taps.tap import record
from model_core.taps.trace import Trace


def probes(
    model: Model,
    words: Sequence[str],
    *,
    draw: Callable[[int, torch.Generator], Tensor],
    length: int,
    rows: int,
    seed: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Tensor, Trace]]:
    """The tokens [T] of `rows` probes, one after the other, each with the record of a model that reads one text.

    words   what is recorded of each layer's attention, such as "pattern" [1 H T S], T = S
    draw    the n tokens [n] of a probe; n is `length`, or less where the context has no room for so many twice

    InputError where that leaves less than two. Raises Cancelled.
    """
    length = min(length, model.context // 2)
    if length < 2:
        raise InputError(f"a context of {model.context} is too short to repeat two tokens in")
    (kind,) = model.attentions
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    keep = [kind.site(layer, word) for layer in range(kind.layers) for word in words]
    for _ in range(rows):  # one at a time: the patterns of all rows may not fit into memory
        half = draw(length, generator)
        tokens = torch.cat([half, half])
        with torch.inference_mode(), record(model, keep, cancelled=cancelled) as trace:
            model(tokens[None].to(device))
        if cancelled():
            raise Cancelled
        yield tokens, trace


def stacked(layers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Scores [H] of each layer as one table [L H] a score."""
    return {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
