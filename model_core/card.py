"""The model card that training leaves beside a checkpoint: what it was made of, how, and how good it became."""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_core import devices
from model_core.corpus import Corpus, bits_per_byte
from model_core.guidance import guided_sites
from model_core.model import Model
from model_core.presets import Preset
from model_core.recipe import Recipe
from model_core.scores import Scores, describe
from model_core.tokenizer import Tokenizer


@dataclass(frozen=True)
class HeldOut:
    """How well text that was never trained on is foreseen: loss in nats a token, and bits a byte of text."""

    documents: tuple[int, ...]
    tokens: int
    text_bytes: int
    loss: float
    bits_per_byte: float

    def __str__(self) -> str:
        numbers = ", ".join(map(str, self.documents))
        return (
            f"documents {numbers} (counted from 0), {self.tokens:,} tokens, {self.text_bytes:,} bytes: "
            f"loss {self.loss:.4f} nats a token, {self.bits_per_byte:.4f} bits per byte"
        )


def held_out(model: Model, corpus: Corpus, documents: Sequence[int]) -> HeldOut | None:
    """The measure of the corpus' held-out documents; None where there is nothing to foresee."""
    if len(corpus.held_out) < 2 or corpus.held_out_bytes == 0:
        return None
    bits = bits_per_byte(model, corpus.held_out, corpus.held_out_bytes)
    # The first token is given, not foreseen.
    loss = bits * math.log(2) * corpus.held_out_bytes / (len(corpus.held_out) - 1)
    return HeldOut(tuple(documents), len(corpus.held_out), corpus.held_out_bytes, loss, bits)


def hardware(device: str) -> str:
    """The name of the processor that a device is, and nothing else about the machine."""
    if device != "cpu":
        return devices.find(device).title
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), platform.processor() or platform.machine())


def card(
    *,
    name: str,
    preset: Preset,
    recipe: Recipe,
    model: Model,
    tokenizer: Tokenizer,
    data: Sequence[Path],
    licence: str,
    seconds: float,
    device: str,
    measured: HeldOut | None,
    scores: Scores,
    command: str,
) -> str:
    """The card in Markdown. `model` is the saved one, so that the numbers are those of the file."""
    files = ", ".join(f"{path.name} ({path.stat().st_size:,} bytes)" for path in data)
    config = ", ".join(f"{key} {value}" for key, value in asdict(preset.config).items())
    return f"""# {name}

{preset.about}

- Data: {files}
- Licence of the data: {licence}
- Tokenizer: {tokenizer.name}, {tokenizer.vocab_size:,} tokens
- Configuration: {preset.family}, {config}
- Parameters: {model.parameter_count:,}
- Training: {recipe.steps:,} steps of {recipe.batch} rows of {recipe.length} tokens, \
{recipe.repeated_rows} of them a chunk repeated; {guided_words(recipe, preset.config.layers)}\
matrix products in {recipe.autocast}, seed {recipe.seed}
- Tokens seen: {recipe.steps * recipe.batch * recipe.length:,}
- Time: {seconds:,.0f} seconds on {hardware(device)}
- Held out: {measured or "nothing"}

Made by

    {command}

## Heads

On random tokens repeated twice: how much weight a head gives, on average, to the token before (previous), to the token
that followed the same token the last time (induction), and to the same token (duplicate).

{indented(describe(scores))}
"""


def guided_words(recipe: Recipe, layers: int) -> str:
    """What the further loss of the first steps asked for."""
    if not recipe.guided:
        return ""
    previous, induction = (site.split(".")[1] for site in guided_sites(layers))
    return (
        f"in the first {recipe.guided:,} steps a further loss, fading to nothing, asked head 0 of block {previous} to "
        f"look at the token before and head 0 of block {induction} at the token that followed the same token; "
    )


def indented(text: str) -> str:
    """As a block of code in Markdown."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
