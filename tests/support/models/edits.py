"""Edits of every kind, for property tests."""

from collections.abc import Sequence

from hypothesis import strategies as st

from model_core.api.edits import AblateHead, Edit, MaskOff
from model_core.api.edits.cut import CutEdge
from model_core.api.edits.mean import MeanHead
from model_core.api.edits.patch import Patch
from model_core.api.edits.set_cell import SetCell
from model_core.api.edits.skip import Skip
from model_core.api.edits.window import SlidingWindow
from model_core.api.names import ATTENTION_PATHS, AttentionKind
from model_core.parts.model import Model
from model_core.runs.graph import measured

numbers = st.integers(0, 999_999)
stacks = st.sampled_from(sorted(ATTENTION_PATHS))
of_one_text = st.sampled_from(["", "encoder", "decoder"])
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}(\.[a-z0-9_]{1,8}){0,3}", fullmatch=True)
files = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1).filter(
    lambda name: name == name.strip() and "from" not in name.lower()
)

any_edit = st.one_of(
    st.just(MaskOff()),
    st.builds(MaskOff, numbers),
    st.builds(MaskOff, numbers, numbers, stacks),
    st.builds(MaskOff, stack=stacks),
    st.builds(AblateHead, numbers, numbers, stacks),
    st.builds(MeanHead, numbers, numbers, stacks),
    st.builds(CutEdge, numbers, numbers, numbers, numbers, st.booleans(), stacks),
    st.builds(SlidingWindow, st.integers(1, 999_999)),
    st.builds(SlidingWindow, st.integers(1, 999_999), numbers, st.none() | numbers, of_one_text),
    st.builds(Skip, numbers, st.sampled_from(["", "attn", "mlp"]), of_one_text),
    st.builds(Skip, numbers, st.just("cross")),
    st.builds(
        SetCell,
        keys,
        st.lists(numbers, min_size=1, max_size=4).map(tuple),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.builds(Patch, keys, files, st.none() | numbers),
)


def fitting_edit(model: Model, lengths: Sequence[int]) -> st.SearchStrategy[Edit]:
    """Edits that a model has a place for, of a run with texts of these lengths."""
    return st.sampled_from(model.attentions).flatmap(lambda kind: of_kind(kind, lengths)) | at_site(
        model, lengths
    )


def of_kind(kind: AttentionKind, lengths: Sequence[int]) -> st.SearchStrategy[Edit]:
    layers, heads = st.integers(0, kind.layers - 1), st.integers(0, kind.heads - 1)
    queries, keys = st.integers(0, lengths[kind.queries] - 1), st.integers(0, lengths[kind.keys] - 1)
    name, parts = st.just(kind.name), st.sampled_from(["", "attn", "mlp"])
    cross = kind.name == "cross"
    sizes = st.integers(1, 12)
    return st.one_of(
        st.just(MaskOff()),
        st.builds(MaskOff, layers, st.none() | heads, name),
        st.builds(AblateHead, layers, heads, name),
        st.builds(MeanHead, layers, heads, name),
        st.builds(CutEdge, layers, heads, queries, keys, st.booleans(), name),
        st.builds(SlidingWindow, sizes)
        if cross
        else st.builds(SlidingWindow, sizes, layers, st.none() | heads, name),
        st.builds(Skip, layers, st.just("cross")) if cross else st.builds(Skip, layers, parts, name),
    )


def at_site(model: Model, lengths: Sequence[int]) -> st.SearchStrategy[Edit]:
    """Cells set and sites patched, of the file "run", which has every site."""
    texts = dict(enumerate(lengths, 1))
    here = [
        site.at_lengths(texts)
        for _, site in measured(model).nodes(data="site")
        if site.key not in model.inputs
    ]
    cells = {
        site.key: tuple(st.integers(0, n - 1) for n in site.shape[site.dims.startswith("B ") :])
        for site in here
    }
    positions = {
        site.key: min(size for size, axis in zip(site.shape, site.dims.split(), strict=True) if axis in "TS")
        for site in here
    }
    return st.sampled_from(sorted(cells)).flatmap(
        lambda key: (
            st.builds(SetCell, st.just(key), st.tuples(*cells[key]), st.floats(-4, 4))
            | st.builds(Patch, st.just(key), st.just("run"), st.none() | st.integers(0, positions[key] - 1))
        )
    )
