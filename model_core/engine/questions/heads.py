"""What the heads do."""

from dataclasses import asdict

import torch

from model_core.analysis import roles
from model_core.api.errors import Cancelled
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
        layers = []
        for layer in range(kind.layers):
            if context.cancelled():
                raise Cancelled
            visible = context.value(kind.site(layer, "masked")) > -torch.inf
            pattern = context.value(kind.site(layer, "pattern"))
            layers.append(roles.role_scores(pattern, visible, queries, keys, kind))
        found = {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
    return Answer(
        {"roles": [asdict(role) for role in roles_of(kind)]},
        {name: to_array(scores) for name, scores in found.items()},
    )
