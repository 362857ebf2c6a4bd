"""The encoder-decoder that tutorials write by hand: transformer.encoder, transformer.decoder, and one embedding.

Reference: datawhalechina/happy-llm, docs/chapter2/code/transformer.py. Norms call their parameters a_2 and b_2, after
"The Annotated Transformer"; a copy that uses nn.LayerNorm has weight and bias. The norm before the MLP is spelled
fnn_norm or ffn_norm. Masks and the table of positions are stored as well, and computed here.
"""

from collections.abc import Mapping
from typing import Any

from model_core.api.errors import InputError
from model_core.checkpoint.layouts.registry import (
    Layout,
    Plan,
    Tensors,
    count,
    is_sincos,
    matrix,
    register,
    table_length,
)
from model_core.checkpoint.said import Ask, likely_heads
from model_core.families.config import Source
from model_core.families.registry import FAMILIES

BLOCK = r"transformer\.encoder\.layers\.(\d+)\.attention\.wq\.weight"
EMBED, TABLE = "transformer.wte.weight", "transformer.wpe.pe"
ATTENTION = {"q": "wq", "k": "wk", "v": "wv", "o": "wo"}
MLP = {"up": "feed_forward.w1", "down": "feed_forward.w2"}
FFN_NORMS = ("ffn_norm", "fnn_norm")


def read(found: Tensors, beside: Mapping[str, Any]) -> Plan:
    """Sizes are in the tensors; heads, and where the norms stand, are not."""
    vocab_size, width = matrix(found, EMBED)
    own_norm = "transformer.encoder.norm.a_2" in found
    known: dict[str, Any] = {
        "vocab_size": vocab_size,
        "width": width,
        "layers": count(found, BLOCK),
        "hidden": matrix(found, "transformer.encoder.layers.0.feed_forward.w1.weight")[0],
    }
    asks = [
        Ask("heads", likely_heads(width), "attention heads in each layer", needed=True),
        Ask(
            "order",
            "pre",
            "where the norms stand: pre is x + attention(norm(x)), post is norm(x + attention(x)), "
            "normed is x = norm(x); x + attention(x)",
        ),
        Ask("context", 1024, "the most tokens of a text"),
        Ask("eps", 1e-6 if own_norm else 1e-5, "what the norms add to what they divide by"),
    ]
    if TABLE in found:
        known["context"] = table_length(found[TABLE], width)
        if not is_sincos(found[TABLE], width):
            raise InputError(
                f"{TABLE} is another table than sin, cos, sin, cos, ..., which is all that is known here"
            )
    if own_norm:
        asks.append(
            Ask("norm", "std", "what the norms divide by: std is std + eps, standard is sqrt(variance + eps)")
        )
    else:
        known["norm"] = "standard"
    return Plan(
        family=FAMILIES["seq2seq"],
        known=known,
        asks=asks,
        weights=lambda config: weights(config, found, ("a_2", "b_2") if own_norm else ("weight", "bias")),
        ignored=("*.mask", TABLE),
    )


def weights(config: Any, found: Tensors, of_norms: tuple[str, str]) -> dict[str, Source]:
    """Where each parameter lies. of_norms: what the gain and the bias of a norm are called."""
    places = {"encoder.embed.weight": Source(EMBED), "head.weight": Source("lm_head.weight")}
    norms = {"encoder.norm": "transformer.encoder.norm", "decoder.norm": "transformer.decoder.norm"}
    for n in range(config.layers):
        encoder, decoder = (f"transformer.{stack}.layers.{n}" for stack in ("encoder", "decoder"))
        attentions = {
            f"encoder.blocks.{n}.attn": f"{encoder}.attention",
            f"decoder.blocks.{n}.attn": f"{decoder}.mask_attention",
            f"decoder.blocks.{n}.cross": f"{decoder}.attention",
        }
        norms |= {
            f"encoder.blocks.{n}.norm1": f"{encoder}.attention_norm",
            f"encoder.blocks.{n}.norm2": ffn_norm(found, encoder, of_norms),
            f"decoder.blocks.{n}.norm1": f"{decoder}.attention_norm_1",
            f"decoder.blocks.{n}.norm2": f"{decoder}.attention_norm_2",
            f"decoder.blocks.{n}.norm3": ffn_norm(found, decoder, of_norms),
        }
        for ours, theirs in attentions.items():
            places |= {f"{ours}.{a}.weight": Source(f"{theirs}.{b}.weight") for a, b in ATTENTION.items()}
        for stack, theirs in (("encoder", encoder), ("decoder", decoder)):
            places |= {
                f"{stack}.blocks.{n}.mlp.{a}.weight": Source(f"{theirs}.{b}.weight") for a, b in MLP.items()
            }
    for ours, theirs in norms.items():
        for kind, name in zip(("weight", "bias"), of_norms, strict=True):
            places[f"{ours}.{kind}"] = Source(f"{theirs}.{name}")
    return places


def ffn_norm(found: Tensors, block: str, of_norms: tuple[str, str]) -> str:
    """The norm before the MLP of a block, in either spelling."""
    spelled = [name for name in FFN_NORMS if any(f"{block}.{name}.{kind}" in found for kind in of_norms)]
    return f"{block}.{(spelled or FFN_NORMS)[0]}"


register(Layout("encoder-decoder tutorial", BLOCK, read))
