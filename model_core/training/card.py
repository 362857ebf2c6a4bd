"""The model card that training leaves beside a checkpoint: what it was made of, how, and how good it became."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from model_core.api.files.regular_file import check_regular
from model_core.api.recipe import EMBEDDING, Recipe
from model_core.sources.growth import Moment
from model_core.system import devices
from model_core.training.evaluation import Evaluation

HEADS = """\
On random tokens repeated twice: how much weight a head gives, on average, to the token before (previous), to the token
that followed the same token the last time (induction), and to the same token (duplicate)."""
DATES = """\
A head is right about a digit of the year, the month or the day where its largest weight lies on a character of the
text that says the year, the month or the day."""


@dataclass(frozen=True)
class Facts:
    """What a card says beside what is measured.

    data      files with their sizes, or how the data are made
    training  what the steps were, by `text_training` or `dates_training`
    begun     what a fine-tuned model was, and how good on the same text
    evaluate  the command whose output the card holds
    grown     the steps that were kept, with what the heads did then
    """

    name: str
    about: str
    data: str
    licence: str
    tokenizer: str
    vocab_size: int
    family: str
    config: Any
    parameters: int
    training: str
    tokens: int
    seconds: float
    hardware: str
    seed: int
    command: str
    evaluate: str
    begun: str = ""
    grown: Sequence[Moment] = ()


def card(facts: Facts, measured: Evaluation) -> str:
    """The card in Markdown. What is measured is the saved model, so that the numbers are those of the file."""
    config = ", ".join(f"{key} {value}" for key, value in asdict(facts.config).items())
    begun = f"- Begun from: {facts.begun}\n" if facts.begun else ""
    return f"""# {facts.name}

{facts.about}

- Data: {facts.data}
- Licence of the data: {facts.licence}
- Tokenizer: {facts.tokenizer}, {facts.vocab_size:,} tokens
- Configuration: {facts.family}, {config}
- Parameters: {facts.parameters:,}
{begun}- Training: {facts.training}
- Seed: {facts.seed}
- Tokens seen: {facts.tokens:,}
- Time: {facts.seconds:,.0f} seconds on {facts.hardware}

Made by

    {facts.command}

## Measured

    {facts.evaluate}

{DATES if measured.answers is not None else HEADS}

{indented(str(measured))}
{growth_table(facts)}"""


def growth_table(facts: Facts) -> str:
    """The best score of any head at each step that was kept; "" where none was."""
    if not facts.grown:
        return ""
    names = list(facts.grown[0].scores)
    rows = [
        f"{moment.step:>8,}{moment.tokens:>14,}"
        + "".join(f"{max(map(max, moment.scores[name])):>12.3f}" for name in names)
        for moment in facts.grown
    ]
    head = f"{'step':>8}{'tokens seen':>14}" + "".join(f"{name:>12}" for name in names)
    table = "\n".join([head, *rows])
    return f"""
## Growth

Kept at these steps, to be opened as {facts.name}@STEP, the last as {facts.name}; the best score of any head at each.

{indented(table)}
"""


def files(paths: Sequence[Path]) -> str:
    """Names and sizes of the files that are learned from. InputError where one cannot be read."""
    return ", ".join(f"{path.name} ({check_regular(path):,} bytes)" for path in paths)


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


def training_words(recipes: Sequence[Recipe], described: Callable[[Recipe], str]) -> str:
    """What was done in each phase, one after the other."""
    first, *others = recipes
    words = [described(first), *(described(replace(one, embedding=EMBEDDING, gain=1.0)) for one in others)]
    return ". Then, with a new optimiser, ".join(words)


def text_training(recipe: Recipe) -> str:
    """What was done with rows of text."""
    random = f", {recipe.random_rows} of those of random tokens" if recipe.repeated_rows else ""
    return (
        f"{recipe.steps:,} steps of {recipe.batch} rows of {recipe.length} tokens, "
        f"{recipe.repeated_rows} of them a chunk repeated{random}; {rates(recipe)}"
    )


def dates_training(recipe: Recipe) -> str:
    """What was done with pairs."""
    return (
        f"{recipe.steps:,} steps of {recipe.batch} pairs whose texts are equally long, nothing padded; "
        f"{rates(recipe)}"
    )


def rates(recipe: Recipe) -> str:
    return first_words(recipe) + (
        f"AdamW, learning rate {recipe.lr:g} after {recipe.warmup} steps of warm-up, by half a cosine to a tenth, "
        f"weight decay {recipe.weight_decay:g}, gradients clipped at {recipe.clip:g}; "
        f"matrix products in {recipe.autocast}"
    )


def first_words(recipe: Recipe) -> str:
    """What training began from, where that is not the rule."""
    words = []
    if recipe.embedding != EMBEDDING:
        words.append(f"the embedding began as normal(0, {recipe.embedding:g})")
    if recipe.gain != 1:
        words.append(f"the gain of the last norm as {recipe.gain:g}")
    return " and ".join(words) + "; " * bool(words)


def indented(text: str) -> str:
    """As a block of code in Markdown."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
