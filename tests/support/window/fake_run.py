"""Answers of an engine to "run" and "sites", made up: for tests of what does not depend on a model."""

from dataclasses import asdict, replace

from model_core.api.names import AttentionKind, Site
from model_core.api.queries.answer import Answer
from model_core.api.steps import pack

ONE_KIND = AttentionKind("", layers=4, heads=2, kv_heads=2, head_dim=3)
THREE_KINDS = (
    AttentionKind("encoder", 4, 2, 2, 3, queries=0, keys=0, causal=False),
    AttentionKind("decoder", 4, 2, 2, 3, queries=1, keys=1),
    AttentionKind("cross", 4, 2, 2, 3, queries=1, keys=0, causal=False),
)


def text(name: str, length: int) -> dict[str, object]:
    return {"name": name, "tokens": list(range(length)), "strings": [f"t{n}" for n in range(length)]}


def run_of(texts: list[dict[str, object]], kinds: tuple[AttentionKind, ...]) -> Answer:
    last = texts[-1]
    facts = {"texts": texts, "attentions": [asdict(kind) for kind in kinds]}
    return Answer(
        facts
        | {"tokens": last["tokens"], "strings": last["strings"], "vocab_size": 10, "edits": [], "prefix": 0}
    )


def one_text(tokens: int = 3, **changes: int) -> Answer:
    """A run of a decoder-only model: four layers of two heads, unless said otherwise."""
    return run_of([text("tokens", tokens)], (replace(ONE_KIND, **changes),))


def two_texts(source: int = 5, target: int = 3) -> Answer:
    """A run of an encoder-decoder: four layers of two heads in each stack."""
    return run_of([text("source", source), text("target", target)], THREE_KINDS)


def sites(*keys: str) -> Answer:
    """The steps of a forward pass; each runs along the text of its stack, keys of `cross` along the source."""

    two = "target" in keys

    def texts_of(key: str) -> dict[str, int]:
        of = 1 if two and key.startswith(("decoder", "target", "logits")) else 0
        return {"T": of, "S": 0 if ".cross." in key else of}

    steps = [Site(key, "B T S", (1, 1, 1), "float32") for key in keys]
    return pack(steps, [texts_of(key) for key in keys])
