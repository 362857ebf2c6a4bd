"""How the model knows where a token stands."""

import math

import torch

from model_core.analysis import conventions, derive
from model_core.api.errors import InputError
from model_core.api.queries import Answer
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers, number
from model_core.parts.position import Rope
from model_core.taps.trace import to_array

ANGLES = "rope.angles"


@answers("rope")
def rope_(context: Context, layer: int, head: int) -> Answer:
    """Angles [T P] and frequencies [P] (radians a position), q and k of a head before and after rotation [T D]."""
    model = context.run.model
    rope: Rope | None = getattr(model, "rope", None)
    if rope is None:
        raise InputError("this model has no rotary positions")
    (kind,) = model.attentions
    layer, head = number(layer, kind.layers, "layer"), number(head, kind.heads, "head")
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


@answers("rope_conventions")
def rope_conventions(context: Context, layer: int, head: int, query: int, key: int) -> Answer:
    """One head's rotation in both conventions, computed in float64 from the run's own q and k: one score, and all.

    pairs, halves       the score of `query` at `key` either way; run: what the model computed itself
    max_difference      of the two, over all scores of the head; largest: the largest of them in magnitude
    q_pairs, q_halves   the turned q of `query` [D] in either order
    """
    rope = rope_(context, layer, head)
    q, k, angles = (torch.from_numpy(rope.arrays[name]) for name in ("q", "k", "angles"))
    at = number(query, len(q), "query token"), number(key, len(k), "key token")
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


@answers("positions")
def positions(context: Context) -> Answer:
    """How the model knows where a token stands: "rotary", "table" (rows [T C] and their cosines [T T]), or "none".

    learned  whether the rows of the table are parameters, or computed
    text     which of the texts they belong to: of several, the longest
    """
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
