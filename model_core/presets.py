"""The models that come with the program, and how any model is opened: a preset, a path, or one without training."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_core import growth, untrained
from model_core.assets import asset
from model_core.checkpoint import Loaded, open_checkpoint
from model_core.errors import InputError
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from model_core.families.mini import MiniConfig
from model_core.families.qwen2 import Qwen2Config
from model_core.families.seq2seq import Seq2SeqConfig
from model_core.paths import expanded
from model_core.recipe import Recipe
from model_core.regular_file import is_there


@dataclass(frozen=True)
class Preset:
    """A model to train and to open: family, configuration, tokenizer (in assets/tokenizers) and training recipe.

    task     what it learns: "text", to go on with text that is given; "dates", to write dates in ISO 8601
    example  a prompt, and what the decoder of an encoder-decoder reads, that show what it learned
    """

    about: str
    family: str
    config: Any
    tokenizer: str
    recipe: Recipe
    example: tuple[str, str]
    task: str = "text"


# What is said twice, so that there is something to look back at.
TALE = ("Once upon a time there was a little girl. Once upon a time there was a little", "")

# Four families learn the same text in the same vocabulary for as many steps, so that they can be compared. Held out
# are Doctor Dolittle and Peter and Wendy: no tale of theirs recurs in the other books.
TALES = Recipe(steps=1800, repeats=0.2, guided=900, held_out=(14, 15), autocast="bfloat16")

SIZES: dict[str, Any] = {"vocab_size": 2048, "width": 192, "layers": 6, "heads": 6, "context": 256}
GPT_SIZES = SIZES | {"hidden": 768}
LLAMA_SIZES = SIZES | {"kv_heads": 2, "hidden": 512, "head_dim": 32, "tied": True}


def teller(about: str, family: str, config: Any, recipe: Recipe = TALES) -> Preset:
    """One of the models that are compared."""
    return Preset(about, family, config, "tales-2048", recipe, TALE)


PRESETS: Mapping[str, Preset] = {
    "tales-llama": teller(
        "LLaMA of 2.8 M parameters that writes fairy tales; 6 layers, 6 heads over 2 key/value heads",
        "llama",
        LlamaConfig(**LLAMA_SIZES),
    ),
    "tales-gpt2": teller(
        "GPT-2 of 3.1 M parameters that writes fairy tales; 6 layers, 6 heads",
        "gpt2",
        GPT2Config(**GPT_SIZES),
    ),
    "tales-qwen2": teller(
        "Qwen2 of 2.8 M parameters that writes fairy tales; 6 layers, 6 heads over 2 key/value heads",
        "qwen2",
        Qwen2Config(**LLAMA_SIZES),
    ),
    "tales-mini": teller(
        "Mini-GPT of 3.4 M parameters that writes fairy tales; 6 layers, 6 heads, each a module of its own",
        "mini",
        MiniConfig(**GPT_SIZES),
        # The sines of its positions would drown tokens of the usual 0.02.
        replace(TALES, embedding=1.0),
    ),
    "growth": Preset(
        about="LLaMA of 0.3 M parameters, kept at 14 steps of its training, in which its heads appear by themselves",
        family="llama",
        config=LlamaConfig(
            vocab_size=2048,
            width=96,
            layers=2,
            heads=3,
            kv_heads=3,
            hidden=128,
            context=64,
            head_dim=32,
            tied=True,
            theta=500.0,
        ),
        tokenizer="tales-2048",
        # No guidance: the heads come by themselves, of rows that repeat, and of an embedding that keeps tokens apart.
        recipe=Recipe(
            steps=3000,
            length=64,
            lr=3e-3,
            weight_decay=0.01,
            repeats=0.75,
            held_out=(14, 15),
            embedding=1.0,
            gain=0.05,
            kept=(0, 16, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2560),
        ),
        example=("the blue cat ate my old shoe. the blue cat ate my old", ""),
    ),
    "dates": Preset(
        about="Encoder-decoder of 0.5 M parameters that reads dates written in many ways and writes them in ISO 8601",
        family="seq2seq",
        config=Seq2SeqConfig(
            vocab_size=70,
            width=96,
            layers=2,
            heads=2,
            hidden=384,
            context=32,
            norm="standard",
        ),
        tokenizer="dates",
        recipe=Recipe(steps=4000, batch=64, lr=1e-3, embedding=1.0),
        example=("the 3rd of March 1987", "1987-03-03"),
        task="dates",
    ),
}
DEFAULT = "tales-llama"


def folder_of(name: str) -> Path:
    """Where a preset's trained weights are."""
    return asset("presets", name)


def open_model(
    model: str,
    device: str = "cpu",
    dtype: str = "float32",
    *,
    config: Sequence[str] = (),
    progress: Callable[[float], None] = lambda share: None,
    needs: Callable[[str], None] = lambda words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Loaded:
    """A preset by name, a checkpoint by path, or "untrained:family/size". As `open_checkpoint`.

    InputError where it is none of them, or cannot be opened.
    """
    if model.startswith(untrained.PREFIX):
        return untrained.open_untrained(
            model, device, dtype, config=config, progress=progress, needs=needs, cancelled=cancelled
        )
    return open_checkpoint(
        path_of(model), device, dtype, config=config, progress=progress, needs=needs, cancelled=cancelled
    )


def path_of(model: str) -> Path:
    """The path of a preset's weights, or the one that was given; of either at a step: "growth@16".

    InputError where nothing is there.
    """
    if model in PRESETS:
        if is_there(path := folder_of(model)):
            return path
        raise InputError(
            f"the preset {model} has no weights yet: layerscope train --preset {model} makes them",
            window=f"the preset {model} has no weights yet: train it in the Train panel",
        )
    with suppress(InputError):  # the home of nobody
        if is_there(path := expanded(model)):
            return path
    name, step = growth.split(model)
    if step is not None:
        return growth.path_at(path_of(name), name, step)
    presets = ", ".join(PRESETS)
    raise InputError(
        f"there is no model '{model}': name a preset ({presets}), a checkpoint's path, or untrained:family/size"
    )


def grown(model: str) -> tuple[str, int, list[growth.Moment]] | None:
    """Whose training a model belongs to, its step, and all steps that were kept.

    None where none were, or nobody can tell any more: a model that is open stays so whatever becomes of its files.
    """
    if model.startswith(untrained.PREFIX):
        return None
    name, step = growth.split(model)
    try:
        path = path_of(model)
        if step is None or path == expanded(model):
            name, step = model, None
        kept = growth.moments(path if step is None else path_of(name))
    except InputError:
        return None
    return (name, kept[-1].step if step is None else step, kept) if kept else None
