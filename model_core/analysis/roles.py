"""What a head attends to, as six numbers between 0 and 1: its roles on a text.

Five of them are shares. A role names the keys that a query should look at; its score is the weight that a head gives
to them, averaged over the queries that have a choice: some visible key is named, and some other is not. The sixth
says how evenly a query's attention is spread over what it may see.

On a probe of distinct tokens, twice, previous, duplicate and induction are the scores of `scores.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from model_core.analysis.probe import probes, stacked
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind
from model_core.api.role_list import LOCAL, roles_of
from model_core.parts.model import Model


def named_keys(role: str, queries: Tensor, keys: Tensor, *, same: bool) -> Tensor:
    """[T S] of bool: the keys that a role names to each query, from the tokens of both texts, [T] and [S].

    same  whether both are one text; a token is then no duplicate of itself
    """
    t, s = torch.arange(len(queries))[:, None], torch.arange(len(keys))[None]
    equal = queries[:, None] == keys[None]
    if role == "previous":
        return s == t - 1
    if role == "induction":
        # Key s followed an occurrence of the query's token, at s - 1; the query's own place is none.
        followed = torch.nn.functional.pad(equal[:, :-1], (1, 0))
        return followed & (s != t) & (s != t + 1)
    if role == "duplicate":
        return equal & (s != t) if same else equal
    if role == "first":
        return (s == 0).expand(len(queries), -1)
    if role == "local":
        return (t - s).abs() <= LOCAL
    raise ValueError(f"no keys belong to the role {role!r}")


def share(patterns: Tensor, visible: Tensor, named: Tensor) -> Tensor:
    """[H]: the mean weight of `patterns` [H T S] on the named keys [T S], over the queries that have a choice.

    visible  [H T S] of bool: what the mask leaves. NaN for a head none of whose queries has a choice.
    """
    wanted, others = visible & named, visible & ~named
    choice = wanted.any(-1) & others.any(-1)
    weight = (patterns * wanted).sum(-1)
    return torch.where(choice, weight, 0).sum(-1) / choice.sum(-1)


def uniformity(patterns: Tensor, visible: Tensor) -> Tensor:
    """[H]: the mean over queries of the entropy of their row of `patterns` [H T S], over that of an even spread.

    Queries that see one key alone have no choice and are left out. NaN for a head that has no others.
    """
    count = visible.sum(-1)
    entropy = torch.special.entr(patterns).sum(-1)
    choice = count > 1
    evenness = entropy / count.clamp_min(2).log()
    return torch.where(choice, evenness, 0).sum(-1) / choice.sum(-1)


def role_scores(
    patterns: Tensor, visible: Tensor, queries: Tensor, keys: Tensor, kind: AttentionKind
) -> dict[str, Tensor]:
    """Scores [H] of each role that the kind of attention has, on patterns [H T S] over tokens [T] and [S].

    Between 0 and 1, whatever the pattern; NaN where the text gives no query a choice (no token stands twice, ...).
    """
    patterns, same = patterns.float(), kind.queries == kind.keys
    scores = {}
    for role in roles_of(kind):
        if role.name == "uniform":
            score = uniformity(patterns, visible)
        else:
            named = named_keys(role.name, queries, keys, same=same)
            score = share(patterns, visible, named.to(patterns.device))
        # Weights of a row add up to 1 but for rounding.
        scores[role.name] = score.clamp(0, 1).cpu()
    return scores


def layer_scores(
    maps: Iterable[Sequence[Tensor]], queries: Tensor, keys: Tensor, kind: AttentionKind
) -> dict[str, Tensor]:
    """`role_scores` as a table [L H] of each role, from the masked scores and the pattern [H T S] of each layer."""
    return stacked(
        [role_scores(pattern, masked > -torch.inf, queries, keys, kind) for masked, pattern in maps]
    )


_probed: WeakKeyDictionary[Model, Mapping[str, Tensor]] = WeakKeyDictionary()


def probe_roles(
    model: Model,
    *,
    length: int = 64,
    rows: int = 4,
    seed: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Mapping[str, Tensor]:
    """Scores [L H] of a model's heads on the standard probe, `length` distinct random tokens twice; measured once.

    Shorter where the context or the vocabulary has no room. InputError for a model that reads two texts, or has no
    room to repeat two tokens. Raises Cancelled.
    """
    if model in _probed:
        return _probed[model]
    if len(model.inputs) > 1:
        raise InputError(
            "the probe is one text that repeats itself; this model reads two: ask for the prompt"
        )
    (kind,) = model.attentions
    vocab_size = model.config.vocab_size

    def draw(count: int, generator: torch.Generator) -> Tensor:
        return torch.randperm(vocab_size, generator=generator)[:count]

    total: dict[str, Tensor] = {}
    for tokens, trace in probes(
        model,
        ["masked", "pattern"],
        draw=draw,
        length=min(length, vocab_size),
        rows=rows,
        seed=seed,
        cancelled=cancelled,
    ):
        maps = [[trace[kind.site(n, word)][0] for word in ("masked", "pattern")] for n in range(kind.layers)]
        for name, table in layer_scores(maps, tokens, tokens, kind).items():
            total[name] = total[name] + table / rows if name in total else table / rows
    _probed[model] = total
    return total
