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


def on_probe(
    model: Model,
    words: Sequence[str],
    score: Callable[..., Mapping[str, Tensor]],
    *,
    draw: Callable[[int, torch.Generator], Tensor],
    length: int,
    rows: int,
    seed: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, Tensor]]:
    """Scores [L H] of a model that reads one text on `rows` probes, one after the other.

    words   what is recorded of each layer's attention, such as "pattern"
    score   scores [H] of one layer, given the tokens [T] and these values [1 H T S], T = S
    draw    the n tokens [n] of a probe; n is `length`, or less where the context has no room for so many twice

    InputError where that leaves less than two. Raises Cancelled.
    """
    length = min(length, model.context // 2)
    if length < 2:
        raise InputError(f"a context of {model.context} is too short to repeat two tokens in")
    (kind,) = model.attentions
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    sites = [[kind.site(layer, word) for word in words] for layer in range(kind.layers)]
    keep = [site for layer in sites for site in layer]
    for _ in range(rows):  # one at a time: the patterns of all rows may not fit into memory
        half = draw(length, generator)
        tokens = torch.cat([half, half])
        with torch.inference_mode(), record(model, keep, cancelled=cancelled) as trace:
            model(tokens[None].to(device))
        if cancelled():
            raise Cancelled
        yield stacked([score(tokens, *(trace[site] for site in layer)) for layer in sites])


def stacked(layers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Scores [H] of each layer as one table [L H] a score."""
    return {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
