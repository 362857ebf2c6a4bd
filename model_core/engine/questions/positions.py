"""How the model knows where a token stands."""

import math

import torch

from model_core.analysis import conventions, derive
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.positions import PositionTable, RopeConventions, RopeOfHead
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers, number
from model_core.parts.position import Rope
from model_core.taps.trace import to_array

ANGLES = "rope.angles"


@answers(RopeOfHead)
def rope_(context: Context, asked: RopeOfHead) -> Answer:
    model = context.run.model
    rope: Rope | None = getattr(model, "rope", None)
    if rope is None:
        raise InputError("this model has no rotary positions")
    (kind,) = model.attentions
    layer, head = number(asked.layer, kind.layers, "layer"), number(asked.head, kind.heads, "head")
    group = head // (kind.heads // kind.kv_heads)
    at = f"blocks.{layer}.attn"
    # What is turned is q and k themselves, or their norms where a model has such.
    before = {
        name: next(
            source for source in context.run.graph.predecessors(f"{at}.{name}_rot") if source != ANGLES
        )
        for name in "qk"
    }
    arrays = {
        "angles": context.value(ANGLES),
        "frequencies": rope.frequencies(torch.device("cpu")),
        "q": context.value(before["q"])[head],
        "q_rot": context.value(f"{at}.q_rot")[head],
        "k": context.value(before["k"])[group],
        "k_rot": context.value(f"{at}.k_rot")[group],
    }
    facts = {
        "theta": rope.theta,
        "rescaled": rope.rescale is not None,
        "group": group,
        "scale": 1 / math.sqrt(kind.head_dim),
    }
    return Answer(facts, {name: to_array(a) for name, a in arrays.items()})


@answers(RopeConventions)
def rope_conventions(context: Context, asked: RopeConventions) -> Answer:
    layer, head, query = asked.layer, asked.head, asked.query
    rope = rope_(context, RopeOfHead(layer, head))
    q, k, angles = (torch.from_numpy(rope.arrays[name]) for name in ("q", "k", "angles"))
    at = number(query, len(q), "query token"), number(asked.key, len(k), "key token")
    in_pairs, in_halves = conventions.both(q, k, angles, rope["scale"])
    (kind,) = context.run.model.attentions
    turned = conventions.rotate_pairs(q.double(), angles.double())[query]
    numbers = {
        "pairs": in_pairs[at],
        "halves": in_halves[at],
        "run": context.value(kind.site(layer, "scores"))[head][at].double().cpu(),
        "max_difference": (in_pairs - in_halves).abs().max(),
        "largest": in_pairs.abs().max(),
        "q_pairs": turned,
        "q_halves": turned[conventions.halves_from_pairs(len(turned))],
    }
    # Any of them may be NaN, which an array can say and a fact cannot.
    return Answer({}, {name: values.numpy() for name, values in numbers.items()})


@answers(PositionTable)
def positions(context: Context, asked: PositionTable) -> Answer:
    model, sites = context.run.model, context.run.sites
    if ANGLES in sites:
        return Answer({"kind": "rotary"})
    tables = {key: site.shape[0] for key, site in sites.items() if key.endswith("pos.out")}
    if not tables:
        return Answer({"kind": "none"})
    longest = max(tables, key=lambda key: tables[key])
    table, module = context.value(longest), model.get_submodule(sites[longest].module)
    facts = {
        "kind": "table",
        "learned": any(True for _ in module.parameters()),
        "text": context.run.texts(longest)["T"],
    }
    return Answer(facts, {"table": to_array(table), "cosines": to_array(derive.cosines(table))})
