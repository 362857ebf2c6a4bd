"""Models without training: a published configuration, changed as one likes, with the weights that training begins from.

layerscope trace --model untrained:gpt2/124M --config layers=4 --config seed=3 ...
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.files.assets import asset
from model_core.checkpoint.building import Loaded, empty_model, open_blueprint
from model_core.checkpoint.files import Stored
from model_core.checkpoint.opening import ENCODING, reading
from model_core.checkpoint.registry import Blueprint
from model_core.checkpoint.said import changed, parse
from model_core.families.first_weights import first_weights
from model_core.families.registry import FAMILIES, Family
from model_core.text.formats.ranks import ranks_tokenizer
from model_core.text.opening import default_tokenizer
from model_core.text.tokenizer import Tokenizer

PREFIX = "untrained:"
SEED = "seed"
MOST_HEADS = 20_000
TALES = 2048  # tokens of the vocabulary that the presets have


def open_untrained(
    model: str,
    device: str,
    dtype: str,
    *,
    config: Sequence[str],
    progress: Callable[[float], None],
    needs: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Loaded:
    """The model of "untrained:family/size", with fields of its configuration and the `seed` as `config` says.

    The same seed gives the same numbers on every device, rounded to the dtype. InputError for an unknown family or
    size, and for a configuration that makes no model. "tokenizer=gpt2" names an encoding for the prompt.
    """
    said = parse(config)
    seed, encoding = seed_of(said.pop(SEED, "0")), said.pop(ENCODING, None)
    family, published = published_of(model)
    name = model.removeprefix(PREFIX)
    blueprint = blueprint_of(f"{name}, untrained", family, changed(name, family, published, said), seed)
    blueprint = reading(blueprint, encoding, None)
    return open_blueprint(blueprint, None, device, dtype, progress=progress, needs=needs, cancelled=cancelled)


def published_of(model: str) -> tuple[Family, Any]:
    """The family and the configuration that "untrained:family/size" names. InputError says which there are."""
    family_name, _, size = model.removeprefix(PREFIX).partition("/")
    with_sizes = {name: family for name, family in FAMILIES.items() if family.published}
    if family_name not in with_sizes:
        raise InputError(
            f"there is no family '{family_name}'; untrained models are of {', '.join(with_sizes)}, "
            f"such as {PREFIX}gpt2/124M"
        )
    family = with_sizes[family_name]
    if size not in family.published:
        sizes = ", ".join(f"{PREFIX}{family_name}/{known}" for known in family.published)
        raise InputError(f"{family.title} was not published as '{size}': choose one of {sizes}")
    return family, family.published[size]


def seed_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(f"seed={text}: seed is a whole number from 0 up")
    return int(text)


def blueprint_of(name: str, family: Family, config: Any, seed: int) -> Blueprint:
    """The model as a checkpoint that stores its first weights: each is drawn when it is its turn to be read."""
    check_layers(name, config)
    empty = empty_model(family, config)
    drawn = first_weights(empty, seed)

    def draw(wanted: str) -> Tensor:
        parameter, values = next(drawn)
        assert parameter == wanted
        return values

    tensors = {
        parameter: Stored(parameter, tuple(values.shape), "F32", partial(draw, parameter))
        for parameter, values in empty.named_parameters()
    }
    return Blueprint(name, family, config, tensors, partial(tokenizer_for, config.vocab_size))


def check_layers(name: str, config: Any) -> None:
    """InputError for more layers and heads than can be built to be looked at."""
    if config.layers * config.heads > MOST_HEADS:
        raise InputError(
            f"{name} would have {config.layers} layers of {config.heads} heads: {MOST_HEADS} in all are the most"
        )


def tokenizer_for(vocab_size: int) -> Tokenizer:
    """The bundled vocabulary that has so many tokens, or token ids."""
    if vocab_size == TALES:
        return ranks_tokenizer(asset("tokenizers", f"tales-{TALES}.tiktoken"), vocab_size)
    return default_tokenizer(vocab_size)
