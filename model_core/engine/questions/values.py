"""Tensors of a run: one of a site, the maps of all heads, a slice with its statistics."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_core.analysis import derive
from model_core.analysis.not_finite import is_sound
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind, axis_index, left_axes
from model_core.api.queries.answer import Answer
from model_core.api.queries.values import HeadMaps, SiteTable, SiteValue
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers
from model_core.taps.trace import to_array, wide

FLOAT = 4  # bytes
LARGE = 16 << 20  # bytes of the maps of a layer


@answers(SiteValue)
def value(context: Context, asked: SiteValue) -> Answer:
    chosen, axes = chosen_part(context, asked.site, asked.at)
    return Answer(
        {"dims": " ".join(axes), "dtype": context.site(asked.site).dtype},
        {"values": to_array(chosen)},
    )


def chosen_part(context: Context, site: str, at: Mapping[str, int]) -> tuple[Tensor, list[str]]:
    """The tensor at a site without its batch axis, at the given positions of some axes, and the axes that are left."""
    whole, dims = context.value(site), context.site(site).dims.removeprefix("B ")
    for letter, position in at.items():
        if letter not in dims.split():
            raise InputError(f"{site} has axes {dims}, not {letter}")
        length = whole.shape[dims.split().index(letter)]
        if not 0 <= position < length:
            raise InputError(
                f"there is no position {position} on axis {letter} of {site}: it has 0 to {length - 1}"
            )
    return whole[axis_index(dims, at)], list(left_axes(dims, at))


@answers(HeadMaps)
def overview(context: Context, asked: HeadMaps) -> Answer:
    kind = kind_named(context, asked.stack)
    if context.site(kind.site(0, asked.word)).dims.split()[-2:] != ["T", "S"]:
        raise InputError(f"'{asked.word}' is no map of who looks at whom")
    maps = [shrunk(context, kind, layer, asked) for layer in range(kind.layers)]
    size = context.site(kind.site(0, asked.word)).shape[-2:]
    return Answer({"size": list(size)}, {"maps": to_array(torch.stack(maps))})


def shrunk(context: Context, kind: AttentionKind, layer: int, asked: HeadMaps) -> Tensor:
    """The maps of a layer, [H t s]. Large ones are computed a head at a time, and none is kept."""
    key, side = kind.site(layer, asked.word), max(1, asked.side)
    if math.prod(context.site(key).shape) * FLOAT <= LARGE:
        return derive.shrink(context.value(key), side)
    attention = key.rpartition(".")[0]
    heads = context.run.maps(attention, asked.word, context.cancelled)
    return torch.stack([derive.shrink(map_[None], side)[0] for map_ in heads])


def kind_named(context: Context, name: str) -> AttentionKind:
    """The kind of attention of that name. InputError where the model has none such."""
    for kind in context.run.model.attentions:
        if kind.name == name:
            return kind
    raise InputError(f"this model has no attention of the kind {name!r}")


@answers(SiteTable)
def inspect(context: Context, asked: SiteTable) -> Answer:
    chosen, axes = chosen_part(context, asked.site, asked.at)
    values: np.ndarray[Any, Any] = wide(chosen).cpu().contiguous().numpy()
    flat = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    counts, edges = derive.histogram(values)
    described = context.site(asked.site)
    return Answer(
        {
            "site_dims": described.dims,
            "site_shape": list(described.shape),
            "dtype": described.dtype,
            "axes": axes,
            "shape": list(values.shape),
            "statistics": derive.statistics(values),
            "not_finite": "" if is_sound(asked.site, chosen) else context.not_finite(),
        },
        {"table": np.ascontiguousarray(flat[: asked.limit, : asked.limit]), "counts": counts, "edges": edges},
    )
