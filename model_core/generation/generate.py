"""Text from a model, one token at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from model_core.analysis.not_finite import first_not_finite
from model_core.api.edits import Edit, Told
from model_core.api.errors import InputError
from model_core.parts.model import Model
from model_core.runs.edited import ReadSite, no_files, prepare
from model_core.runs.run import Run
from model_core.taps.tap import record
from model_core.taps.trace import wide


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. temperature 0 is greedy; top_k and top_p keep the likeliest tokens only."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature {self.temperature} is not a number from 0 up")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top-k {self.top_k} keeps no token: use 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top-p {self.top_p} is not a share above 0 and up to 1")


def distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities [V] that the next token is drawn from: logits [V] / T, top-k, softmax, top-p, renormalised.

    top-p keeps the fewest likeliest tokens whose probabilities reach p (Holtzman et al. 2020); at least one stays.
    """
    if sampling.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(), len(logits)).float()
    # Shifting by the largest first keeps a tiny temperature from overflowing to infinity.
    logits = (logits.double() - logits.max()) / max(sampling.temperature, 1e-9)
    if sampling.top_k is not None and sampling.top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(sampling.top_k).values[-1], float("-inf"))
    probabilities = logits.softmax(-1)
    if sampling.top_p is not None:
        ordered, order = probabilities.sort(descending=True)
        cut = ordered.cumsum(-1) - ordered >= sampling.top_p
        probabilities = probabilities.index_fill(0, order[cut], 0)
    return probabilities / probabilities.sum()


def generate(
    model: Model,
    tokens: Sequence[int],
    count: int,
    sampling: Sampling,
    edits: Sequence[Edit] = (),
    *,
    source: Sequence[int] = (),
    read_site: ReadSite = no_files,
    stop: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[int]:
    """Up to `count` token ids that go on after `tokens`; ends early at `stop` or where the context is full.

    source     what the encoder of an encoder-decoder reads; the prompt where it is empty
    stop       the token after which the text ends
    read_site  gives what edits refer to, of a file and a key

    InputError, once all before it was told, where the model foresees no numbers; it says where the run left them.
    The prompt is read once into a KV cache; an edit that lets tokens see the future has the text read anew each time.
    """
    if not tokens:
        raise InputError("the prompt is empty: type some text")
    cached = not any(edit.needs_whole_text for edit in edits)
    tensors = prepare(model, edits, read_site, cached=cached)
    device = next(model.parameters()).device
    others = [torch.tensor([source or tokens], device=device)] * (len(model.inputs) - 1)
    recorded = partial(record, model, (), edits, cancelled=cancelled)
    with torch.inference_mode(), recorded(told=Told(tensors)):
        read = model.reader(*others)
    generator = torch.Generator().manual_seed(sampling.seed)
    text = list(tokens)
    capacity = min(model.context, len(text) + count)
    cache = model.empty_cache(1, capacity) if cached else None
    unread = text
    for _ in range(count):
        with torch.inference_mode(), recorded(told=Told(tensors, growing=True)):
            logits = wide(read(torch.tensor([unread], device=device), cache)[0, -1]).cpu()
        if not logits.isfinite().all():
            first = (source or tokens) if others else text
            found = first_not_finite(
                Run(model, first, edits, target=text, read_site=read_site, cancelled=cancelled)
            )
            raise InputError(f"no token can be chosen here: {found or 'the logits are no finite numbers'}")
        token = int(distribution(logits, sampling).multinomial(1, generator=generator))
        yield token
        text.append(token)
        if token == stop or len(text) > model.context:
            return
        unread = text if cache is None else [token]
