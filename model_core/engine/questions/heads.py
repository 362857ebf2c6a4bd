"""What the heads do."""

from collections.abc import Iterator
from dataclasses import asdict

import torch

from model_core.analysis import roles
from model_core.api.errors import Cancelled
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.heads import HeadRoles
from model_core.api.role_list import roles_of
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers
from model_core.engine.questions.values import kind_named
from model_core.taps.trace import to_array


@answers(HeadRoles)
def roles_(context: Context, asked: HeadRoles) -> Answer:
    kind, run = kind_named(context, asked.stack), context.run
    if asked.on == "probe":
        found = roles.probe_roles(run.model, cancelled=context.cancelled)
    else:
        queries, keys = (torch.tensor(run.inputs[text]) for text in (kind.queries, kind.keys))
        found = roles.layer_scores(maps(context, kind), queries, keys, kind)
    return Answer(
        {"roles": [asdict(role) for role in roles_of(kind)]},
        {name: to_array(scores) for name, scores in found.items()},
    )


def maps(context: Context, kind: AttentionKind) -> Iterator[list[torch.Tensor]]:
    """The masked scores and the pattern [H T S] of each layer, one after the other. Raises Cancelled."""
    for layer in range(kind.layers):
        if context.cancelled():
            raise Cancelled
        yield [context.value(kind.site(layer, word)) for word in ("masked", "pattern")]
