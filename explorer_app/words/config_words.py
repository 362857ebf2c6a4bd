"""What the fields of a model's configuration mean, and a family's own text set for reading."""

import re
from html import escape

from explorer_app.words.text import tr


def meaning(field: str) -> str:
    """What a field of a configuration says, in a few words; "" for one that nobody described."""
    return {
        "vocab_size": tr("tokens that the model knows"),
        "width": tr("numbers in each token's vector, from the embedding to the head"),
        "layers": tr("blocks, one after the other (in each stack, where there are two)"),
        "heads": tr("query heads in each attention"),
        "kv_heads": tr("key/value heads; fewer than query heads means that several share one"),
        "head_dim": tr("numbers in a head's query, key and value"),
        "hidden": tr("numbers in the middle of each MLP"),
        "context": tr("the most tokens that it reads at once"),
        "theta": tr("base of the rotary frequencies: the larger, the slower the slow pairs turn"),
        "eps": tr("added in the norms, so that nothing is divided by zero"),
        "tied": tr("whether the head uses the embedding's weights"),
        "qkv_bias": tr("whether queries, keys and values have biases"),
        "bias": tr("whether queries, keys, values and the output of attention have biases"),
        "windows": tr("how many tokens a query sees in each layer, its own the last; none for all of them"),
        "rope_factor": tr("by how much slow rotary pairs are slowed, for a longer context; 1 for not"),
        "low_freq_factor": tr("pairs that turn less often than this in the old context are slowed"),
        "high_freq_factor": tr("pairs that turn more often than this in the old context stay"),
        "original_context": tr("the context that the rotary frequencies were made for"),
        "positions": tr("how the model knows where a token stands"),
        "activation": tr("what bends the numbers in the middle of the MLP"),
        "norm": tr("what the norms divide by: std + eps (the tutorials), or √(variance + eps) (PyTorch)"),
        "order": tr("whether the norms stand before the sublayers, or after each addition (the 2017 paper)"),
        "dropout": tr("share of numbers dropped while training; nothing is dropped here"),
        "seed": tr("where the random weights begin: the same seed, the same model"),
    }.get(field, "")


def about_html(about: str, heading: str, muted: str) -> str:
    """A family's text: its first line large, what it differs from in bold, its sources small.

    heading, muted  colours
    """
    first, *paragraphs = re.split(r"\n\s*\n", about.strip())
    shown = [f'<p style="font-size: large; color: {heading}"><b>{_inline(first)}</b></p>']
    for number, paragraph in enumerate(paragraphs):
        text = re.sub(r"^(Against [^:]+:)", r"<b>\1</b>", _inline(paragraph))
        # The last paragraph of each family says where it comes from.
        last = number == len(paragraphs) - 1
        shown.append(f'<p style="color: {muted}; font-size: small">{text}</p>' if last else f"<p>{text}</p>")
    return "".join(shown)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split()), quote=False))
