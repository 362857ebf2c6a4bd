"""Sites in words: what their axes are, which role they play, what their numbers amount to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from model_core.api.names import AXES

from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

_ROLES = {
    "q": "query", "q_norm": "query", "q_rot": "query", "k": "key", "k_norm": "key", "k_rot": "key",
    "v": "value", "z": "output", "out": "output",
}  # fmt: skip


def roles(keys: Iterable[str]) -> dict[str, str]:
    """The role of each site that has one, by name of its colour in the theme; a norm's only value has none."""
    keys = list(keys)
    in_module = Counter(key.rpartition(".")[0] for key in keys)
    parts = ((key, *key.rpartition(".")[::2]) for key in keys)
    return {key: _ROLES[word] for key, module, word in parts if word in _ROLES and in_module[module] > 1}


def shape_text(dims: str, shape: Sequence[int]) -> str:
    """ "B T C 1×17×192" """
    return f"{dims} {'×'.join(map(str, shape))}"


def shape_words(dims: str, shape: Sequence[int]) -> str:
    """ "1 batch × 17 query position × 192 width" """
    return " × ".join(f"{size} {axis_words(axis)}" for size, axis in zip(shape, dims.split(), strict=True))


def axis_words(axis: str) -> str:
    return tr(AXES[axis])


def statistics_words(statistics: Mapping[str, float]) -> str:
    """ "min −1.2 · max 3.4 · mean 0.01 · std 1.1 · 136 × −∞": of the finite values, and how many are not."""
    named = {"min": tr("min"), "max": tr("max"), "mean": tr("mean"), "std": tr("std")}
    parts = [
        f"{words} {short_number(statistics[name], 4)}" for name, words in named.items() if name in statistics
    ]
    signs = {"minus_infinite": "−∞", "plus_infinite": "∞", "nan": "NaN"}
    parts += [f"{statistics[name]:,} × {sign}" for name, sign in signs.items() if statistics[name]]
    return " · ".join(parts)


def cut_words(shown: tuple[int, int], whole: tuple[int, int]) -> str:
    """What a table leaves out, "" where it leaves out nothing: "first 512 of 2,048 columns"."""
    words = (tr("first {shown} of {all} rows"), tr("first {shown} of {all} columns"))
    cuts = [
        word.format(shown=f"{few:,}", all=f"{all_:,}")
        for word, few, all_ in zip(words, shown, whole, strict=True)
        if few < all_
    ]
    return ", ".join(cuts)
